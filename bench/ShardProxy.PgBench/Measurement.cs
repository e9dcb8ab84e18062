namespace ShardProxy.PgBench;

/// <summary>One run of pgbench.</summary>
/// <param name="Mode">simple, extended or prepared.</param>
/// <param name="Clients">Client connections.</param>
/// <param name="Target">What it connected to.</param>
/// <param name="Round">From 0.</param>
/// <param name="Tps">Transactions a second without the time to connect; null when pgbench failed.</param>
/// <param name="CpuSecondsPer100k">CPU seconds of the proxy per 100,000 transactions; null for direct or a failure.</param>
/// <param name="LatencyMs">Mean latency, milliseconds.</param>
/// <param name="Failure">pgbench's last words when it failed.</param>
internal sealed record Measurement(
    string Mode, int Clients, string Target, int Round, double? Tps, double? CpuSecondsPer100k, double? LatencyMs, string? Failure);
