using System.Collections.Immutable;
using ShardProxy.Model.Plans;

namespace ShardProxy.Control.Planner;

/// <summary>The plans made so far, newest first, bounded. Owned by the planner loop; every change makes a new array.</summary>
internal sealed class PlanLog(int maximum)
{
    private readonly Lock _lock = new();
    private int _nextId = 1;

    public ImmutableArray<PlacementPlan> Plans { get; private set; } = [];

    /// <summary>
    /// Adds a plan and gives it its number. When the newest proposal wants the same thing next, it is brought up to date instead
    /// and keeps its number, so that an operator can approve what was read.
    /// </summary>
    public PlacementPlan Propose(PlacementPlan plan)
    {
        lock (_lock)
        {
            var now = plan.MadeAt;
            if (Plans.FirstOrDefault() is { State: PlanState.Proposed } newest)
            {
                if (WantsTheSame(newest, plan))
                {
                    return Replace(newest, plan with { Id = newest.Id, StateSince = newest.StateSince });
                }

                Replace(newest, newest with { State = PlanState.Superseded, StateSince = now, Outcome = "a newer plan took its place" });
            }

            var numbered = plan with { Id = _nextId++, StateSince = now };
            Plans = [numbered, .. Plans.Take(maximum - 1)];
            return numbered;
        }
    }

    public PlacementPlan? Find(int id)
    {
        lock (_lock)
        {
            return Plans.FirstOrDefault(p => p.Id == id);
        }
    }

    /// <summary>Sets the state of a plan if it is still in one of the expected states.</summary>
    public PlacementPlan? TryAdvance(int id, ReadOnlySpan<PlanState> from, PlanState to, string outcome, DateTimeOffset now)
    {
        lock (_lock)
        {
            var plan = Plans.FirstOrDefault(p => p.Id == id);
            return plan is not null && from.Contains(plan.State)
                ? Replace(plan, plan with { State = to, Outcome = outcome, StateSince = now })
                : null;
        }
    }

    /// <summary>Nothing is wanted any more: an open proposal lapses.</summary>
    public void Withdraw(DateTimeOffset now, string why)
    {
        lock (_lock)
        {
            if (Plans.FirstOrDefault() is { State: PlanState.Proposed } newest)
            {
                Replace(newest, newest with { State = PlanState.Superseded, StateSince = now, Outcome = why });
            }
        }
    }

    private static bool WantsTheSame(PlacementPlan a, PlacementPlan b)
    {
        var (x, y) = (a.Steps.FirstOrDefault(s => s.Kind == PlanStepKind.Move), b.Steps.FirstOrDefault(s => s.Kind == PlanStepKind.Move));
        return x is not null && y is not null && x.GroupId == y.GroupId && x.From == y.From && x.To == y.To && x.TargetNodeId == y.TargetNodeId;
    }

    private PlacementPlan Replace(PlacementPlan old, PlacementPlan plan)
    {
        Plans = Plans.Replace(old, plan);
        return plan;
    }
}
