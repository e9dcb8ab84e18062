using System.Collections.Immutable;
using ShardProxy.Control.Planner;
using ShardProxy.Model.Errors;
using ShardProxy.Model.Plans;
using ShardProxy.Model.Routing;

namespace ShardProxy.Admin.Backend;

/// <summary>The control plane's planner loop as the console and the metrics see it.</summary>
public sealed class PlannerLoopView(PlannerLoop loop, ITopologyView topology) : IPlannerView
{
    public PlannerMode Mode => loop.View.Mode;

    public ValueTask SetModeAsync(PlannerMode mode, string? group, CancellationToken cancellationToken)
    {
        // The console has checked the name; a group dropped since has nothing to plan for.
        if (group is null)
        {
            loop.SetMode(mode);
        }
        else if (topology.Current.Groups.FirstOrDefault(g => string.Equals(g.Name, group, StringComparison.Ordinal)) is { } found)
        {
            loop.SetMode(mode, found.Id);
        }

        return ValueTask.CompletedTask;
    }

    public ValueTask ApprovePlanAsync(int planId, CancellationToken cancellationToken) =>
        loop.Approve(planId) is { } refused ? throw new ShardProxyException(refused) : ValueTask.CompletedTask;

    public ImmutableArray<LoadSnapshot> Load()
    {
        var view = loop.View;
        if (view.BinEnd is not { } end)
        {
            return [];
        }

        return
        [
            .. view.Nodes.Select(n => new LoadSnapshot(LoadSubject.Node, n.NodeId, n.Statements, null, n.Rows, n.Bytes, n.Busy, end)),
            .. view.Ranges
                .Where(r => r.Load is not null)
                .OrderBy(r => r.RangeId)
                .Select(r => RangeLoad(r.RangeId, r.Load!.Value, end)),
        ];
    }

    public ImmutableArray<ForecastSnapshot> Forecasts() =>
        [.. loop.View.Forecasts.Select(f => new ForecastSnapshot(f.RangeId, f.Step, f.At, f.Forecast, f.Lower, f.Upper, f.Model))];

    public ImmutableArray<ForecastScore> Scores() =>
        [.. loop.View.Ranges.Where(r => r.Score is not null).Select(r => new ForecastScore(r.RangeId, r.Score!.Error, r.Score.NaiveError, r.Score.Matured))];

    public ImmutableArray<PlanSnapshot> Plans()
    {
        var view = loop.View;
        var routing = topology.Current;
        return [.. view.Plans.Select(plan => Snapshot(plan, ModeOf(plan, view), routing))];
    }

    private static LoadSnapshot RangeLoad(int rangeId, Model.Workload.RangeBinLoad load, DateTimeOffset end) => new(
        LoadSubject.Range, rangeId, load.Statements, load.Statements > 0 ? load.Writes / load.Statements : null, load.Rows, load.Bytes, load.Busy, end);

    private static PlannerMode ModeOf(PlacementPlan plan, PlannerView view) =>
        plan.Steps.FirstOrDefault() is { } step && view.GroupModes.TryGetValue(step.GroupId, out var own) ? own : view.Mode;

    private static PlanSnapshot Snapshot(PlacementPlan plan, PlannerMode mode, RoutingTable routing) => new(
        plan.Id, plan.MadeAt, mode, plan.State.ToString().ToLowerInvariant(), PlanText.Steps(plan, routing), plan.Reason, PlanText.Explanation(plan, routing));
}
