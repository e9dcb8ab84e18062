using System.Collections.Immutable;

namespace ShardProxy.Planning.Forecasting;

/// <summary>A forecast over a horizon: element i is step i + 1.</summary>
/// <param name="Point">The expected value.</param>
/// <param name="Lower">Lower end of the prediction interval.</param>
/// <param name="Upper">Upper end of the prediction interval.</param>
public sealed record Forecast(ImmutableArray<double> Point, ImmutableArray<double> Lower, ImmutableArray<double> Upper)
{
    /// <summary>Steps ahead.</summary>
    public int Horizon => Point.Length;
}
