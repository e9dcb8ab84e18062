namespace ShardProxy.Planning.Forecasting;

/// <summary>Tomorrow is like now: the last value, at every step. What every other model has to beat.</summary>
internal sealed class NaiveModel : IForecastModel
{
    public string Name => "naive";

    public int MinimumLength => 1;

    public void Run(ReadOnlySpan<double> values, ReadOnlySpan<int> origins, int horizon, Span<double> forecasts)
    {
        for (var i = 0; i < origins.Length; i++)
        {
            forecasts.Slice(i * horizon, horizon).Fill(values[origins[i] - 1]);
        }
    }
}
