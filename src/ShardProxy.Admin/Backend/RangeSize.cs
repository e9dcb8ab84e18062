namespace ShardProxy.Admin.Backend;

/// <summary>Estimated size of one range over all tables of its group.</summary>
/// <param name="Rows">Rows, from the planner statistics of its node.</param>
/// <param name="Bytes">Bytes on disk with indexes and TOAST.</param>
public readonly record struct RangeSize(long Rows, long Bytes);
