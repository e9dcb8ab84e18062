namespace ShardProxy.Control.Planner;

/// <summary>Load of one node in the newest complete bin, for <c>SHOW LOAD</c>; rates per second.</summary>
/// <param name="Capacity">Statements per second, 0 when unknown.</param>
/// <param name="Statements">All statements.</param>
/// <param name="Rows">Rows returned or changed.</param>
/// <param name="Bytes">Bytes to and from the node.</param>
/// <param name="Busy">Mean number of statements in service.</param>
/// <param name="Waiting">Mean number of sessions waiting for a server connection.</param>
/// <param name="P99Ms">99th percentile of the service time as the proxy saw it, milliseconds.</param>
/// <param name="Expected">What had been forecast for this bin; NaN when nothing was.</param>
/// <param name="Next">Forecast of the next step; NaN without one.</param>
/// <param name="NextUpper">Its upper bound; NaN without one.</param>
public sealed record NodeLoadRow(
    int NodeId, string Name, double Capacity, double Statements, double Rows, double Bytes, double Busy, double Waiting, double P99Ms,
    double Expected, double Next, double NextUpper);
