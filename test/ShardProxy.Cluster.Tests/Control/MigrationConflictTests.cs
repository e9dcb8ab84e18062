using NUnit.Framework;
using ShardProxy.Control.Migration;
using ShardProxy.Model.Errors;

namespace ShardProxy.Cluster.Tests.Control;

/// <summary>
/// Protects moves from each other and from whoever else changes ranges: one wins, the other waits or is told by a code what is in the way, every row is where it belongs, and
/// nothing is left.
/// </summary>
internal sealed class MigrationConflictTests
{
    private const int Accounts = 300;
    private static readonly string[] LateSteps = ["way back", "rollback window", "clean up"];

    [Test]
    [CancelAfter(60_000)]
    public async Task Ranges_that_change_places_do_so_one_after_the_other(CancellationToken cancellationToken)
    {
        await using var harness = await ControlHarness.StartAsync();
        await harness.LoadAccountsAsync(Accounts);
        var (reached, goOn) = StopFirstAt(harness, "copy");
        var there = harness.Migrations.MoveAsync(1, "node2", cancellationToken);
        await reached.WaitAsync(cancellationToken);
        var back = harness.Migrations.MoveAsync(2, "node1", cancellationToken);
        Assert.That(() => harness.Migrations.List(harness.Nodes).Length, Is.EqualTo(2).After(5000, 10));
        var meanwhile = harness.Migrations.List(harness.Nodes).Select(m => m.State).ToList();
        goOn.SetResult();
        Assert.That(meanwhile, Is.EqualTo(new[] { "copying", "preparing" }), "the second one waits");
        Assert.That((await there).Error, Is.Null);
        Assert.That((await back).Error, Is.Null);
        await AssertPlacedAsync(harness, 2, 1);
    }

    [Test]
    [CancelAfter(60_000)]
    public async Task A_range_that_is_asked_for_twice_goes_where_it_was_asked_last(CancellationToken cancellationToken)
    {
        await using var harness = await ControlHarness.StartAsync();
        await harness.LoadAccountsAsync(Accounts);
        var (reached, goOn) = StopFirstAt(harness, "copy");
        var first = harness.Migrations.MoveAsync(1, "node2", cancellationToken);
        await reached.WaitAsync(cancellationToken);
        var again = harness.Migrations.MoveAsync(1, "node2", cancellationToken);
        var third = harness.Migrations.MoveAsync(1, "node3", cancellationToken);
        var home = harness.Migrations.MoveAsync(1, "node1", cancellationToken);
        Assert.That(() => harness.Migrations.List(harness.Nodes).Length, Is.EqualTo(4).After(5000, 10));
        goOn.SetResult();
        foreach (var moving in new[] { first, again, third, home })
        {
            Assert.That((await moving).Error, Is.Null);
        }

        await AssertPlacedAsync(harness, 1, 2);
    }

    [Test]
    [CancelAfter(60_000)]
    public async Task A_moving_range_is_not_split_and_a_second_planner_is_told_who_moves_it(CancellationToken cancellationToken)
    {
        await using var harness = await ControlHarness.StartAsync();
        await harness.LoadAccountsAsync(Accounts);
        var (reached, goOn) = StopFirstAt(harness, "copy");
        var winner = harness.Migrations;
        var moving = winner.MoveAsync(1, "node2", cancellationToken);
        await reached.WaitAsync(cancellationToken);
        var ranges = new RangeSplitter(harness.Catalog, harness.Fleet, winner.MigrationOf);
        Assert.That(Assert.ThrowsAsync<ShardProxyException>(() => ranges.SplitAsync(1, long.MinValue / 2, cancellationToken))!.Error.Code, Is.EqualTo("SHP-503"));

        // Another control plane over the same catalog, which does not know of the first one's queue.
        harness.NewManager();
        await using (var loser = harness.Migrations)
        {
            var refused = await loser.MoveAsync(1, "node3", cancellationToken);
            Assert.That(refused.Error?.Code, Is.EqualTo("SHP-506"));
            Assert.That(refused.Error!.Detail, Does.Contain("being moved by migration 1").And.Contain("CANCEL MIGRATION"));
        }

        harness.NewManager();
        goOn.SetResult();
        Assert.That((await moving).Error, Is.Null);
        await AssertPlacedAsync(harness, 2, 2);
        await winner.DisposeAsync();
    }

    [TestCaseSource(nameof(LateSteps))]
    [CancelAfter(60_000)]
    public async Task A_cancel_behind_the_commit_point_changes_nothing(string late, CancellationToken cancellationToken)
    {
        await using var harness = await ControlHarness.StartAsync(new MigrationOptions { RollbackWindow = TimeSpan.FromMilliseconds(200) });
        await harness.LoadAccountsAsync(Accounts);
        var (reached, goOn) = StopFirstAt(harness, late);
        var begun = await harness.Migrations.BeginMoveAsync(1, "node2", cancellationToken);
        await reached.WaitAsync(cancellationToken);
        var cancel = harness.Migrations.CancelAsync(begun.MigrationId!.Value, cancellationToken);
        goOn.SetResult();
        var refused = Assert.ThrowsAsync<ShardProxyException>(() => cancel)!.Error;
        Assert.That(refused.Code, Is.EqualTo("SHP-505"));
        Assert.That(refused.Hint, Does.Contain("ROLLBACK MIGRATION"));
        await harness.Migrations.CloseWindowsAsync(_ => true, cancellationToken);
        Assert.That(() => harness.Migrations.IsAtWork, Is.False.After(20_000, 20));
        Assert.That(() => harness.StateAsync().GetAwaiter().GetResult().Moves, Is.Empty.After(20_000, 50));
        await AssertPlacedAsync(harness, 2, 2);
        Assert.That(Assert.ThrowsAsync<ShardProxyException>(() => harness.Migrations.CancelAsync(begun.MigrationId.Value, cancellationToken))!.Error.Code, Is.EqualTo("SHP-504"), "when it is over");
    }

    // The first migration that comes to the step waits there.
    private static (Task Reached, TaskCompletionSource GoOn) StopFirstAt(ControlHarness harness, string at)
    {
        var reached = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var goOn = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        harness.Migrations.BeforeStep = async (_, step) =>
        {
            if (step == at && reached.TrySetResult())
            {
                // A test that fails before ends too.
                await goOn.Task.WaitAsync(TimeSpan.FromSeconds(40));
            }
        };
        return (reached.Task, goOn);
    }

    private static async Task AssertPlacedAsync(ControlHarness harness, int firstNode, int secondNode)
    {
        var state = await harness.StateAsync();
        Assert.That((state.FindRange(1)!.NodeId, state.FindRange(2)!.NodeId), Is.EqualTo((firstNode, secondNode)));
        var rows = 0L;
        foreach (var node in harness.Nodes)
        {
            rows += await harness.ScalarAsync<long>(node.Id, "SELECT count(*) FROM account");
        }

        Assert.That(rows, Is.EqualTo(Accounts));
        await harness.AssertNothingLeftAsync();
    }
}
