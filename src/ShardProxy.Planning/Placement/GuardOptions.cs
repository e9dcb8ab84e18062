namespace ShardProxy.Planning.Placement;

/// <summary>Bounds that no plan may pass, whatever it promises.</summary>
public sealed record GuardOptions
{
    /// <summary>Migrations at a time, the operator's included.</summary>
    public int MaxConcurrentMoves { get; init; } = 1;

    /// <summary>Length of the window the budgets count in.</summary>
    public TimeSpan BudgetWindow { get; init; } = TimeSpan.FromHours(1);

    /// <summary>Moves within the window.</summary>
    public int MaxMovesPerWindow { get; init; } = 12;

    /// <summary>Bytes moved within the window.</summary>
    public long MaxBytesPerWindow { get; init; } = 50L << 30;

    /// <summary>A plan older than this was made for another load.</summary>
    public TimeSpan MaxPlanAge { get; init; } = TimeSpan.FromMinutes(10);
}
