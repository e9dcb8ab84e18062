using System.Collections.Immutable;
using System.Globalization;
using ShardProxy.Model.Plans;
using ShardProxy.Planning.Forecasting;

namespace ShardProxy.Planning.Placement;

/// <summary>
/// Turns predicted loads into splits and moves. Greedy: again and again the node in the worst predicted state is relieved by the move
/// that helps most for the fewest bytes, until nothing is worth its cost. Overload weighs far more than imbalance. A move takes time and
/// loads both ends, so it counts only from the step at which it can be done. Pure: the same input gives the same plan.
/// </summary>
public sealed class PlacementPlanner(PlacementOptions options)
{
    public PlacementOptions Options { get; } = options;

    /// <summary>Plans for the horizon of the forecasts.</summary>
    public PlacementPlan Plan(PlacementInput input)
    {
        if (input.Ranges.IsEmpty || input.Nodes.Length < 2)
        {
            return Nothing(input, [], input.Ranges.IsEmpty ? "there is no range to place" : "there is only one node");
        }

        var pieces = input.Ranges.Select(Piece.Of).ToList();
        var horizon = pieces[0].Mean.Length;
        foreach (var piece in pieces)
        {
            piece.IsMovable &= !IsCoolingDown(input, piece);
        }

        var loads = new NodeLoads(input.Nodes, pieces, horizon, Options);
        var before = Peaks(input, loads);
        if (loads.PeakTotal < Options.MinimumTotalLoad)
        {
            return Nothing(input, Projections(input, loads, before), "the predicted load is too small to matter");
        }

        var notices = HotBuckets.Notices(input, pieces, loads, Options);
        var worst = Enumerable.Range(0, input.Nodes.Length).MaxBy(loads.Badness);
        var problem = loads.Badness(worst) > 0 ? Describe(input, loads, worst) : "";
        if (problem.Length == 0)
        {
            return Nothing(input, Projections(input, loads, before), "no node is predicted to pass its limit or its fair share") with { Notices = notices };
        }

        var steps = Search(input, pieces, loads, horizon);
        var projections = Projections(input, loads, before);
        if (steps.IsEmpty)
        {
            return Nothing(input, projections, $"{problem}, but no allowed move relieves it enough to be worth its cost") with { Notices = notices };
        }

        return new PlacementPlan
        {
            MadeAt = input.Now,
            Epoch = input.Epoch,
            IsReactive = IsReactive(input),
            Steps = steps,
            Projections = projections,
            Reason = problem,
            Notices = notices,
        };
    }

    /// <summary>Predicted load of every node if nothing is moved, in the order of <see cref="PlacementInput.Nodes"/>.</summary>
    public ImmutableArray<Forecast> NodeForecasts(PlacementInput input)
    {
        var horizon = input.Ranges.IsEmpty ? 0 : input.Ranges[0].Forecast.Forecast.Horizon;
        var loads = new NodeLoads(input.Nodes, [.. input.Ranges.Select(Piece.Of)], horizon, Options);
        return [.. Enumerable.Range(0, input.Nodes.Length).Select(n => new Forecast(
            [.. Enumerable.Range(0, horizon).Select(h => loads.Mean(n, h))],
            [.. Enumerable.Range(0, horizon).Select(h => Math.Max(0, (2 * loads.Mean(n, h)) - loads.Upper(n, h)))],
            [.. Enumerable.Range(0, horizon).Select(h => loads.Upper(n, h))]))];
    }

    private ImmutableArray<PlanStep> Search(PlacementInput input, List<Piece> pieces, NodeLoads loads, int horizon)
    {
        var steps = ImmutableArray.CreateBuilder<PlanStep>();
        var search = new CandidateSearch(input, Options);
        // Moves beyond the concurrent ones wait for a free slot; slot k is free again when its last move is done.
        var slots = new double[Math.Max(0, Options.MaxConcurrentMoves - input.RunningMoves)];
        for (var move = 0; move < Options.MaxMovesPerPlan && slots.Length > 0; move++)
        {
            var slot = Array.IndexOf(slots, slots.Min());
            var minimum = Options.MinimumGain * loads.MeanLoad * horizon;
            var best = Enumerable.Range(0, input.Nodes.Length)
                .Where(n => loads.Badness(n) > 0)
                .OrderByDescending(loads.Badness)
                .Select(n => search.Best(n, pieces, loads, slots[slot]))
                .FirstOrDefault(c => c is not null && c.Gain >= minimum);
            if (best is null)
            {
                break;
            }

            Commit(input, pieces, loads, best, steps);
            slots[slot] += search.Duration(best.Moved.Bytes);
        }

        return steps.DrainToImmutable();
    }

