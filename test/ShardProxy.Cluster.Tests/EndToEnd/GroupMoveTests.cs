using System.Globalization;
using Npgsql;
using NUnit.Framework;
using ShardProxy.Cluster.Tests.EndToEnd.Tools;
using ShardProxy.TestKit.Clusters;

namespace ShardProxy.Cluster.Tests.EndToEnd;

// Protects the tables of a group while a range of it moves: from DDL and TRUNCATE on any way, from tables that come meanwhile, and when they are many.
[TestFixture]
internal sealed class GroupMoveTests
{
    private const int Rows = 600;
    private const int ManyTables = 50;

    [Test]
    [CancelAfter(150_000)]
    public async Task Ddl_and_truncate_wait_for_a_move_and_new_tables_join_behind_it(CancellationToken cancellationToken)
    {
        await using var proxy = await ProxyProcess.StartAsync(new ProxyProcessOptions(), cancellationToken);
        await using var console = await ConsoleClient.OpenAsync(proxy, cancellationToken);
        await Db.ExecuteAsync(proxy.ConnectionString(), "CREATE TABLE a (id bigint PRIMARY KEY, n bigint NOT NULL DEFAULT 0); CREATE TABLE b (a_id bigint PRIMARY KEY)", cancellationToken);
        await console.RunAsync("SHARD TABLE a BY HASH (id)", cancellationToken);
        await console.RunAsync("SHARD TABLE b BY HASH (a_id) COLOCATE WITH a", cancellationToken);
        await Db.ExecuteAsync(proxy.ConnectionString(), $"INSERT INTO a SELECT i FROM generate_series(1, {Rows}) i", cancellationToken);
        await Db.ExecuteAsync(proxy.ConnectionString(), $"INSERT INTO b SELECT i FROM generate_series(1, {Rows}) i", cancellationToken);
        var range = (await console.RangesOfAsync("a", cancellationToken))[0];
        var (source, target) = (range.Node, range.Node == "node1" ? "node2" : "node1");
        var key = await Db.ScalarAsync<long>(proxy.NodeConnectionString(source), $"SELECT min(id) FROM a WHERE hashint8extended(id, 0) < {range.To}", cancellationToken);

        // The cutover is kept waiting by a transaction that has read the range.
        await using var open = await Db.OpenAsync(proxy.ConnectionString(), cancellationToken);
        await open.RunAsync($"BEGIN; SELECT n FROM a WHERE id = {key}", cancellationToken);
        await console.RunAsync($"MOVE RANGE {range.Id} TO {target} NOWAIT", cancellationToken);
        await Eventually.IsTrueAsync(async () => await StateAsync(console, cancellationToken) == "cutting_over", TimeSpan.FromSeconds(60), "it was not verified", cancellationToken);
        foreach (var node in new[] { source, target })
        {
            foreach (var sql in new[] { "ALTER TABLE a ADD COLUMN direct int", "TRUNCATE a", "VACUUM FULL a", "DROP TABLE b" })
            {
                var refused = Assert.ThrowsAsync<PostgresException>(() => Db.ExecuteAsync(proxy.NodeConnectionString(node) + ";Options=-c lock_timeout=300ms", sql, cancellationToken));
                Assert.That(refused!.SqlState, Is.EqualTo(PostgresErrorCodes.LockNotAvailable), $"{sql} on {node}");
            }
        }

        var altered = Db.ExecuteAsync(proxy.ConnectionString(), "ALTER TABLE a ADD COLUMN late int DEFAULT 7", cancellationToken);
        var truncated = Db.ExecuteAsync(proxy.ConnectionString(), "TRUNCATE b", cancellationToken);
        await Db.ExecuteAsync(proxy.ConnectionString(), "CREATE TABLE c (a_id bigint PRIMARY KEY)", cancellationToken);
        var busy = Assert.ThrowsAsync<PostgresException>(() => console.RunAsync("SHARD TABLE c BY HASH (a_id) COLOCATE WITH a", cancellationToken));
        Assert.That(busy!.Detail, Does.Contain("SHP-635"));
        Assert.That((altered.IsCompleted, truncated.IsCompleted), Is.EqualTo((false, false)), "both wait for the move");

        await open.RunAsync("COMMIT", cancellationToken);
        await Eventually.IsTrueAsync(async () => await StateAsync(console, cancellationToken) == "done", TimeSpan.FromSeconds(60), "it did not end", cancellationToken);
        await Task.WhenAll(altered, truncated);
        Assert.That(await NodeAudit.OnEachNodeAsync(proxy, "SELECT count(*) FROM b", cancellationToken), Is.All.Zero);
        Assert.That(await Db.ScalarAsync<long>(proxy.ConnectionString(), "SELECT sum(late) FROM a", cancellationToken), Is.EqualTo(7 * Rows));
        await console.RunAsync("SHARD TABLE c BY HASH (a_id) COLOCATE WITH a", cancellationToken);
        await Db.ExecuteAsync(proxy.ConnectionString(), $"INSERT INTO c VALUES ({key})", cancellationToken);
        Assert.That(await Db.ScalarAsync<long>(proxy.NodeConnectionString(target), "SELECT count(*) FROM c", cancellationToken), Is.EqualTo(1), "it is where its range has gone");
        await NodeAudit.AssertSettledAsync(proxy, cancellationToken, ("a", "id"));
    }

