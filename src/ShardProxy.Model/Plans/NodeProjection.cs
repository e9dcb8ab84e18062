namespace ShardProxy.Model.Plans;

/// <summary>Predicted peak load of one node over the planning horizon, in statements per second.</summary>
/// <param name="NodeId">The node.</param>
/// <param name="Limit">What the planner wants it to stay below.</param>
/// <param name="PeakBefore">Highest predicted load (upper quantile) if nothing is done.</param>
/// <param name="PeakAfter">The same once the step, or the whole plan, is done.</param>
public sealed record NodeProjection(int NodeId, double Limit, double PeakBefore, double PeakAfter);
