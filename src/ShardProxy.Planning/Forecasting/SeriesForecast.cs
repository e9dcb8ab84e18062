using System.Collections.Immutable;

namespace ShardProxy.Planning.Forecasting;

/// <summary>A forecast of one series and how far it can be trusted.</summary>
public sealed record SeriesForecast
{
    public required Forecast Forecast { get; init; }

    /// <summary>The model or combination that was chosen.</summary>
    public required string Model { get; init; }

    /// <summary>Mean absolute error of the chosen model in the backtest; NaN when there was nothing to score.</summary>
    public required double BacktestError { get; init; }

    /// <summary>The same for the naive model.</summary>
    public required double NaiveError { get; init; }

    /// <summary>Seasons given or found.</summary>
    public required ImmutableArray<int> Seasons { get; init; }

    /// <summary>Observed values it was made from.</summary>
    public required int Observations { get; init; }

    /// <summary>
    /// True when the backtest shows it better than taking the last value, or as good on a series that hardly changes: the
    /// condition for acting ahead of the load instead of on it.
    /// </summary>
    public required bool IsPredictive { get; init; }
}
