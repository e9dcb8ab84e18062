namespace ShardProxy.Stress.Hostile;

/// <summary>How long, how many, and from which seed.</summary>
internal sealed record HostileOptions
{
    public TimeSpan Duration { get; init; } = TimeSpan.FromSeconds(60);

    public int Seed { get; init; }

    /// <summary>Attacking connections at once.</summary>
    public int Attackers { get; init; } = 8;

    /// <summary>PostgreSQL servers behind the proxy.</summary>
    public int Nodes { get; init; } = 2;

    /// <summary>A fresh client has to be logged in and answered within this time.</summary>
    public TimeSpan Patience { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>Resident memory may be this much above what it was after the first third of the run.</summary>
    public int AllowedGrowthMiB { get; init; } = 64;
}
