using System.Collections.Immutable;

namespace ShardProxy.Planning.Forecasting;

/// <summary>What to forecast and how carefully.</summary>
public sealed record ForecastOptions
{
    /// <summary>Steps ahead.</summary>
    public int Horizon { get; init; } = 12;

    /// <summary>Season lengths in steps, shortest first; empty: found in each series by autocorrelation.</summary>
    public ImmutableArray<int> Seasons { get; init; } = [];

    /// <summary>Share of actual values the interval should hold.</summary>
    public double Level { get; init; } = 0.95;

    /// <summary>Load cannot be negative; forecasts and bounds are clamped at 0.</summary>
    public bool NonNegative { get; init; } = true;

    /// <summary>Origins of the backtest at most.</summary>
    public int MaxOrigins { get; init; } = 64;

    /// <summary>Newest values used at most; older ones change nothing that is seen over the horizon.</summary>
    public int MaxHistory { get; init; } = 8640;
}
