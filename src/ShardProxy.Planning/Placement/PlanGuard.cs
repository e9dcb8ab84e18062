using System.Collections.Immutable;
using System.Globalization;
using ShardProxy.Model.Plans;
using ShardProxy.Model.Routing;

namespace ShardProxy.Planning.Placement;

/// <summary>
/// Looks at a plan's next step once more right before it is done, against the routing table of that moment and against budgets. It
/// knows nothing of how the plan was found: a fault in the search must not get past it.
/// </summary>
public sealed class PlanGuard(GuardOptions options)
{
    public GuardOptions Options { get; } = options;

    /// <summary>Whether <paramref name="step"/> of <paramref name="plan"/> may be done now.</summary>
    public GuardVerdict Check(PlacementPlan plan, PlanStep step, RoutingTable table, ImmutableArray<PastMove> pastMoves, DateTimeOffset now)
    {
        if (now - plan.MadeAt > Options.MaxPlanAge)
        {
            return GuardVerdict.Never("the plan is too old: it was made for another load");
        }

        if (table.FindGroup(step.GroupId) is not { } group)
        {
            return GuardVerdict.Never("the table group does not exist any more");
        }

        var range = group.Locate(step.From);
        if (range.From != step.From || range.To != step.To)
        {
            return GuardVerdict.Never("the range has been split or merged since the plan was made");
        }

        if (range.NodeId != step.SourceNodeId)
        {
            return GuardVerdict.Never("the range has been moved since the plan was made");
        }

        if (table.MoveOf(range.Id) is not null)
        {
            return GuardVerdict.NotNow("the range is being moved");
        }

        return step.Kind == PlanStepKind.Split ? CheckSplit(step) : CheckMove(step, table, pastMoves, now);
    }

    /// <summary>
    /// Whether the plan's first move would be allowed if the splits before it were done: a split that no move follows only cuts
    /// the key space up.
    /// </summary>
    public GuardVerdict CheckAhead(PlacementPlan plan, RoutingTable table, ImmutableArray<PastMove> pastMoves, DateTimeOffset now) =>
        plan.Steps.FirstOrDefault(s => s.Kind == PlanStepKind.Move) is { } move ? CheckMove(move, table, pastMoves, now) : GuardVerdict.Allowed;

    private static GuardVerdict CheckSplit(PlanStep step) =>
        step.SplitAt is { } at && at > step.From && (step.To is not { } to || at < to)
            ? GuardVerdict.Allowed
            : GuardVerdict.Never("the split point lies outside the range");

    private GuardVerdict CheckMove(PlanStep step, RoutingTable table, ImmutableArray<PastMove> pastMoves, DateTimeOffset now)
    {
        if (step.SourceNodeId == step.TargetNodeId || table.Nodes.All(n => n.Id != step.TargetNodeId))
        {
            return GuardVerdict.Never("the target is not another node of this cluster");
        }

        var underWay = table.Moves.Where(m => m.IsUnderWay).ToList();
        if (underWay.Count >= Options.MaxConcurrentMoves)
        {
            return GuardVerdict.NotNow(Text($"{underWay.Count} of at most {Options.MaxConcurrentMoves} migrations are running"));
        }

        foreach (var move in underWay)
        {
            if (move.SourceNodeId == step.SourceNodeId || move.SourceNodeId == step.TargetNodeId ||
                move.TargetNodeId == step.SourceNodeId || move.TargetNodeId == step.TargetNodeId)
            {
                return GuardVerdict.NotNow("a node of the move takes part in another migration");
            }
        }

        var recent = pastMoves.Where(m => now - m.At < Options.BudgetWindow).ToList();
        if (recent.Count >= Options.MaxMovesPerWindow)
        {
            return GuardVerdict.NotNow(Text($"the budget of {Options.MaxMovesPerWindow} moves is used up"));
        }

        if (recent.Sum(m => m.Bytes) + step.Bytes > Options.MaxBytesPerWindow)
        {
            return GuardVerdict.NotNow(Text($"the budget of {Options.MaxBytesPerWindow} bytes moved is used up"));
        }

        return CheckEffect(step);
    }

    /// <summary>The cure must not be worse than the illness: the target may not end up above its limit, its own peak and the source's.</summary>
    private static GuardVerdict CheckEffect(PlanStep step)
    {
        var source = step.Projections.FirstOrDefault(p => p.NodeId == step.SourceNodeId);
        var target = step.Projections.FirstOrDefault(p => p.NodeId == step.TargetNodeId);
        return source is not null && target is not null && target.PeakAfter > target.Limit && target.PeakAfter > target.PeakBefore &&
            target.PeakAfter > source.PeakBefore
            ? GuardVerdict.Never("the target would be loaded higher than the source is now")
            : GuardVerdict.Allowed;
    }

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
