using Npgsql;
using NUnit.Framework;
using ShardProxy.Cluster.Tests.EndToEnd.Tools;
using ShardProxy.TestKit.Clusters;

namespace ShardProxy.Cluster.Tests.EndToEnd;

// Protects the data when the proxy dies at the worst moment: the next start removes or completes what was under way, and every row and
// every acknowledged commit is there once.
[TestFixture]
internal sealed class ProxyCrashTests
{
    private const int Rows = 30_000;

    [TestCase("copying")]
    [TestCase("catching_up")]
    [TestCase("verifying")]
    [TestCase("cutting_over")]
    [CancelAfter(180_000)]
    public async Task A_proxy_killed_in_a_move_leaves_nothing_behind_after_its_restart(string state, CancellationToken cancellationToken)
    {
        using var data = new ServerDirectory();
        var options = new ProxyProcessOptions { DataDirectory = data.Path };
        await using (var first = await ProxyProcess.StartAsync(options, cancellationToken))
        {
            await Db.ExecuteAsync(first.ConnectionString(), "CREATE TABLE t (id int PRIMARY KEY, pad text)", cancellationToken);
            await using var console = await ConsoleClient.OpenAsync(first, cancellationToken);
            await console.RunAsync("SHARD TABLE t BY HASH (id)", cancellationToken);
            await Db.CopyInAsync(first.ConnectionString(), "t (id, pad)", Enumerable.Range(1, Rows).Select(i => $"{i}\t{new string('x', 200)}"), cancellationToken);
            await console.RunAsync("MOVE RANGE 1 TO node2 NOWAIT", cancellationToken);
            var seen = await UntilStateAsync(console, state, cancellationToken);
            first.Signal(9);
            await first.WaitForExitAsync(cancellationToken);
            await TestContext.Out.WriteLineAsync($"killed in state {seen}");
        }

        var began = TimeProvider.System.GetTimestamp();
        await using var second = await ProxyProcess.StartAsync(options, cancellationToken);
        await TestContext.Out.WriteLineAsync($"ready again after {TimeProvider.System.GetElapsedTime(began).TotalSeconds:0.0} s");
        await using var again = await ConsoleClient.OpenAsync(second, cancellationToken);

        // What was before its cutover is taken back and begun again: between the two there is nothing left either, for a moment.
        await Eventually.IsTrueAsync(
            async () => (await again.RowsAsync("SHOW MIGRATIONS", cancellationToken)).All(m => m["state"] == "done")
                && (await NodeAudit.LeftoversAsync(second, cancellationToken)).Count == 0 && await NodeAudit.GhostRowsAsync(second, "t", "id", cancellationToken) == 0,
            TimeSpan.FromSeconds(30),
            "leftovers of the interrupted move",
            cancellationToken);
        Assert.That((await again.RangesOfAsync("t", cancellationToken)).Single(r => r.Id == 1).Node, Is.EqualTo("node2"));
        Assert.That((await NodeAudit.OnEachNodeAsync(second, "SELECT count(*) FROM t", cancellationToken)).Sum(), Is.EqualTo(Rows));
        Assert.That(await Db.ScalarAsync<long>(second.ConnectionString(), "SELECT count(*) FROM t", cancellationToken), Is.EqualTo(Rows));
        await again.RunAsync("MOVE RANGE 1 TO node3", cancellationToken);
        await NodeAudit.AssertSettledAsync(second, cancellationToken, ("t", "id"));
        Assert.That(await Db.ScalarAsync<long>(second.ConnectionString(), "SELECT count(*) FROM t", cancellationToken), Is.EqualTo(Rows));
    }

