using System.Globalization;
using NUnit.Framework;
using ShardProxy.Cluster.Tests.EndToEnd.Tools;
using ShardProxy.TestKit.Clusters;

namespace ShardProxy.Cluster.Tests.EndToEnd;

// Protects the promise of the first page: stock pgbench runs through the proxy with its tables sharded or replicated, while ranges
// move, without one failed transaction, and its own bookkeeping agrees at the end.
[TestFixture]
internal sealed class PgbenchTests
{
    private ProxyProcess _proxy = null!;

    [OneTimeSetUp]
    public async Task StartAsync() => _proxy = await ProxyProcess.StartAsync();

    [OneTimeTearDown]
    public async Task StopAsync() => await _proxy.DisposeAsync();

    [Test]
    [CancelAfter(180_000)]
    public async Task Every_protocol_mode_runs_while_ranges_move(CancellationToken cancellationToken)
    {
        await PgbenchTables.InitializeAsync(_proxy, "dtgvp", 1, cancellationToken);
        await PgbenchTables.PlaceAsync(_proxy, PgbenchTables.Spread, cancellationToken);
        await RunWhileRangesMoveAsync(["simple", "extended", "prepared"], seconds: 6, cancellationToken);
        await NodeAudit.AssertSettledAsync(_proxy, cancellationToken, ("pgbench_accounts", "aid"), ("pgbench_history", "aid"), ("pgbench_tellers", "tid"));
        var replicas = await NodeAudit.OnEachNodeAsync(_proxy, "SELECT sum(bbalance) FROM pgbench_branches", cancellationToken);
        Assert.That(replicas.Distinct().Count(), Is.EqualTo(1), "the replicated table must be the same on every node");
    }

    [Test]
    [CancelAfter(180_000)]
    public async Task Tables_sharded_while_empty_are_filled_by_pgbench_over_all_nodes(CancellationToken cancellationToken)
    {
        await PgbenchTables.InitializeAsync(_proxy, "dtp", 2, cancellationToken);
        await PgbenchTables.PlaceAsync(_proxy, PgbenchTables.SmallReplicated, cancellationToken);
        await PgbenchTables.InitializeAsync(_proxy, "gv", 2, cancellationToken);
        var perNode = await NodeAudit.OnEachNodeAsync(_proxy, "SELECT count(*) FROM pgbench_accounts", cancellationToken);
        Assert.That(perNode.Sum(), Is.EqualTo(200_000));
        Assert.That(perNode, Is.All.InRange(50_000, 80_000));

        // Filling again truncates what is there, on every node.
        await PgbenchTables.InitializeAsync(_proxy, "g", 2, cancellationToken);
        Assert.That((await NodeAudit.OnEachNodeAsync(_proxy, "SELECT count(*) FROM pgbench_accounts", cancellationToken)).Sum(), Is.EqualTo(200_000));
        await RunWhileRangesMoveAsync(["prepared"], seconds: 5, cancellationToken);
        await NodeAudit.AssertSettledAsync(_proxy, cancellationToken, ("pgbench_accounts", "aid"), ("pgbench_history", "aid"));
    }

    [Test]
    [CancelAfter(180_000)]
    public async Task All_four_tables_may_be_replicated(CancellationToken cancellationToken)
    {
        await PgbenchTables.InitializeAsync(_proxy, "dtgvp", 1, cancellationToken);
        await PgbenchTables.PlaceAsync(_proxy, PgbenchTables.AllReplicated, cancellationToken);
        await PgbenchTables.RunAsync(_proxy, "simple", 4, 4, cancellationToken);
        await PgbenchTables.RunAsync(_proxy, "prepared", 4, 4, cancellationToken);
        await PgbenchTables.AssertSumsAgreeAsync(_proxy, cancellationToken);
        foreach (var (table, column) in new[] { ("accounts", "abalance"), ("tellers", "tbalance"), ("branches", "bbalance"), ("history", "delta") })
        {
            var sums = await NodeAudit.OnEachNodeAsync(_proxy, $"SELECT sum({column}) FROM pgbench_{table}", cancellationToken);
            Assert.That(sums.Distinct().Count(), Is.EqualTo(1), $"pgbench_{table} differs between nodes: {string.Join(", ", sums)}");
        }

        await NodeAudit.AssertSettledAsync(_proxy, cancellationToken);
    }

