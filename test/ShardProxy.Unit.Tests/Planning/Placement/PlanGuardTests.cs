using NUnit.Framework;
using ShardProxy.Model.Plans;
using ShardProxy.Model.Routing;
using ShardProxy.Planning.Placement;

namespace ShardProxy.Unit.Tests.Planning.Placement;

// Protects: whatever the planner thinks, a step that no longer fits the world or passes a budget must not be carried out.
public sealed class PlanGuardTests
{
    private static readonly DateTimeOffset Now = PlanningSamples.Epoch;
    private static readonly RoutingTable Table = PlanningSamples.Table(3, 1000, 1, 2, 3);
    private static readonly PlanGuard Guard = new(new GuardOptions { MaxMovesPerWindow = 2, MaxBytesPerWindow = 1000, MaxPlanAge = TimeSpan.FromMinutes(5) });

    private static PlanStep Move(int target = 2)
    {
        var range = Table.FindRange(1)!;
        return new PlanStep
        {
            Kind = PlanStepKind.Move,
            GroupId = PlanningSamples.Group,
            RangeId = 1,
            From = range.From,
            To = range.To,
            SourceNodeId = 1,
            TargetNodeId = target,
            Bytes = 400,
            Reason = "test",
        };
    }

    private static GuardVerdict Check(PlanStep step, RoutingTable? table = null, DateTimeOffset? madeAt = null, params PastMove[] past) => Guard.Check(
        new PlacementPlan { MadeAt = madeAt ?? Now, Epoch = 1, IsReactive = false, Steps = [step], Projections = [], Reason = "test" },
        step, table ?? Table, [.. past], Now);

    private static PastMove Past(long bytes) => new(PlanningSamples.Group, 0, 1, 3, 2, Now.AddMinutes(-10), bytes);

    [Test]
    public void A_fitting_step_is_allowed() => Assert.That(Check(Move()).IsAllowed, Is.True);

    [Test]
    public void A_stale_plan_is_refused() => Assert.That(Check(Move(), madeAt: Now.AddMinutes(-6)), Is.EqualTo(GuardVerdict.Never("the plan is too old: it was made for another load")));

    [Test]
    public void A_range_that_changed_since_is_refused()
    {
        Assert.That(Check(Move() with { To = 5 }).Reason, Does.Contain("split or merged"));
        Assert.That(Check(Move() with { SourceNodeId = 3 }).Reason, Does.Contain("has been moved"));
        Assert.That(Check(Move() with { GroupId = 9 }).Reason, Does.Contain("does not exist"));
    }

    [Test]
    public void Running_migrations_come_first()
    {
        RoutingTable With(int range, int source, int target) => PlanningSamples.Table(
            2, 3, 1000, Table.Group(PlanningSamples.Group).Ranges, new RangeMove(1, PlanningSamples.Group, range, source, target, MovePhase.Ghosts));

        Assert.That(Check(Move(), With(1, 1, 3)), Has.Property(nameof(GuardVerdict.IsTemporary)).True.And.Property(nameof(GuardVerdict.IsAllowed)).False);
        Assert.That(Check(Move(), With(3, 3, 2)), Has.Property(nameof(GuardVerdict.IsTemporary)).True.And.Property(nameof(GuardVerdict.IsAllowed)).False);
    }

    [Test]
    public void Budgets_of_moves_and_bytes_hold()
    {
        Assert.That(Check(Move(), past: [Past(0), Past(0)]).Reason, Does.Contain("2 moves"));
        Assert.That(Check(Move(), past: [Past(700)]).Reason, Does.Contain("bytes"));
        Assert.That(Check(Move(), past: [Past(500)]).IsAllowed, Is.True);
    }

    [Test]
    public void A_move_that_would_only_shift_the_trouble_is_refused()
    {
        var step = Move() with { Projections = [new NodeProjection(1, 700, 900, 100), new NodeProjection(2, 700, 200, 1000)] };

        Assert.That(Check(step).IsAllowed, Is.False);
    }

    [Test]
    public void What_forbids_the_move_forbids_the_splits_before_it()
    {
        var split = Move(1) with { Kind = PlanStepKind.Split, SplitAt = long.MinValue + 10 };
        var plan = new PlacementPlan { MadeAt = Now, Epoch = 1, IsReactive = false, Steps = [split, Move() with { From = long.MinValue + 10, RangeId = 0 }], Projections = [], Reason = "test" };

        Assert.That(Guard.CheckAhead(plan, Table, [], Now).IsAllowed, Is.True);
        Assert.That(Guard.CheckAhead(plan, Table, [Past(0), Past(0)], Now).Reason, Does.Contain("2 moves"));
    }

    [Test]
    public void A_target_that_is_not_another_node_is_refused([Values(1, 7)] int target) => Assert.That(Check(Move(target)).IsAllowed, Is.False);

    [Test]
    public void A_split_must_lie_inside_its_range()
    {
        var split = Move(1) with { Kind = PlanStepKind.Split, SplitAt = long.MinValue + 10 };

        Assert.That(Check(split).IsAllowed, Is.True);
        Assert.That(Check(split with { SplitAt = long.MinValue }).IsAllowed, Is.False);
        Assert.That(Check(split with { SplitAt = long.MaxValue }).IsAllowed, Is.False);
    }
}
