using ShardProxy.Model.Plans;
using ShardProxy.Model.Workload;

namespace ShardProxy.Control.Planner;

/// <summary>Load of one range in the newest complete bin, for <c>SHOW LOAD</c>.</summary>
/// <param name="Load">What was observed; null before the first complete bin.</param>
/// <param name="Next">Forecast of the next step, statements per second.</param>
/// <param name="NextUpper">Its upper bound.</param>
/// <param name="Model">The model the forecast came from, <c>present</c> when it only carries the present load on.</param>
/// <param name="Score">How forecasts of this range did; null when none has matured.</param>
public sealed record RangeLoadRow(
    int RangeId, int GroupId, int NodeId, RangeBinLoad? Load, double Next, double NextUpper, string Model, MaturedScore? Score);
