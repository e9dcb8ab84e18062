using System.Text.Json;
using Npgsql;
using NUnit.Framework;
using ShardProxy.Cluster.Tests.EndToEnd.Tools;
using ShardProxy.TestKit.Clusters;

namespace ShardProxy.Cluster.Tests.EndToEnd;

// Protects the restart without a gap: two real `serve` processes, the second taking over from the first. Nobody who connects is refused, who is
// in a transaction finishes it, nothing is placed or moved while both live, what DDL changes is known to both, and whatever fails on the way
// leaves one process that serves, or none that could be wrong.
[TestFixture]
internal sealed class HandoverTests
{
    private TestCluster _cluster = null!;
    private DirectoryInfo _directory = null!;

    [OneTimeSetUp]
    public async Task StartAsync()
    {
        _directory = Directory.CreateTempSubdirectory("shardproxy-test-");
        _cluster = await TestCluster.StartAsync(nodes: 2);
    }

    [OneTimeTearDown]
    public async Task StopAsync()
    {
        await _cluster.DisposeAsync();
        _directory.Delete(recursive: true);
    }

    [Test]
    [CancelAfter(180_000)]
    public async Task The_new_process_takes_over_and_no_client_sees_an_error(CancellationToken cancellationToken)
    {
        var options = Configured("smooth", clientWaitMs: 5000);
        await using var old = await ProxyProcess.StartAsync(options, cancellationToken);
        await Db.ExecuteAsync(old.ConnectionString(), "CREATE TABLE kept (id bigint PRIMARY KEY); CREATE TABLE noted (id bigint)", cancellationToken);
        await using (var console = await ConsoleClient.OpenAsync(old, cancellationToken))
        {
            await console.RunAsync("SHARD TABLE kept BY HASH (id)", cancellationToken);
        }

        await using var inTransaction = await Db.OpenAsync(old.ConnectionString(), cancellationToken);
        await inTransaction.RunAsync("BEGIN", cancellationToken);
        await inTransaction.RunAsync("INSERT INTO kept VALUES (-1)", cancellationToken);
        await using var busy = await Db.OpenAsync(old.ConnectionString(), cancellationToken);
        await using var sleeping = new NpgsqlCommand("SELECT pg_sleep(120)", busy) { CommandTimeout = 0 };
        var asleep = sleeping.ExecuteNonQueryAsync(CancellationToken.None);

        using var enough = new CancellationTokenSource();
        var connecting = Enumerable.Range(0, 6).Select(c => Task.Run(() => InsertAsync(old.ConnectionString(), c * 1_000_000, enough.Token), cancellationToken)).ToArray();
        await using var next = await ProxyProcess.StartAsync(options, cancellationToken);

        // Both live: the old one has the transaction and the sleeper.
        Assert.That(old.HasExited, Is.False);
        await using (var console = await ConsoleClient.OpenAsync(next, cancellationToken))
        {
            var version = (await console.RowsAsync("SHOW VERSION", cancellationToken)).Single();
            Assert.That((version["process_id"], version["handover"]), Is.EqualTo(($"{next.ProcessId}", $"process {old.ProcessId} is ending; nothing can be placed or moved until it has")));
            var refused = Assert.ThrowsAsync<PostgresException>(async () => await console.RunAsync("REPLICATE TABLE noted", cancellationToken))!;
            Assert.That((refused.SqlState, refused.Detail), Is.EqualTo(("55006", "SHP-514")));
            var range = (await console.RangesOfAsync("kept", cancellationToken))[0];
            refused = Assert.ThrowsAsync<PostgresException>(async () => await console.RunAsync($"MOVE RANGE {range.Id} TO {(range.Node == "node1" ? "node2" : "node1")}", cancellationToken))!;
            Assert.That(refused.Detail, Is.EqualTo("SHP-514"));
        }

        using (var http = new HttpClient { BaseAddress = next.Http })
        {
            using var ready = JsonDocument.Parse(await http.GetStringAsync(new Uri("readyz", UriKind.Relative), cancellationToken));
            Assert.That(ready.RootElement.GetProperty("checks").EnumerateArray().Single(c => c.GetProperty("name").GetString() == "hand-over").GetProperty("note").GetString(), Does.Contain($"{old.ProcessId}"));
        }

        // What either does to the schema, the other knows: a view over a sharded table shows the rows of all nodes, not the home node's.
        // (Schema changes are known when the client that made them has its next answer.)
        await using var creating = await Db.OpenAsync(next.ConnectionString(), cancellationToken);
        await creating.RunAsync("CREATE VIEW seen AS SELECT * FROM kept", cancellationToken);
        await creating.RunAsync("SELECT 1", cancellationToken);
        await inTransaction.RunAsync("INSERT INTO kept SELECT -g FROM generate_series(2, 12) g", cancellationToken);
        await using (var counting = new NpgsqlCommand("SELECT count(*) FROM seen WHERE id < 0", inTransaction))
        {
            Assert.That(await counting.ExecuteScalarAsync(cancellationToken), Is.EqualTo(12L));
        }

        await inTransaction.RunAsync("CREATE VIEW seen_too AS SELECT * FROM kept", cancellationToken);
        await inTransaction.RunAsync("COMMIT", cancellationToken);
        await Eventually.IsTrueAsync(
            async () => await Db.ScalarAsync<long>(next.ConnectionString(), "SELECT count(*) FROM seen_too WHERE id < 0", cancellationToken) == 12, TimeSpan.FromSeconds(20), "the new process does not know of the view", cancellationToken);

        // A cancel request comes to the new process, the statement is the old one's.
        sleeping.Cancel();
        Assert.That(async () => await asleep, Throws.InstanceOf<OperationCanceledException>().With.InnerException.Property("SqlState").EqualTo("57014"));

        Assert.That(await old.WaitForExitAsync(cancellationToken), Is.Zero, old.Output);
        await enough.CancelAsync();
        var inserted = (await Task.WhenAll(connecting)).Sum();
        Assert.That(inserted, Is.Positive);
        Assert.That(await Db.ScalarAsync<long>(next.ConnectionString(), "SELECT count(*) FROM kept", cancellationToken), Is.EqualTo(inserted + 12));
        var told = Assert.ThrowsAsync<PostgresException>(async () => await inTransaction.RunAsync("SELECT 1", cancellationToken))!;
        Assert.That(told.SqlState, Is.EqualTo("57P01"));

        await using var after = await ConsoleClient.OpenAsync(next, cancellationToken);
        await Eventually.IsTrueAsync(
            async () => (await after.RowsAsync("SHOW VERSION", cancellationToken)).Single()["handover"] is null, TimeSpan.FromSeconds(10), "the hand-over does not end", cancellationToken);
        await after.RunAsync("REPLICATE TABLE noted", cancellationToken);
    }

