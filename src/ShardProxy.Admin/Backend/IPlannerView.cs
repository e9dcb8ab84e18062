using System.Collections.Immutable;
using ShardProxy.Model.Plans;

namespace ShardProxy.Admin.Backend;

/// <summary>The planner as the console and the metrics see it: frozen values, and one switch.</summary>
public interface IPlannerView
{
    /// <summary>The mode in force.</summary>
    PlannerMode Mode { get; }

    /// <summary>Switches the mode, of one group when <paramref name="group"/> is its name, else of all.</summary>
    ValueTask SetModeAsync(PlannerMode mode, string? group, CancellationToken cancellationToken);

    /// <summary>Releases a plan that waits for it.</summary>
    /// <exception cref="Model.Errors.ShardProxyException">No such plan, or it no longer waits.</exception>
    ValueTask ApprovePlanAsync(int planId, CancellationToken cancellationToken);

    /// <summary>Load of the last full window, nodes first, then ranges, each by id. Empty before the first window.</summary>
    ImmutableArray<LoadSnapshot> Load();

    /// <summary>The newest forecasts, by range, then step.</summary>
    ImmutableArray<ForecastSnapshot> Forecasts();

    /// <summary>How well forecasts did against what came, by range.</summary>
    ImmutableArray<ForecastScore> Scores();

    /// <summary>The last plans, newest first.</summary>
    ImmutableArray<PlanSnapshot> Plans();
}
