using System.Collections.Immutable;
using ShardProxy.Model.Plans;
using ShardProxy.Model.Routing;

namespace ShardProxy.Planning.Forecasting;

/// <summary>The forecast of one range's load, in statements per second.</summary>
public sealed record RangeForecast
{
    public required ShardRange Range { get; init; }

    /// <summary>Number of the bin of step 1.</summary>
    public required long FirstBin { get; init; }

    /// <summary>What to act on: the model's forecast, or the present load where models cannot be trusted.</summary>
    public required Forecast Forecast { get; init; }

    /// <summary>The model, or <c>present</c>.</summary>
    public required string Model { get; init; }

    /// <summary>True when <see cref="Forecast"/> only carries the present load on.</summary>
    public required bool IsReactive { get; init; }

    /// <summary>Mean of the newest bins.</summary>
    public required double Present { get; init; }

    /// <summary>Mean absolute error in the backtest; NaN when there was none.</summary>
    public required double BacktestError { get; init; }

    /// <summary>How the forecasts of this interval did so far; null when none has matured.</summary>
    public MaturedScore? Score { get; init; }

    /// <summary>
    /// The point forecast shared out over the buckets under the range: element [i][h] is the range's i-th bucket at step h + 1.
    /// </summary>
    public required ImmutableArray<ImmutableArray<double>> Buckets { get; init; }
}