    [Test]
    [CancelAfter(120_000)]
    public async Task A_new_process_that_cannot_start_leaves_the_old_one_as_it_was(CancellationToken cancellationToken)
    {
        var options = Configured("failing", clientWaitMs: 0);
        await using var old = await ProxyProcess.StartAsync(options, cancellationToken);
        await Db.ExecuteAsync(old.ConnectionString(), "CREATE TABLE placed_after (id int PRIMARY KEY)", cancellationToken);
        await using var open = await Db.OpenAsync(old.ConnectionString(), cancellationToken);
        var broken = options.ConfigFile + ".broken.yaml";
        await File.WriteAllTextAsync(broken, (await File.ReadAllTextAsync(options.ConfigFile!, cancellationToken)).Replace($":{_cluster.Nodes[1].Port}/", $":{ServeFile.FreePort()}/", StringComparison.Ordinal), cancellationToken);
        Assert.ThrowsAsync<InvalidOperationException>(async () => await (await ProxyProcess.StartAsync(options with { ConfigFile = broken }, cancellationToken)).DisposeAsync());
        Assert.That(await open.RunAsync("SELECT 1", cancellationToken), Is.EqualTo(-1));
        await Eventually.IsTrueAsync(
            async () => await TryAsync(() => Db.ExecuteAsync(old.ConsoleConnectionString, "REPLICATE TABLE placed_after", cancellationToken)), TimeSpan.FromSeconds(30), "the old process does not go on", cancellationToken);

        // And the next one can.
        await using var next = await ProxyProcess.StartAsync(options, cancellationToken);
        Assert.That(await old.WaitForExitAsync(cancellationToken), Is.Zero, old.Output);
        Assert.That(await Db.ScalarAsync<int>(next.ConnectionString(), "SELECT 7", cancellationToken), Is.EqualTo(7));
    }

