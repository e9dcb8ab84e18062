using System.Globalization;
using NUnit.Framework;
using ShardProxy.Cluster.Tests.EndToEnd.Tools;
using ShardProxy.TestKit.Clusters;

namespace ShardProxy.Cluster.Tests.EndToEnd;

// Protects shadow reads: live reads of a moving range are compared on both nodes without the clients noticing, and one row of many that somebody changed on the target after
// verification ends the migration within ten seconds, although only one read in a hundred is compared by its share, with an error that names the statement and no value.
[TestFixture]
internal sealed class ShadowReadTests
{
    private const string Planted = "planted by hand";
    private readonly HttpClient _http = new();
    private ProxyProcess _proxy = null!;

    [OneTimeTearDown]
    public void CloseHttp() => _http.Dispose();

    [Test]
    [CancelAfter(150_000)]
    public async Task A_difference_planted_on_the_target_ends_the_migration_within_ten_seconds(CancellationToken cancellationToken)
    {
        await using var proxy = _proxy = await ProxyProcess.StartAsync(new ProxyProcessOptions { Nodes = 2 }, cancellationToken);
        await Db.ExecuteAsync(proxy.ConnectionString(), "CREATE TABLE page (id bigint PRIMARY KEY, body text NOT NULL, n bigint NOT NULL DEFAULT 0)", cancellationToken);
        await using var console = await ConsoleClient.OpenAsync(proxy, cancellationToken);
        await console.RunAsync("SHARD TABLE page BY HASH (id)", cancellationToken);
        await Db.ExecuteAsync(proxy.ConnectionString(), "INSERT INTO page SELECT i, 'body ' || i FROM generate_series(1, 500) i", cancellationToken);
        var range = (await console.RangesOfAsync("page", cancellationToken))[0];
        var target = range.Node == "node1" ? "node2" : "node1";
        var keys = (await Db.RowsAsync(proxy.NodeConnectionString(range.Node), $"SELECT id FROM page WHERE hashint8extended(id, 0) < {range.To} ORDER BY id LIMIT 60", cancellationToken))
            .ConvertAll(r => long.Parse(r["id"]!, CultureInfo.InvariantCulture));

        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var clients = new[] { Task.Run(() => ReadAsync(keys, stop.Token), cancellationToken), Task.Run(() => WriteAsync(keys[^1], stop.Token), cancellationToken) };
        try
        {
            await using var open = await Db.OpenAsync(proxy.ConnectionString(), cancellationToken);

            // The cutover is kept waiting by a transaction that has read the range; nothing differs so far.
            await open.RunAsync($"BEGIN; SELECT n FROM page WHERE id = {keys[0]}", cancellationToken);
            await console.RunAsync($"MOVE RANGE {range.Id} TO {target} NOWAIT", cancellationToken);
            await Eventually.IsTrueAsync(async () => await ShownAsync(console, "state", cancellationToken) == "cutting_over", TimeSpan.FromSeconds(60), "it was not verified", cancellationToken);
            await Eventually.IsTrueAsync(async () => await CountAsync("compared", cancellationToken) >= 10, TimeSpan.FromSeconds(30), "hardly any reads were compared", cancellationToken);
            Assert.That(await CountAsync("different", cancellationToken), Is.Zero);
            await Db.ExecuteAsync(
                proxy.NodeConnectionString(target),
                $"SET session_replication_role = replica; ALTER TABLE page DISABLE TRIGGER ALL; UPDATE page SET body = '{Planted}' WHERE id = {keys[1]}",
                cancellationToken);
            await Eventually.IsTrueAsync(async () => await ShownAsync(console, "error", cancellationToken) is not null, TimeSpan.FromSeconds(10), "the difference was not found", cancellationToken);
            var error = await ShownAsync(console, "error", cancellationToken);
            Assert.That(error, Does.Contain("select body from page where id = $1").And.Not.Contain(Planted).And.Not.Contain("body 1"));
            Assert.That(await CountAsync("different", cancellationToken), Is.GreaterThan(0));

            // Its gates are dropped when nobody uses the table.
            await open.RunAsync("COMMIT", cancellationToken);
            await Eventually.IsTrueAsync(async () => await ShownAsync(console, "state", cancellationToken) == "failed", TimeSpan.FromSeconds(40), "it did not end", cancellationToken);
            Assert.That((await console.RangesOfAsync("page", cancellationToken)).Single(r => r.Id == range.Id).Node, Is.EqualTo(range.Node), "the range stays where it was");
        }
        finally
        {
            await stop.CancelAsync();
            await Task.WhenAll(clients);
        }

        await TestContext.Out.WriteLineAsync($"compared {await CountAsync("compared", cancellationToken)}, inconclusive {await CountAsync("inconclusive", cancellationToken)}, dropped {await CountAsync("dropped", cancellationToken)}");
        await NodeAudit.AssertSettledAsync(proxy, cancellationToken, ("page", "id"));
    }

    private static async Task<string?> ShownAsync(ConsoleClient console, string column, CancellationToken cancellationToken) => (await console.RowsAsync("SHOW MIGRATIONS", cancellationToken))[^1][column];

    private async Task<double> CountAsync(string outcome, CancellationToken cancellationToken) =>
        (await _http.GetStringAsync(new Uri(_proxy.Http, "metrics"), cancellationToken)).Split('\n')
        .Where(l => l.StartsWith($"shardproxy_shadow_reads_total{{outcome=\"{outcome}\"}}", StringComparison.Ordinal)).Sum(l => double.Parse(l.Split(' ')[^1], CultureInfo.InvariantCulture));

    private async Task ReadAsync(List<long> keys, CancellationToken stop)
    {
        await using var connection = await Db.OpenAsync(_proxy.ConnectionString(), CancellationToken.None);
        for (var i = 0; !stop.IsCancellationRequested; i++)
        {
            await using var command = new Npgsql.NpgsqlCommand("SELECT body FROM page WHERE id = $1", connection) { Parameters = { new Npgsql.NpgsqlParameter<long> { TypedValue = keys[i % keys.Count] } } };
            Assert.That(await command.ExecuteScalarAsync(CancellationToken.None), Does.StartWith("body "));
        }
    }

    private async Task WriteAsync(long key, CancellationToken stop)
    {
        await using var connection = await Db.OpenAsync(_proxy.ConnectionString(), CancellationToken.None);
        while (!stop.IsCancellationRequested)
        {
            await using var command = new Npgsql.NpgsqlCommand($"UPDATE page SET n = n + 1, body = 'body ' || n WHERE id = {key}", connection);
            Assert.That(await command.ExecuteNonQueryAsync(CancellationToken.None), Is.EqualTo(1));
        }
    }
}