    [Test]
    [CancelAfter(180_000)]
    public async Task A_proxy_killed_in_two_phase_traffic_leaves_no_transaction_in_doubt(CancellationToken cancellationToken)
    {
        using var data = new ServerDirectory();
        var options = new ProxyProcessOptions { DataDirectory = data.Path };
        const int accounts = 60;
        var acknowledged = 0;
        await using (var first = await ProxyProcess.StartAsync(options, cancellationToken))
        {
            await Db.ExecuteAsync(first.ConnectionString(), "CREATE TABLE money (id int PRIMARY KEY, amount bigint NOT NULL, moves bigint NOT NULL DEFAULT 0)", cancellationToken);
            await using var console = await ConsoleClient.OpenAsync(first, cancellationToken);
            await console.RunAsync("SHARD TABLE money BY HASH (id)", cancellationToken);
            await Db.CopyInAsync(first.ConnectionString(), "money (id, amount)", Enumerable.Range(0, accounts).Select(i => $"{i}\t1000"), cancellationToken);
            var clients = Enumerable.Range(0, 6).Select(c => Task.Run(() => TransferAsync(first, c, accounts, () => Interlocked.Increment(ref acknowledged)), cancellationToken)).ToList();
            await Eventually.IsTrueAsync(() => Task.FromResult(Volatile.Read(ref acknowledged) > 60), TimeSpan.FromSeconds(60), "no transfers", cancellationToken);
            first.Signal(9);
            await first.WaitForExitAsync(cancellationToken);
            await Task.WhenAll(clients);
        }

        await using var second = await ProxyProcess.StartAsync(options, cancellationToken);
        var began = TimeProvider.System.GetTimestamp();
        var inDoubt = (await NodeAudit.OnEachNodeAsync(second, "SELECT count(*) FROM pg_prepared_xacts", cancellationToken)).Sum();
        await Eventually.IsTrueAsync(
            async () => (await NodeAudit.OnEachNodeAsync(second, "SELECT count(*) FROM pg_prepared_xacts", cancellationToken)).Sum() == 0,
            TimeSpan.FromSeconds(45),
            "a prepared transaction stayed",
            cancellationToken);
        await TestContext.Out.WriteLineAsync(
            $"{acknowledged} transfers acknowledged, {inDoubt} in doubt at the restart, resolved after {TimeProvider.System.GetElapsedTime(began).TotalSeconds:0.0} s");
        Assert.That(await Db.ScalarAsync<decimal>(second.ConnectionString(), "SELECT sum(amount) FROM money", cancellationToken), Is.EqualTo(accounts * 1000));
        var moves = await Db.ScalarAsync<decimal>(second.ConnectionString(), "SELECT sum(moves) FROM money", cancellationToken);
        // One more transfer for each client may have been committed without its answer having arrived.
        Assert.That(moves, Is.InRange(2m * acknowledged, 2m * (acknowledged + 6)));
        Assert.That(moves % 2, Is.Zero, "half a transfer");
    }

    private static async Task<string> UntilStateAsync(ConsoleClient console, string state, CancellationToken cancellationToken)
    {
        string[] order = ["preparing", "copying", "catching_up", "verifying", "cutting_over", "done"];
        while (true)
        {
            var now = (await console.RowsAsync("SHOW MIGRATIONS", cancellationToken)).Single()["state"]!;
            // A state may be over before it is seen; the later one serves as well.
            if (Array.IndexOf(order, now) >= Array.IndexOf(order, state))
            {
                return now;
            }

            Assert.That(order, Does.Contain(now));
        }
    }

    private static async Task TransferAsync(ProxyProcess proxy, int client, int accounts, Action acknowledged)
    {
        try
        {
            await using var connection = await Db.OpenAsync(proxy.ConnectionString(), CancellationToken.None);
            for (var i = 0; ; i++)
            {
                // Lower id first: these transfers cannot wait for each other in a circle.
                var from = ((client * 7) + (i * 11)) % (accounts - 1);
                var to = from + 1 + ((i * 13) % (accounts - 1 - from));
                await connection.RunAsync("BEGIN", CancellationToken.None);
                await connection.RunAsync($"UPDATE money SET amount = amount - 1, moves = moves + 1 WHERE id = {from}", CancellationToken.None);
                await connection.RunAsync($"UPDATE money SET amount = amount + 1, moves = moves + 1 WHERE id = {to}", CancellationToken.None);
                await connection.RunAsync("COMMIT", CancellationToken.None);
                acknowledged();
            }
        }
        catch (NpgsqlException e) when (e is not PostgresException)
        {
            // The proxy has been killed.
        }
    }
}
