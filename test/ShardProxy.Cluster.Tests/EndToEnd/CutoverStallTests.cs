using System.Collections.Concurrent;
using Npgsql;
using NUnit.Framework;
using ShardProxy.Cluster.Tests.EndToEnd.Tools;
using ShardProxy.TestKit.Clusters;

namespace ShardProxy.Cluster.Tests.EndToEnd;

// Protects the clients of a range that moves: they see no error, no lost or doubled update, and only a short wait at each cutover. The
// figures are printed; a test holds no tight time.
[TestFixture]
internal sealed class CutoverStallTests
{
    private const int Clients = 4;
    private const int Moves = 8;
    private const int Rows = 2_000;

    [Test]
    [CancelAfter(180_000)]
    public async Task Clients_of_a_moving_range_wait_briefly_and_lose_nothing(CancellationToken cancellationToken)
    {
        await using var proxy = await ProxyProcess.StartAsync(cancellationToken: cancellationToken);
        await Db.ExecuteAsync(proxy.ConnectionString(), "CREATE TABLE hot (id bigint PRIMARY KEY, n bigint NOT NULL DEFAULT 0)", cancellationToken);
        await using var console = await ConsoleClient.OpenAsync(proxy, cancellationToken);
        await console.RunAsync("SHARD TABLE hot BY HASH (id)", cancellationToken);
        await Db.CopyInAsync(proxy.ConnectionString(), "hot (id)", Enumerable.Range(1, Rows).Select(i => $"{i}"), cancellationToken);
        var range = (await console.RangesOfAsync("hot", cancellationToken))[0];
        var keys = (await Db.RowsAsync(
            proxy.NodeConnectionString(range.Node), $"SELECT id FROM hot WHERE hashint8extended(id, 0) < {range.To} ORDER BY id", cancellationToken))
            .ConvertAll(r => long.Parse(r["id"]!, System.Globalization.CultureInfo.InvariantCulture));
        Assert.That(keys, Is.Not.Empty);

        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var updates = new ConcurrentBag<(long Began, TimeSpan Took)>();
        var clients = Enumerable.Range(0, Clients).Select(c => Task.Run(() => UpdateAsync(proxy, keys, c, updates, stop.Token), cancellationToken)).ToList();
        var moves = new List<(long Began, long Ended)>();
        for (var move = 0; move < Moves; move++)
        {
            var began = TimeProvider.System.GetTimestamp();
            await console.RunAsync($"MOVE RANGE {range.Id} TO {(move % 2 == 0 ? "node2" : "node1")}", cancellationToken);
            moves.Add((began, TimeProvider.System.GetTimestamp()));
        }

        await stop.CancelAsync();
        await Task.WhenAll(clients);

        // The longest wait of a client in each move: upper bound of the stall, as statements also wait for the machine.
        var worst = moves.ConvertAll(m => updates.Where(u => u.Began >= m.Began && u.Began <= m.Ended).Max(u => u.Took.TotalMilliseconds));
        worst.Sort();
        var migrations = await console.RowsAsync("SHOW MIGRATIONS", cancellationToken);
        Assert.That(migrations.Select(m => m["state"]), Is.All.EqualTo("done"));
        await TestContext.Out.WriteLineAsync(
            $"{updates.Count} updates by {Clients} clients over {Moves} moves; longest wait of a client in a move: p50 {worst[worst.Count / 2]:0} ms, worst {worst[^1]:0} ms; "
            + $"stall_ms as shown: {string.Join(", ", migrations.Select(m => m["stall_ms"]))}");
        Assert.That(worst[^1], Is.LessThan(5_000));
        Assert.That(await Db.ScalarAsync<decimal>(proxy.ConnectionString(), "SELECT sum(n) FROM hot", cancellationToken), Is.EqualTo(updates.Count), "every acknowledged update once");
        await NodeAudit.AssertSettledAsync(proxy, cancellationToken, ("hot", "id"));
    }

    private static async Task UpdateAsync(
        ProxyProcess proxy, List<long> keys, int client, ConcurrentBag<(long Began, TimeSpan Took)> updates, CancellationToken stop)
    {
        await using var connection = await Db.OpenAsync(proxy.ConnectionString(), stop);
        await using var command = new NpgsqlCommand("UPDATE hot SET n = n + 1 WHERE id = $1", connection) { Parameters = { new NpgsqlParameter<long>() } };
        for (var i = client; !stop.IsCancellationRequested; i += Clients)
        {
            ((NpgsqlParameter<long>)command.Parameters[0]).TypedValue = keys[i % keys.Count];
            var began = TimeProvider.System.GetTimestamp();
            // Not cancelled: an update whose end nobody waits for could not be counted.
            Assert.That(await command.ExecuteNonQueryAsync(CancellationToken.None), Is.EqualTo(1));
            updates.Add((began, TimeProvider.System.GetElapsedTime(began)));
        }
    }
}
