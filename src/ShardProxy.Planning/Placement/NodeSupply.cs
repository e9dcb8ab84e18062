namespace ShardProxy.Planning.Placement;

/// <summary>What one node offers.</summary>
/// <param name="NodeId">The node.</param>
/// <param name="Name">Its name, for reasons.</param>
/// <param name="Capacity">Statements per second it can do; 0 when unknown.</param>
/// <param name="BaseLoad">Statements per second it serves beside the ranges: unsharded tables, scatters, transaction control.</param>
/// <param name="IsAvailable">False while it is source or target of a running migration or must not get new ranges.</param>
public sealed record NodeSupply(int NodeId, string Name, double Capacity, double BaseLoad, bool IsAvailable);
