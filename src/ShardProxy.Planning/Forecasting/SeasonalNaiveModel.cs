namespace ShardProxy.Planning.Forecasting;

/// <summary>The value of the same phase one season earlier.</summary>
internal sealed class SeasonalNaiveModel(int season) : IForecastModel
{
    public string Name { get; } = $"seasonal_naive({season})";

    public int MinimumLength => season;

    public void Run(ReadOnlySpan<double> values, ReadOnlySpan<int> origins, int horizon, Span<double> forecasts)
    {
        for (var i = 0; i < origins.Length; i++)
        {
            var lastSeason = values.Slice(origins[i] - season, season);
            for (var h = 0; h < horizon; h++)
            {
                forecasts[(i * horizon) + h] = lastSeason[h % season];
            }
        }
    }
}
