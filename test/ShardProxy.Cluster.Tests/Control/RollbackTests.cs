using NUnit.Framework;
using ShardProxy.Control.Migration;

namespace ShardProxy.Cluster.Tests.Control;

/// <summary>
/// Protects the way back: for a while after a cutover the source follows the target, so that one more cutover brings the range back with everything that was written since,
/// and whatever ends that while leaves nothing behind.
/// </summary>
internal sealed class RollbackTests
{
    private const int Accounts = 1000;
    private static readonly MigrationOptions LongWindow = new() { RollbackWindow = TimeSpan.FromMinutes(5) };

    [Test]
    [CancelAfter(120_000)]
    public async Task A_range_comes_back_under_writers_with_every_row([Values(null, Accounts / 2)] int? splitKey, CancellationToken cancellationToken)
    {
        await using var harness = await ControlHarness.StartAsync(LongWindow, splitKey: splitKey);
        await harness.LoadAccountsAsync(Accounts);
        await using var writers = DirectWriters.Start(harness, 8, Accounts);
        for (var round = 0; round < 5; round++)
        {
            var moved = await harness.Migrations.MoveAsync(1, "node2", cancellationToken);
            Assert.That(moved.Error, Is.Null, $"{moved.Error?.Detail}");
            Assert.That((await harness.StateAsync()).FindRange(1)!.NodeId, Is.EqualTo(2));
            Assert.That(harness.Migrations.List(harness.Nodes)[^1].State, Is.EqualTo("done"));
            var written = writers.Transactions;
            while (writers.Transactions < written + 100)
            {
                await Task.Delay(5, cancellationToken);
            }

            var back = await harness.Migrations.RollbackAsync(moved.MigrationId!.Value, cancellationToken);
            Assert.That(back.Error, Is.Null, $"{back.Error?.Detail}");
            Assert.That(back.Notice, Is.Null, "by its own window, not by another move");
            Assert.That((await harness.StateAsync()).FindRange(1)!.NodeId, Is.EqualTo(1));
            Assert.That(harness.Migrations.List(harness.Nodes)[^1].State, Is.EqualTo("rolled_back"));
        }

        await writers.StopAsync();
        await TestContext.Out.WriteLineAsync($"{writers.Transactions} transactions, longest {writers.LongestTransactionMs:0} ms, longest hold {harness.Fleet.LongestHoldMs:0} ms");
        await RangeMoveTests.AssertAccountedAsync(harness, writers, Accounts);
        await harness.AssertNothingLeftAsync();
    }

    [Test]
    [CancelAfter(60_000)]
    public async Task A_window_closes_by_itself_and_the_range_can_still_be_brought_back(CancellationToken cancellationToken)
    {
        await using var harness = await ControlHarness.StartAsync(new MigrationOptions { RollbackWindow = TimeSpan.FromMilliseconds(300) });
        await harness.LoadAccountsAsync(Accounts);
        var moved = await harness.Migrations.MoveAsync(1, "node2", cancellationToken);
        Assert.That(moved.Error, Is.Null);
        await UntilIdleAsync(harness, cancellationToken);
        await harness.AssertNothingLeftAsync();

        var back = await harness.Migrations.RollbackAsync(moved.MigrationId!.Value, cancellationToken);
        Assert.That(back.Error, Is.Null);
        Assert.That(back.Notice, Does.Contain("had closed"));
        Assert.That((await harness.StateAsync()).FindRange(1)!.NodeId, Is.EqualTo(1));
        Assert.That(harness.Migrations.List(harness.Nodes).Select(m => m.State), Is.EqualTo(new[] { "rolled_back", "done" }));
        await harness.Migrations.CloseWindowsAsync(_ => true, cancellationToken);
        await harness.AssertNothingLeftAsync();
    }

