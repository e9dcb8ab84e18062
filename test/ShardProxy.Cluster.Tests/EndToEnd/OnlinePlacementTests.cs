using Npgsql;
using NUnit.Framework;
using ShardProxy.Cluster.Tests.EndToEnd.Tools;
using ShardProxy.TestKit.Clusters;

namespace ShardProxy.Cluster.Tests.EndToEnd;

// Protects the clients of a large table that is sharded, joined to another's group, moved, brought back and unsharded: they go on writing, see no error, and every row they were told of is there once.
[TestFixture]
internal sealed class OnlinePlacementTests
{
    private const int Rows = 60_000;
    private const int Clients = 4;

    [Test]
    [CancelAfter(240_000)]
    public async Task A_large_table_is_sharded_rolled_back_and_unsharded_under_writers(CancellationToken cancellationToken)
    {
        await using var proxy = await ProxyProcess.StartAsync(new ProxyProcessOptions { RollbackWindowSeconds = 60 }, cancellationToken);
        await Db.ExecuteAsync(
            proxy.ConnectionString(),
            $"CREATE TABLE big (id bigserial PRIMARY KEY, n bigint NOT NULL DEFAULT 0, t text); INSERT INTO big (t) SELECT repeat('x', 150) FROM generate_series(1, {Rows})",
            cancellationToken);
        await Db.ExecuteAsync(proxy.ConnectionString(), "CREATE TABLE side (big_id bigint PRIMARY KEY)", cancellationToken);
        await using var console = await ConsoleClient.OpenAsync(proxy, cancellationToken);
        await console.RunAsync("SHARD TABLE side BY HASH (big_id)", cancellationToken);

        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var clients = Enumerable.Range(0, Clients).Select(c => Task.Run(() => WriteAsync(proxy, c, stop.Token), cancellationToken)).ToList();
        await console.RunAsync("SHARD TABLE big BY HASH (id) COLOCATE WITH side", cancellationToken);
        Assert.That((await console.RangesOfAsync("side", cancellationToken)).Select(r => r.Node).Distinct().Count(), Is.EqualTo(3));
        Assert.That(await NodeAudit.OnEachNodeAsync(proxy, "SELECT count(*) FROM big", cancellationToken), Is.All.GreaterThan(Rows / 6));

        var range = (await console.RangesOfAsync("side", cancellationToken))[0];
        await console.RunAsync($"MOVE RANGE {range.Id} TO node3", cancellationToken);
        var migration = (await console.RowsAsync("SHOW MIGRATIONS", cancellationToken))[^1];
        Assert.That(migration["state"], Is.EqualTo("done"));
        await console.RunAsync($"ROLLBACK MIGRATION {migration["id"]}", cancellationToken);
        Assert.That((await console.RowsAsync("SHOW MIGRATIONS", cancellationToken))[^1]["state"], Is.EqualTo("rolled_back"));
        Assert.That((await console.RangesOfAsync("side", cancellationToken))[0].Node, Is.EqualTo("node1"));

        // The window of this one is closed by what follows.
        await console.RunAsync($"MOVE RANGE {range.Id} TO node2", cancellationToken);
        await Db.ExecuteAsync(proxy.ConnectionString(), "ALTER TABLE side ADD COLUMN note text", cancellationToken);
        await console.RunAsync("UNSHARD TABLE big", cancellationToken);
        await stop.CancelAsync();
        var written = await Task.WhenAll(clients);
        await TestContext.Out.WriteLineAsync($"{written.Sum(w => w.Inserted)} inserts and {written.Sum(w => w.Updated)} updates by {Clients} clients");
        Assert.That(written.Sum(w => w.Inserted), Is.GreaterThan(0));
        Assert.That(await Db.ScalarAsync<long>(proxy.NodeConnectionString("node1"), "SELECT count(*) FROM big", cancellationToken), Is.EqualTo(Rows + written.Sum(w => w.Inserted)));
        Assert.That(await Db.ScalarAsync<decimal>(proxy.ConnectionString(), "SELECT sum(n) FROM big", cancellationToken), Is.EqualTo(written.Sum(w => w.Updated)));
        await NodeAudit.AssertSettledAsync(proxy, cancellationToken, ("side", "big_id"));
    }

    private static async Task<(long Inserted, long Updated)> WriteAsync(ProxyProcess proxy, int client, CancellationToken stop)
    {
        var random = new Random(client);
        var (inserted, updated) = (0L, 0L);
        await using var connection = new NpgsqlConnection(proxy.ConnectionString());
        await connection.OpenAsync(CancellationToken.None);
        while (!stop.IsCancellationRequested)
        {
            await using var update = new NpgsqlCommand("UPDATE big SET n = n + 1 WHERE id = $1", connection);
            update.Parameters.Add(new NpgsqlParameter { Value = (long)random.Next(1, Rows + 1) });
            Assert.That(await update.ExecuteNonQueryAsync(CancellationToken.None), Is.EqualTo(1));
            updated++;
            if (random.Next(4) == 0)
            {
                await using var insert = new NpgsqlCommand("INSERT INTO big (t) VALUES ('new')", connection);
                Assert.That(await insert.ExecuteNonQueryAsync(CancellationToken.None), Is.EqualTo(1));
                inserted++;
            }
        }

        return (inserted, updated);
    }
}