    [Test]
    [CancelAfter(240_000)]
    public async Task Fifty_tables_of_a_group_move_together_under_writers(CancellationToken cancellationToken)
    {
        await using var proxy = await ProxyProcess.StartAsync(new ProxyProcessOptions { Nodes = 2 }, cancellationToken);
        await using var console = await ConsoleClient.OpenAsync(proxy, cancellationToken);
        for (var i = 0; i < ManyTables; i++)
        {
            await Db.ExecuteAsync(proxy.ConnectionString(), $"CREATE TABLE t{i} (id bigint PRIMARY KEY, n bigint NOT NULL DEFAULT 0)", cancellationToken);
            await console.RunAsync($"SHARD TABLE t{i} BY HASH (id){(i == 0 ? "" : " COLOCATE WITH t0")}", cancellationToken);
            await Db.ExecuteAsync(proxy.ConnectionString(), $"INSERT INTO t{i} SELECT i FROM generate_series(1, 40) i", cancellationToken);
        }

        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var writers = Enumerable.Range(0, 3).Select(w => Task.Run(() => WriteAsync(proxy, w, stop.Token), cancellationToken)).ToList();
        var range = (await console.RangesOfAsync("t0", cancellationToken))[0];
        foreach (var node in new[] { "node2", "node1" })
        {
            await console.RunAsync($"MOVE RANGE {range.Id} TO {node}", cancellationToken);
        }

        await stop.CancelAsync();
        var written = (await Task.WhenAll(writers)).Sum();
        Assert.That(written, Is.GreaterThan(0));
        var sum = 0L;
        for (var i = 0; i < ManyTables; i++)
        {
            Assert.That(await Db.ScalarAsync<long>(proxy.ConnectionString(), $"SELECT count(*) FROM t{i}", cancellationToken), Is.EqualTo(40), $"t{i}");
            sum += (long)await Db.ScalarAsync<decimal>(proxy.ConnectionString(), $"SELECT sum(n) FROM t{i}", cancellationToken);
        }

        Assert.That(sum, Is.EqualTo(written));
        await NodeAudit.AssertSettledAsync(proxy, cancellationToken, ("t0", "id"), ("t49", "id"));
    }

    private static async Task<string?> StateAsync(ConsoleClient console, CancellationToken cancellationToken) => (await console.RowsAsync("SHOW MIGRATIONS", cancellationToken))[^1]["state"];

    private static async Task<long> WriteAsync(ProxyProcess proxy, int seed, CancellationToken stop)
    {
        var random = new Random(seed);
        await using var connection = await Db.OpenAsync(proxy.ConnectionString(), CancellationToken.None);
        var written = 0L;
        while (!stop.IsCancellationRequested)
        {
            var sql = string.Create(CultureInfo.InvariantCulture, $"UPDATE t{random.Next(ManyTables)} SET n = n + 1 WHERE id = {random.Next(1, 41)}");
            Assert.That(await connection.RunAsync(sql, CancellationToken.None), Is.EqualTo(1));
            written++;
        }

        return written;
    }
}
