namespace ShardProxy.Sql;

/// <summary>Bounds of statement analysis.</summary>
public sealed record SqlOptions
{
    /// <summary>Most shapes kept; rounded up to a multiple of eight.</summary>
    public int MaxShapes { get; init; } = 10_000;

    /// <summary>Longest statement in bytes that is analysed.</summary>
    public int MaxStatementBytes { get; init; } = 256 * 1024 * 1024;

    /// <summary>Most tokens of one statement.</summary>
    public int MaxTokens { get; init; } = 400_000;

    /// <summary>
    /// Most operators and other tokens that nest a parse tree without a parenthesis. libpg_query needs about 400 bytes of stack
    /// a term (measured: 20,000 terms end an 8 MiB stack); PostgreSQL itself gives up at about 10,000.
    /// </summary>
    public int MaxTerms { get; init; } = 20_000;

    /// <summary>Most JOINs: what is known of a join tree grows with their square.</summary>
    public int MaxJoins { get; init; } = 1_000;

    /// <summary>Deepest nesting of parentheses and brackets.</summary>
    public int MaxDepth { get; init; } = 1_000;

    /// <summary>Threads that parse.</summary>
    public int ParserThreads { get; init; } = 2;

    /// <summary>Stack of each of them in bytes.</summary>
    public int ParserStackBytes { get; init; } = 64 * 1024 * 1024;

    /// <summary>Statements that may wait for a parser thread; more callers wait to enter.</summary>
    public int MaxQueuedParses { get; init; } = 256;

    /// <summary>Longest normal form in bytes that is cached.</summary>
    public int MaxCachedKeyBytes { get; init; } = 16 * 1024;

    /// <summary>Most VALUES rows of a statement that is cached.</summary>
    public int MaxCachedRows { get; init; } = 64;
}
