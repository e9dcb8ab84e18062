namespace ShardProxy.Planning.Forecasting;

/// <summary>
/// The mean of the same phase over the last few seasons: calmer than the seasonal naive model where the phases are noisy.
/// </summary>
internal sealed class SeasonalMeanModel(int season) : IForecastModel
{
    private const int MostSeasons = 4;

    public string Name { get; } = $"seasonal_mean({season})";

    public int MinimumLength => 2 * season;

    public void Run(ReadOnlySpan<double> values, ReadOnlySpan<int> origins, int horizon, Span<double> forecasts)
    {
        for (var i = 0; i < origins.Length; i++)
        {
            var seasons = Math.Min(MostSeasons, origins[i] / season);
            for (var h = 0; h < horizon; h++)
            {
                double sum = 0;
                for (var k = 1; k <= seasons; k++)
                {
                    sum += values[origins[i] - (k * season) + (h % season)];
                }

                forecasts[(i * horizon) + h] = sum / seasons;
            }
        }
    }
}
