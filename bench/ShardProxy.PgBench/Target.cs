namespace ShardProxy.PgBench;

/// <summary>Something pgbench connects to.</summary>
/// <param name="Name">direct, pgbouncer or shardproxy.</param>
/// <param name="Port">On 127.0.0.1.</param>
/// <param name="Process">The proxy whose CPU time counts; null for direct.</param>
internal sealed record Target(string Name, int Port, ChildProcess? Process);
