namespace ShardProxy.DataPath.Servers;

/// <summary>What tells one server pool from another.</summary>
public readonly record struct PoolKey(int NodeId, string Database, string User);
