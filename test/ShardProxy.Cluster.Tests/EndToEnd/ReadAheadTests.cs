using System.Globalization;
using Npgsql;
using NUnit.Framework;
using ShardProxy.Cluster.Tests.EndToEnd.Tools;
using ShardProxy.TestKit.Clusters;

namespace ShardProxy.Cluster.Tests.EndToEnd;

// Protects reads at the predicted location on real nodes: a client that accepts staleness is served by the copy once that has caught up, never with something older than it
// allows, also when the copy's stream is paused, and it notices neither the cutover nor the end of a move that is cancelled.
[TestFixture]
internal sealed class ReadAheadTests
{
    private static readonly TimeSpan Bound = TimeSpan.FromMilliseconds(300);
    private readonly Lock _lock = new();
    private readonly HttpClient _http = new();
    private ProxyProcess _proxy = null!;
    private readonly List<(long Value, long At)> _written = [];

    [OneTimeTearDown]
    public void CloseHttp() => _http.Dispose();

    [Test]
    [CancelAfter(120_000)]
    public async Task Reads_ahead_are_never_older_than_allowed(CancellationToken cancellationToken)
    {
        await using var proxy = await ProxyProcess.StartAsync(new ProxyProcessOptions { Nodes = 2 }, cancellationToken);
        _proxy = proxy;
        await Db.ExecuteAsync(proxy.ConnectionString(), "CREATE TABLE seen (id bigint PRIMARY KEY, n bigint NOT NULL)", cancellationToken);
        await using var console = await ConsoleClient.OpenAsync(proxy, cancellationToken);
        await console.RunAsync("SHARD TABLE seen BY HASH (id)", cancellationToken);
        await Db.ExecuteAsync(proxy.ConnectionString(), "INSERT INTO seen SELECT i, 0 FROM generate_series(1, 500) i", cancellationToken);
        var range = (await console.RangesOfAsync("seen", cancellationToken))[0];
        var target = range.Node == "node1" ? "node2" : "node1";
        var key = (await Db.RowsAsync(proxy.NodeConnectionString(range.Node), $"SELECT id FROM seen WHERE hashint8extended(id, 0) < {range.To} ORDER BY id LIMIT 1", cancellationToken))
            .Select(r => long.Parse(r["id"]!, CultureInfo.InvariantCulture)).Single();

        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var writer = Task.Run(() => WriteAsync(proxy, key, stop.Token), cancellationToken);
        var reader = Task.Run(() => ReadAsync(proxy, key, stop.Token), cancellationToken);
        try
        {
            // A transaction that has read the range keeps the cutover waiting: the copy stays caught up.
            await using var open = await Db.OpenAsync(proxy.ConnectionString(), cancellationToken);
            await RunAsync(open, $"BEGIN; SELECT n FROM seen WHERE id = {key}", cancellationToken);
            var cancelled = await BeginAsync(console, range.Id, target, cancellationToken);
            await SomeReadAheadAsync(console, range.Id, target, 20, cancellationToken);

            // The stream is paused: what is on the copy grows old, and the owner answers.
            var subscription = (await Db.RowsAsync(proxy.NodeConnectionString(target), "SELECT subname FROM pg_subscription WHERE subenabled", cancellationToken)).Single()["subname"];
            await Db.ExecuteAsync(proxy.NodeConnectionString(target), $"ALTER SUBSCRIPTION {subscription} DISABLE", cancellationToken);
            await NoReadAheadAsync(cancellationToken);
            await Db.ExecuteAsync(proxy.NodeConnectionString(target), $"ALTER SUBSCRIPTION {subscription} ENABLE", cancellationToken);
            await SomeReadAheadAsync(console, range.Id, target, 20, cancellationToken);

            // The move is given up under the readers, then made anew and let through.
            await using var other = await ConsoleClient.OpenAsync(proxy, cancellationToken);
            var cancelling = other.RunAsync($"CANCEL MIGRATION {cancelled}", cancellationToken);
            await NoReadAheadAsync(cancellationToken);

            // Its gates are dropped when nobody uses the table.
            await RunAsync(open, "COMMIT", cancellationToken);
            await cancelling;
            Assert.That((await console.RowsAsync("SHOW MIGRATIONS", cancellationToken)).Single()["state"], Is.EqualTo("cancelled"));
            await RunAsync(open, $"BEGIN; SELECT n FROM seen WHERE id = {key}", cancellationToken);
            var moved = await BeginAsync(console, range.Id, target, cancellationToken);
            await SomeReadAheadAsync(console, range.Id, target, 20, cancellationToken);
            await RunAsync(open, "COMMIT", cancellationToken);
            await UntilAsync(async () => (await console.RowsAsync("SHOW MIGRATIONS", cancellationToken)).Single(m => m["id"] == moved)["state"] == "done");
            await WrittenAsync(30, cancellationToken);
        }
        finally
        {
            await stop.CancelAsync();
            await writer;
        }

        var (reads, oldest) = await reader;
        await TestContext.Out.WriteLineAsync($"{reads} reads, {await CountAsync(cancellationToken)} of them ahead, the oldest value read had been overwritten {oldest.TotalMilliseconds:0} ms before");
        await NodeAudit.AssertSettledAsync(proxy, cancellationToken, ("seen", "id"));
    }