    [Test]
    [CancelAfter(120_000)]
    public async Task An_old_process_whose_successor_dies_ends_at_once(CancellationToken cancellationToken)
    {
        var options = Configured("dying", clientWaitMs: 60_000);
        await using var old = await ProxyProcess.StartAsync(options, cancellationToken);
        await using var inTransaction = await Db.OpenAsync(old.ConnectionString(), cancellationToken);
        await inTransaction.RunAsync("BEGIN", cancellationToken);
        await inTransaction.RunAsync("SELECT 1", cancellationToken);
        await using (var next = await ProxyProcess.StartAsync(options, cancellationToken))
        {
            // A third one has to wait: only two may live.
            Assert.ThrowsAsync<InvalidOperationException>(async () => await (await ProxyProcess.StartAsync(options, cancellationToken)).DisposeAsync());
            next.Signal(9);
            await next.WaitForExitAsync(cancellationToken);
        }

        await old.WaitForExitAsync(cancellationToken);
        Assert.That(async () => await inTransaction.RunAsync("SELECT 1", cancellationToken), Throws.InstanceOf<NpgsqlException>());
        await using var third = await ProxyProcess.StartAsync(options, cancellationToken);
        Assert.That(await Db.ScalarAsync<int>(third.ConnectionString(), "SELECT 7", cancellationToken), Is.EqualTo(7));
    }

    [Test]
    [CancelAfter(180_000)]
    public async Task No_hand_over_while_a_range_moves(CancellationToken cancellationToken)
    {
        var options = Configured("moving", clientWaitMs: 0);
        await using var old = await ProxyProcess.StartAsync(options, cancellationToken);
        await Db.ExecuteAsync(old.ConnectionString(), "CREATE TABLE moved (id bigint PRIMARY KEY)", cancellationToken);
        await using var console = await ConsoleClient.OpenAsync(old, cancellationToken);
        await console.RunAsync("SHARD TABLE moved BY HASH (id)", cancellationToken);

        // The move waits for this transaction.
        await using var inTransaction = await Db.OpenAsync(old.ConnectionString(), cancellationToken);
        await inTransaction.RunAsync("BEGIN", cancellationToken);
        await inTransaction.RunAsync("INSERT INTO moved VALUES (1)", cancellationToken);
        var owner = await _cluster.ScalarAsync<long>(0, "SELECT count(*) FROM pg_locks l JOIN pg_class c ON c.oid = l.relation WHERE c.relname = 'moved'", cancellationToken) > 0 ? "node1" : "node2";
        foreach (var range in (await console.RangesOfAsync("moved", cancellationToken)).Where(r => r.Node == owner))
        {
            await console.RunAsync($"MOVE RANGE {range.Id} TO {(owner == "node1" ? "node2" : "node1")} NOWAIT", cancellationToken);
        }

        var refused = Assert.ThrowsAsync<InvalidOperationException>(async () => await (await ProxyProcess.StartAsync(options, cancellationToken)).DisposeAsync())!;
        Assert.That(refused.Message, Does.Contain("SHP-515"));
        await inTransaction.RunAsync("COMMIT", cancellationToken);
        await Eventually.IsTrueAsync(
            async () => (await console.RowsAsync("SHOW MIGRATIONS", cancellationToken)).All(m => m["state"] == "done"), TimeSpan.FromSeconds(90), "the moves do not end", cancellationToken);
        await using var next = await ProxyProcess.StartAsync(options, cancellationToken);
        Assert.That(await Db.ScalarAsync<long>(next.ConnectionString(), "SELECT count(*) FROM moved", cancellationToken), Is.EqualTo(1));
    }

    // Each round a connection of its own: what is asked of the proxy is that none of them fails.
    private static async Task<int> InsertAsync(string connectionString, int from, CancellationToken enough)
    {
        var id = from;
        while (!enough.IsCancellationRequested)
        {
            await using var connection = await Db.OpenAsync(connectionString, CancellationToken.None);
            await using var transaction = await connection.BeginTransactionAsync(CancellationToken.None);
            await connection.RunAsync($"INSERT INTO kept VALUES ({id++})", CancellationToken.None);
            await transaction.CommitAsync(CancellationToken.None);
        }

        return id - from;
    }

    private static async Task<bool> TryAsync(Func<Task> action)
    {
        try
        {
            await action();
            return true;
        }
        catch (PostgresException)
        {
            return false;
        }
    }

    private ProxyProcessOptions Configured(string id, int clientWaitMs) => ServeFile.Write(
        Path.Combine(_directory.FullName, id + ".yaml"),
        _cluster,
        new ServeSections($"handover: {{ socket: {Path.Combine(_directory.FullName, id + ".sock")}, client_wait_ms: {clientWaitMs} }}"));
}
