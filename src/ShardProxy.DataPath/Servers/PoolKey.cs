namespace ShardProxy.DataPath.Servers;

/// <summary>What tells one server pool from another.</summary>
/// <param name="NodeId">The node.</param>
/// <param name="Database">Database on it.</param>
/// <param name="User">Role it logs in as.</param>
/// <param name="IsWorkspace">
/// Connections on which PostgreSQL finishes statements over several nodes, beside the clients' own transactions. A pool apart: whoever waits for one
/// holds others, and whoever has one waits for no other.
/// </param>
public readonly record struct PoolKey(int NodeId, string Database, string User, bool IsWorkspace = false);