    [Test]
    [CancelAfter(60_000)]
    public async Task Another_move_of_the_range_and_a_statement_that_waits_close_the_window(CancellationToken cancellationToken)
    {
        await using var harness = await ControlHarness.StartAsync(LongWindow);
        await harness.LoadAccountsAsync(Accounts);
        Assert.That((await harness.Migrations.MoveAsync(1, "node2", cancellationToken)).Error, Is.Null);
        foreach (var node in new[] { 1, 2 })
        {
            // Truncated directly, one side would keep what the other lost.
            var truncate = Assert.ThrowsAsync<Npgsql.PostgresException>(() => harness.ExecuteAsync(node, "TRUNCATE account"))!;
            Assert.That((truncate.SqlState, truncate.ConstraintName), Is.EqualTo((Model.Fleet.GateMarker.SqlState, Model.Fleet.GateMarker.ConstraintName)));
        }

        var second = await harness.Migrations.MoveAsync(1, "node3", cancellationToken);
        Assert.That(second.Error, Is.Null);
        Assert.That((await harness.StateAsync()).Moves.Select(m => m.MigrationId), Is.EqualTo(new[] { second.MigrationId }));

        harness.Fleet.MovesInTheWay = [second.MigrationId!.Value];
        await UntilIdleAsync(harness, cancellationToken);
        await harness.AssertNothingLeftAsync();
    }

    [Test]
    [CancelAfter(60_000)]
    public async Task A_source_that_was_changed_meanwhile_is_not_gone_back_to(CancellationToken cancellationToken)
    {
        await using var harness = await ControlHarness.StartAsync(LongWindow);
        await harness.LoadAccountsAsync(Accounts);
        var moved = await harness.Migrations.MoveAsync(1, "node2", cancellationToken);
        await harness.ExecuteAsync(
            1, $"SET session_replication_role = replica; SELECT set_config('shardproxy.pass', pg_backend_pid() || ':{moved.MigrationId}', false); UPDATE account SET balance = 1 WHERE id = {harness.KeyIn(1)}");
        var back = await harness.Migrations.RollbackAsync(moved.MigrationId!.Value, cancellationToken);
        Assert.That(back.Error?.Code, Is.EqualTo("SHP-520"));
        Assert.That(back.Error?.Detail, Does.Contain("differs"));
        Assert.That((await harness.StateAsync()).FindRange(1)!.NodeId, Is.EqualTo(2));
        Assert.That(harness.Migrations.List(harness.Nodes)[^1].State, Is.EqualTo("done"));
        await harness.AssertNothingLeftAsync();
    }

    [Test]
    [CancelAfter(60_000)]
    public async Task A_control_plane_that_finds_an_open_window_closes_it(CancellationToken cancellationToken)
    {
        await using var harness = await ControlHarness.StartAsync(LongWindow);
        await harness.LoadAccountsAsync(Accounts);
        Assert.That((await harness.Migrations.MoveAsync(1, "node2", cancellationToken)).Error, Is.Null);
        await harness.Migrations.DisposeAsync();
        harness.NewManager(LongWindow);
        await harness.Migrations.RecoverAsync(2, cancellationToken);
        await UntilIdleAsync(harness, cancellationToken);
        Assert.That(harness.Migrations.List(harness.Nodes).Single().State, Is.EqualTo("done"));
        await harness.AssertNothingLeftAsync();
    }

    [Test]
    [CancelAfter(60_000)]
    public async Task What_cannot_be_rolled_back_is_told_apart(CancellationToken cancellationToken)
    {
        await using var harness = await ControlHarness.StartAsync(LongWindow);
        await harness.LoadAccountsAsync(10);
        var first = await harness.Migrations.MoveAsync(1, "node2", cancellationToken);
        Assert.That((await harness.Migrations.MoveAsync(1, "node3", cancellationToken)).Error, Is.Null);
        Assert.That(
            async () => await harness.Migrations.RollbackAsync(first.MigrationId!.Value, cancellationToken),
            Throws.TypeOf<Model.Errors.ShardProxyException>().With.Property("Error").Property("Code").EqualTo("SHP-519"));
        Assert.That(
            async () => await harness.Migrations.CancelAsync(first.MigrationId!.Value, cancellationToken),
            Throws.TypeOf<Model.Errors.ShardProxyException>().With.Property("Error").Property("Code").EqualTo("SHP-504"));
    }

    // Idle: no window is open and nothing is under way.
    private static async Task UntilIdleAsync(ControlHarness harness, CancellationToken cancellationToken)
    {
        while (!(await harness.StateAsync()).Moves.IsEmpty || harness.Migrations.IsAtWork)
        {
            await Task.Delay(20, cancellationToken);
        }
    }
}