    [Test]
    [CancelAfter(180_000)]
    public async Task Initializing_again_begins_with_ordinary_tables(CancellationToken cancellationToken)
    {
        await PgbenchTables.InitializeAsync(_proxy, "dtgvp", 1, cancellationToken);
        await PgbenchTables.PlaceAsync(_proxy, PgbenchTables.Spread, cancellationToken);
        await PgbenchTables.InitializeAsync(_proxy, "dtgvp", 1, cancellationToken);
        await using (var console = await ConsoleClient.OpenAsync(_proxy, cancellationToken))
        {
            Assert.That((await console.RowsAsync("SHOW TABLES", cancellationToken)).Where(r => r["table"]!.StartsWith("pgbench", StringComparison.Ordinal)), Is.Empty);
        }

        // The dropped ones are gone everywhere, the new ones on the home node only.
        var tables = await NodeAudit.OnEachNodeAsync(_proxy, "SELECT count(*) FROM pg_class WHERE relname ~ '^pgbench_.*s$|^pgbench_history$'", cancellationToken);
        Assert.That(tables, Is.EqualTo(new long[] { 4, 0, 0 }));
        await PgbenchTables.PlaceAsync(_proxy, PgbenchTables.Spread, cancellationToken);
        await PgbenchTables.RunAsync(_proxy, "extended", 4, 3, cancellationToken);
        await PgbenchTables.AssertSumsAgreeAsync(_proxy, cancellationToken);
    }

    [Test]
    [CancelAfter(180_000)]
    public async Task A_split_range_moves_by_halves(CancellationToken cancellationToken)
    {
        await PgbenchTables.InitializeAsync(_proxy, "dtgvp", 1, cancellationToken);
        await PgbenchTables.PlaceAsync(_proxy, PgbenchTables.SmallReplicated, cancellationToken);
        var load = PgbenchTables.RunAsync(_proxy, "simple", 4, 6, cancellationToken);
        await using (var console = await ConsoleClient.OpenAsync(_proxy, cancellationToken))
        {
            var before = await console.RangesOfAsync("pgbench_accounts", cancellationToken);
            var range = before[1];
            var middle = range.From + ((range.To!.Value - range.From) / 2);
            await console.RunAsync(string.Create(CultureInfo.InvariantCulture, $"SPLIT RANGE {range.Id} AT ('{middle}')"), cancellationToken);
            var after = await console.RangesOfAsync("pgbench_accounts", cancellationToken);
            var upper = after.Single(r => r.From == middle);
            Assert.That(after, Has.Count.EqualTo(before.Count + 1));
            Assert.That(after.Single(r => r.Id == range.Id).To, Is.EqualTo(middle), "the lower half keeps the id");
            await console.RunAsync($"MOVE RANGE {upper.Id} TO node3", cancellationToken);
            await console.RunAsync($"MOVE RANGE {range.Id} TO node2", cancellationToken);
            after = await console.RangesOfAsync("pgbench_accounts", cancellationToken);
            Assert.That(after.Single(r => r.Id == upper.Id).Node, Is.EqualTo("node3"));
            Assert.That(after.Single(r => r.Id == range.Id).Node, Is.EqualTo("node2"));
        }

        await load;
        await PgbenchTables.AssertSumsAgreeAsync(_proxy, cancellationToken);
        await NodeAudit.AssertSettledAsync(_proxy, cancellationToken, ("pgbench_accounts", "aid"), ("pgbench_history", "aid"));
    }

    private async Task RunWhileRangesMoveAsync(string[] modes, int seconds, CancellationToken cancellationToken)
    {
        var accounts = await Db.ScalarAsync<long>(_proxy.ConnectionString(), "SELECT count(*) FROM pgbench_accounts", cancellationToken);
        await using var mover = RangeMover.Start(_proxy, "pgbench_accounts");
        foreach (var mode in modes)
        {
            await PgbenchTables.RunAsync(_proxy, mode, 4, seconds, cancellationToken);
        }

        var moves = await mover.StopAsync();
        Assert.That(moves, Is.GreaterThan(0));
        await TestContext.Out.WriteLineAsync($"{moves} moves meanwhile");
        await PgbenchTables.AssertSumsAgreeAsync(_proxy, cancellationToken);
        Assert.That(await Db.ScalarAsync<long>(_proxy.ConnectionString(), "SELECT count(*) FROM pgbench_accounts", cancellationToken), Is.EqualTo(accounts));
    }
}
