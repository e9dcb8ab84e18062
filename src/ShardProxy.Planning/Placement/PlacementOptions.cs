namespace ShardProxy.Planning.Placement;

/// <summary>How eager and how careful the planner is.</summary>
public sealed record PlacementOptions
{
    /// <summary>Share of a node's capacity its predicted load should stay below.</summary>
    public double HighWater { get; init; } = 0.75;

    /// <summary>A node may carry this much more than its fair share before balance alone is a reason to act.</summary>
    public double BalanceTolerance { get; init; } = 0.25;

    /// <summary>Below this share of a node's capacity (or of the fair share where capacities are unknown) imbalance does not matter.</summary>
    public double QuietShare { get; init; } = 0.25;

    /// <summary>
    /// Hysteresis: a move must lower the weighted overload by at least this share of a node's mean load, averaged over the horizon.
    /// </summary>
    public double MinimumGain { get; init; } = 0.05;

    /// <summary>Load below this many statements per second in all is not worth planning for.</summary>
    public double MinimumTotalLoad { get; init; } = 1;

    /// <summary>How much errors of different ranges' forecasts go together, 0 (independent) to 1 (uppers add up).</summary>
    public double ErrorCorrelation { get; init; } = 0.3;

    /// <summary>No part of a range moves again for so long.</summary>
    public TimeSpan CoolDown { get; init; } = TimeSpan.FromMinutes(30);

    /// <summary>No part of a range goes back to a node it came from for so long.</summary>
    public TimeSpan ReturnBan { get; init; } = TimeSpan.FromHours(6);

    /// <summary>Migrations at a time.</summary>
    public int MaxConcurrentMoves { get; init; } = 1;

    /// <summary>Moves in one plan.</summary>
    public int MaxMovesPerPlan { get; init; } = 6;

    /// <summary>No further splits in a group that has so many ranges.</summary>
    public int MaxRangesPerGroup { get; init; } = 256;

    /// <summary>Length of one forecast step.</summary>
    public TimeSpan StepLength { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>Time a move takes however small it is.</summary>
    public TimeSpan MoveFixedTime { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>Bytes a second a move copies (24 MB/s is what a loaded pair of servers did in measurements of comparable systems).</summary>
    public double MoveBytesPerSecond { get; init; } = 24e6;

    /// <summary>Share of a node's capacity a running copy takes from source and target.</summary>
    public double CopyLoadShare { get; init; } = 0.05;
}