    private static void Commit(PlacementInput input, List<Piece> pieces, NodeLoads loads, Candidate best, ImmutableArray<PlanStep>.Builder steps)
    {
        var before = Peaks(input, loads);
        var source = loads.IndexOf(best.Whole.NodeId);
        var problem = Describe(input, loads, source);
        pieces.Remove(best.Whole);
        if (best.CutAt > 0)
        {
            var (lower, upper) = best.Whole.Cut(best.CutAt);
            steps.Add(SplitStep(input, best, upper.From));
            pieces.Add(best.TakesLower ? upper : lower);
        }

        loads.Apply(best.Moved, best.Target, best.Ready);
        var target = input.Nodes[best.Target];
        steps.Add(new PlanStep
        {
            Kind = PlanStepKind.Move,
            GroupId = best.Moved.GroupId,
            RangeId = best.Moved.RangeId,
            From = best.Moved.From,
            To = best.Moved.To,
            SourceNodeId = best.Moved.NodeId,
            TargetNodeId = target.NodeId,
            Bytes = best.Moved.Bytes,
            Reason = $"{problem}; moving {Name(best.Moved)} takes up to {Rate(best.Moved.Mean.Max())} of it to {target.Name}, " +
                $"which then peaks at {Rate(loads.Peak(best.Target, best.Ready))}",
            Projections = Projections(input, loads, before),
        });

        // What the plan has moved once stays: moving it on would be two copies for one effect.
        best.Moved.NodeId = target.NodeId;
        best.Moved.IsMovable = false;
        pieces.Add(best.Moved);
    }

    private static PlanStep SplitStep(PlacementInput input, Candidate best, long at)
    {
        var share = best.Moved.Mean.Sum() / Math.Max(1e-9, best.Whole.Mean.Sum());
        return new PlanStep
        {
            Kind = PlanStepKind.Split,
            GroupId = best.Whole.GroupId,
            RangeId = best.Whole.RangeId,
            From = best.Whole.From,
            To = best.Whole.To,
            SplitAt = at,
            SourceNodeId = best.Whole.NodeId,
            TargetNodeId = best.Whole.NodeId,
            Reason = $"{Name(best.Whole)} is too much to move as a whole: its {(best.TakesLower ? "lower" : "upper")} part carries " +
                $"{Percent(share)} of its predicted load, as much as {input.Nodes[best.Target].Name} can take on",
        };
    }

    private static string Describe(PlacementInput input, NodeLoads loads, int node)
    {
        var (step, excess) = loads.Worst(node);
        var name = input.Nodes[node].Name;
        return excess > 0 && loads.HasCapacities
            ? $"{name} is predicted to reach {Rate(loads.Upper(node, step))} at step {step + 1}, above its limit of {Rate(loads.Limit(node, step))}"
            : Unfair(input, loads, node, name);
    }

    private static string Unfair(PlacementInput input, NodeLoads loads, int node, string name)
    {
        var step = Enumerable.Range(0, loads.Horizon).MaxBy(h => loads.Mean(node, h));
        double total = 0;
        for (var n = 0; n < input.Nodes.Length; n++)
        {
            total += loads.Mean(n, step);
        }

        return $"{name} is predicted to carry {Percent(loads.Mean(node, step) / Math.Max(1e-9, total))} of all load at step {step + 1}, " +
            $"{Rate(loads.Mean(node, step))} where {Rate(total / input.Nodes.Length)} would be even";
    }

    private static string Name(Piece piece) => piece.RangeId > 0 ? $"range {piece.RangeId}" : $"the new range from {piece.From.ToString(CultureInfo.InvariantCulture)}";

    private static string Rate(double value) => string.Create(CultureInfo.InvariantCulture, $"{value:F0} statements/s");

    private static string Percent(double value) => string.Create(CultureInfo.InvariantCulture, $"{100 * value:F0} %");

    private static double[] Peaks(PlacementInput input, NodeLoads loads) => [.. Enumerable.Range(0, input.Nodes.Length).Select(n => loads.Peak(n))];

    private static ImmutableArray<NodeProjection> Projections(PlacementInput input, NodeLoads loads, double[] before)
    {
        // What is left of the horizon once the moves are done is what they are for.
        var result = ImmutableArray.CreateBuilder<NodeProjection>(input.Nodes.Length);
        for (var n = 0; n < input.Nodes.Length; n++)
        {
            result.Add(new NodeProjection(input.Nodes[n].NodeId, loads.Limit(n, loads.Worst(n).Step), before[n], loads.Peak(n, loads.Settled)));
        }

        return result.MoveToImmutable();
    }

    private static bool IsReactive(PlacementInput input)
    {
        var total = input.Ranges.Sum(r => r.Forecast.Present);
        var reactive = input.Ranges.Where(r => r.Forecast.IsReactive).Sum(r => r.Forecast.Present);
        return reactive > 0.5 * total;
    }

    private static PlacementPlan Nothing(PlacementInput input, ImmutableArray<NodeProjection> projections, string reason) => new()
    {
        MadeAt = input.Now,
        Epoch = input.Epoch,
        IsReactive = !input.Ranges.IsEmpty && IsReactive(input),
        Steps = [],
        Projections = projections,
        Reason = reason,
    };

    private bool IsCoolingDown(PlacementInput input, Piece piece)
    {
        foreach (var move in input.PastMoves)
        {
            if (input.Now - move.At < Options.CoolDown && move.Overlaps(piece.GroupId, piece.From, piece.To))
            {
                return true;
            }
        }

        return false;
    }
}
