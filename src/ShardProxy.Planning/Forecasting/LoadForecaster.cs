using System.Collections.Immutable;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Workload;
using ShardProxy.Planning.History;

namespace ShardProxy.Planning.Forecasting;

/// <summary>
/// Forecasts the load of every range from the history of its buckets, and shares each forecast out over the buckets, so that a
/// planner can judge any cut. Keeps the score of its forecasts and falls back to the present load where they lose.
/// </summary>
public sealed class LoadForecaster(ForecastOptions options)
{
    private const int PresentBins = 3;
    private const int SpreadBins = 8;

    private readonly ForecastEngine _engine = new(options);
    private readonly ForecastScoreboard _scoreboard = new();

    public ForecastOptions Options { get; } = options;

    /// <summary>Forecasts the ranges of every group.</summary>
    /// <param name="history">What was observed.</param>
    /// <param name="table">The ranges.</param>
    /// <param name="endBin">First bin that is not complete yet: step 1.</param>
    /// <returns>One forecast a range, in the order of groups and ranges.</returns>
    public ImmutableArray<RangeForecast> Forecast(LoadHistory history, RoutingTable table, long endBin)
    {
        _scoreboard.Mature(endBin, (series, bin) => history.RangeLoadAt(series.GroupId, series.From, series.To, bin));
        var result = ImmutableArray.CreateBuilder<RangeForecast>();
        foreach (var group in table.Groups)
        {
            var profiles = new BucketProfiles(history, group.Id, endBin, Options);
            foreach (var range in group.Ranges)
            {
                result.Add(Forecast(history, range, endBin, profiles));
            }
        }

        return result.DrainToImmutable();
    }

    private RangeForecast Forecast(LoadHistory history, ShardRange range, long endBin, BucketProfiles profiles)
    {
        var key = new SeriesKey(range.GroupId, range.From, range.To);
        var series = history.RangeSeries(range.GroupId, range.From, range.To, endBin);
        var modelled = _engine.Forecast(series.Values);
        var present = series.RecentMean(PresentBins);
        // A forecast is issued, and scored, also while it is not acted on: else a series that once lost could never win again.
        if (modelled.Observations > 0)
        {
            _scoreboard.Issue(key, endBin, modelled.Forecast, series.RecentMean(1));
        }

        var score = _scoreboard.ScoreOf(key);
        var isReactive = !modelled.IsPredictive || score is { LosesToNaive: true };
        var forecast = isReactive ? CarryOn(series, present) : modelled.Forecast;
        var season = isReactive || modelled.Seasons.IsEmpty ? 0 : modelled.Seasons[0];
        return new RangeForecast
        {
            Range = range,
            FirstBin = endBin,
            Forecast = forecast,
            Model = isReactive ? "present" : modelled.Model,
            IsReactive = isReactive,
            Present = present,
            BacktestError = modelled.BacktestError,
            Score = score,
            Buckets = profiles.Share(BucketSpan.Of(range.From, range.To), forecast.Point, season),
        };
    }

    /// <summary>The present load at every step, between the lowest and the highest of the newest bins.</summary>
    private Forecast CarryOn(LoadSeries series, double present)
    {
        double low = present, high = present;
        var seen = 0;
        for (var i = series.Values.Length - 1; i >= 0 && seen < SpreadBins; i--)
        {
            if (!double.IsNaN(series.Values[i]))
            {
                low = Math.Min(low, series.Values[i]);
                high = Math.Max(high, series.Values[i]);
                seen++;
            }
        }

        return new Forecast(
            [.. Enumerable.Repeat(present, Options.Horizon)],
            [.. Enumerable.Repeat(low, Options.Horizon)],
            [.. Enumerable.Repeat(high, Options.Horizon)]);
    }

    /// <summary>How a group's load is spread over its buckets at each step; one set per season length, made when first asked for.</summary>
    private sealed class BucketProfiles(LoadHistory history, int groupId, long endBin, ForecastOptions options)
    {
        private const int RecentBins = 6;
        private const int MostSeasons = 3;

        /// <summary>Part of a range's load that is spread evenly whatever was seen: counts of single buckets are small and noisy.</summary>
        private const double EvenShare = 0.05;

        private readonly Dictionary<int, double[][]> _bySeason = [];

        public ImmutableArray<ImmutableArray<double>> Share(BucketSpan span, ImmutableArray<double> load, int season)
        {
            if (!_bySeason.TryGetValue(season, out var profiles))
            {
                _bySeason[season] = profiles = [.. Enumerable.Range(0, options.Horizon).Select(h => Profile(h, season))];
            }

            var buckets = new double[span.Count][];
            for (var i = 0; i < span.Count; i++)
            {
                buckets[i] = new double[options.Horizon];
            }

            var width = Enumerable.Range(0, span.Count).Sum(span.Share);
            for (var h = 0; h < options.Horizon; h++)
            {
                double total = 0;
                for (var i = 0; i < span.Count; i++)
                {
                    total += profiles[h][span.First + i] * span.Share(i);
                }

                for (var i = 0; i < span.Count; i++)
                {
                    var even = span.Share(i) / width;
                    var seen = total > 0 ? profiles[h][span.First + i] * span.Share(i) / total : even;
                    buckets[i][h] = load[h] * ((EvenShare * even) + ((1 - EvenShare) * seen));
                }
            }

            return [.. buckets.Select(b => ImmutableArray.Create(b))];
        }

        /// <summary>The same phase of the last seasons with its neighbours, or the newest bins when there is no such past.</summary>
        private double[] Profile(int h, int season)
        {
            var sums = new double[BucketMap.BucketsPerGroup];
            var found = false;
            for (var k = 1; season > 0 && k <= MostSeasons; k++)
            {
                var bin = endBin + h - ((long)k * season * Math.Max(1, (int)Math.Ceiling((h + 1.0) / season)));
                found |= history.TryAddBucketRates(groupId, bin, 2, sums);
                history.TryAddBucketRates(groupId, bin - 1, 1, sums);
                if (bin + 1 < endBin)
                {
                    history.TryAddBucketRates(groupId, bin + 1, 1, sums);
                }
            }

            for (var bin = endBin - 1; !found && bin >= endBin - RecentBins; bin--)
            {
                history.TryAddBucketRates(groupId, bin, 1, sums);
            }

            return sums;
        }
    }
}
