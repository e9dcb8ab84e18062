namespace ShardProxy.Model.Topology;

/// <summary>One backend PostgreSQL server. Holds no credentials: those come from configuration.</summary>
/// <param name="Id">Small positive integer, never reused.</param>
/// <param name="Name">Unique name, as in <c>SHOW NODES</c>.</param>
/// <param name="Host">Host name or address the proxies and the other nodes reach it at.</param>
/// <param name="Port">TCP port.</param>
/// <param name="Capacity">Relative capacity; for planning, statements per second when known, else 0.</param>
/// <param name="IsHome">True for the one node that holds unsharded tables and, by default, the catalog.</param>
public sealed record Node(int Id, string Name, string Host, int Port, double Capacity, bool IsHome);