    private static async Task<string> BeginAsync(ConsoleClient console, int range, string target, CancellationToken cancellationToken)
    {
        await console.RunAsync($"MOVE RANGE {range} TO {target} NOWAIT", cancellationToken);
        return (await console.RowsAsync("SHOW MIGRATIONS", cancellationToken))[^1]["id"]!;
    }

    private async Task<double> CountAsync(CancellationToken cancellationToken) => (await _http.GetStringAsync(new Uri(_proxy.Http, "metrics"), cancellationToken)).Split('\n')
        .Where(l => l.StartsWith("shardproxy_redirections_total{", StringComparison.Ordinal) && l.Contains("reason=\"read_ahead\"", StringComparison.Ordinal))
        .Sum(l => double.Parse(l.Split(' ')[^1], CultureInfo.InvariantCulture));

    private async Task SomeReadAheadAsync(ConsoleClient console, int range, string target, int more, CancellationToken cancellationToken)
    {
        var before = await CountAsync(cancellationToken);
        await UntilAsync(async () => await CountAsync(cancellationToken) >= before + more);
        var last = (await console.RowsAsync("SHOW REDIRECTIONS", cancellationToken)).Last(r => r["reason"] == "read_ahead");
        Assert.That((last["range"], last["to"], last["shape"]), Is.EqualTo(($"{range}", target, "select n from seen where id = $1")));
    }

    private static async Task RunAsync(NpgsqlConnection connection, string sql, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    private static async Task UntilAsync(Func<Task<bool>> condition)
    {
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(40));
        while (!await condition())
        {
            deadline.Token.ThrowIfCancellationRequested();
        }
    }

    private Task NoReadAheadAsync(CancellationToken cancellationToken) => UntilAsync(async () =>
    {
        var before = await CountAsync(cancellationToken);
        await WrittenAsync(30, cancellationToken);
        return await CountAsync(cancellationToken) == before;
    });

    private async Task WrittenAsync(int more, CancellationToken cancellationToken)
    {
        int Count()
        {
            lock (_lock)
            {
                return _written.Count;
            }
        }

        var before = Count();
        while (Count() < before + more)
        {
            cancellationToken.ThrowIfCancellationRequested();
            await Task.Yield();
        }
    }

    private async Task WriteAsync(ProxyProcess proxy, long key, CancellationToken stop)
    {
        await using var connection = await Db.OpenAsync(proxy.ConnectionString(), stop);
        await using var command = new NpgsqlCommand("UPDATE seen SET n = n + 1 WHERE id = $1 RETURNING n", connection) { Parameters = { new NpgsqlParameter<long> { TypedValue = key } } };
        while (!stop.IsCancellationRequested)
        {
            var value = (long)(await command.ExecuteScalarAsync(CancellationToken.None))!;
            lock (_lock)
            {
                _written.Add((value, TimeProvider.System.GetTimestamp()));
            }
        }
    }

    /// <summary>Every read returns at least what had been acknowledged the bound before it began.</summary>
    private async Task<(int Reads, TimeSpan Oldest)> ReadAsync(ProxyProcess proxy, long key, CancellationToken stop)
    {
        await using var connection = await Db.OpenAsync(proxy.ConnectionString(), CancellationToken.None);
        await RunAsync(connection, $"SET shardproxy.read_staleness = '{(int)Bound.TotalMilliseconds}ms'", CancellationToken.None);
        await using var command = new NpgsqlCommand($"SELECT n FROM seen WHERE id = {key}", connection);
        var reads = 0;
        var oldest = TimeSpan.Zero;
        while (!stop.IsCancellationRequested)
        {
            var began = TimeProvider.System.GetTimestamp();
            var value = (long)(await command.ExecuteScalarAsync(CancellationToken.None))!;
            reads++;
            lock (_lock)
            {
                // The first value that was acknowledged before this read began and is newer than what it returned.
                var newer = _written.FindIndex(Math.Max(0, _written.Count - 5_000), w => w.Value > value);
                if (newer >= 0 && _written[newer].At < began)
                {
                    var age = TimeProvider.System.GetElapsedTime(_written[newer].At, began);
                    oldest = age > oldest ? age : oldest;
                    Assert.That(age, Is.LessThanOrEqualTo(Bound), "a read returned something older than it may");
                }
            }
        }

        return (reads, oldest);
    }
}
