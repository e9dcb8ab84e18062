namespace ShardProxy.Planning.History;

/// <summary>Load of one node over one bin.</summary>
/// <param name="NodeId">The node.</param>
/// <param name="StatementsPerSecond">All statements.</param>
/// <param name="UnattributedPerSecond">Statements that belong to no bucket: unsharded tables, transaction control, scatters.</param>
/// <param name="BusySecondsPerSecond">Mean number of statements in service.</param>
/// <param name="PoolWaitSecondsPerSecond">Mean number of sessions waiting for a server connection.</param>
/// <param name="RowsPerSecond">Rows returned or changed.</param>
/// <param name="BytesPerSecond">Bytes to and from the node.</param>
/// <param name="P99Micros">Highest 99th percentile of any window of the bin.</param>
public readonly record struct NodeBinLoad(
    int NodeId, double StatementsPerSecond, double UnattributedPerSecond, double BusySecondsPerSecond, double PoolWaitSecondsPerSecond,
    double RowsPerSecond, double BytesPerSecond, double P99Micros);
