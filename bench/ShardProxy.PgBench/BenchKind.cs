namespace ShardProxy.PgBench;

/// <summary>What a run of the bench measures.</summary>
internal enum BenchKind
{
    /// <summary>Statements on connections that stay.</summary>
    Throughput,

    /// <summary>A connection for every statement.</summary>
    Churn,

    /// <summary>Memory of clients that do nothing.</summary>
    Idle,

    /// <summary>Many clients that stay and speak seldom.</summary>
    Many,

    /// <summary>SQL over shards beside one server with the same rows.</summary>
    Shards,

    /// <summary>Memory of the proxy while a large result in order passes through.</summary>
    Sort,

    /// <summary>Moving ranges: speed beside a plain pipe, fixed cost, and what clients feel.</summary>
    Moves,
}
