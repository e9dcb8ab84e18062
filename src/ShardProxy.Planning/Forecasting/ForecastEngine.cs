using System.Collections.Immutable;

namespace ShardProxy.Planning.Forecasting;

/// <summary>
/// Forecasts a series by the model, or the combination of models, that would have done best on its own recent past. Pure and
/// deterministic: the same values and options give the same forecast.
/// </summary>
public sealed class ForecastEngine(ForecastOptions options)
{
    /// <summary>A more complex model has to be better by this much to be preferred: ties go to the simpler one.</summary>
    private const double RequiredGain = 0.99;

    private const int CombinedModels = 3;

    /// <summary>Values a forecast needs before it may be called predictive.</summary>
    private const int MinimumObservations = 8;

    public ForecastOptions Options { get; } = options;

    /// <summary>Forecasts one series.</summary>
    /// <param name="values">Oldest first, equally spaced; NaN is a gap.</param>
    public SeriesForecast Forecast(ReadOnlySpan<double> values)
    {
        var observed = (values.Length > Options.MaxHistory ? values[^Options.MaxHistory..] : values).ToArray();
        var first = Array.FindIndex(observed, v => !double.IsNaN(v));
        if (first < 0)
        {
            return Unknown();
        }

        observed = observed[first..];
        var count = observed.Count(v => !double.IsNaN(v));
        var seasons = SeasonsOf(observed);
        var filled = GapFiller.Fill(observed, seasons.Length == 0 ? 0 : seasons[0]);
        var origins = Backtest.ChooseOrigins(filled.Length, seasons.Length == 0 ? 0 : seasons[^1], Options);
        if (origins.Length == 0)
        {
            return FromTooLittle(filled, seasons, count);
        }

        var scored = Score(filled, observed, origins, seasons);
        var naive = scored[0].Backtest;
        var (chosen, backtest) = Choose(scored);
        var point = Predict(chosen, filled);
        return new SeriesForecast
        {
            Forecast = WithInterval(point, backtest, filled),
            Model = chosen.Count == 1 ? chosen[0].Model.Name : string.Join(" & ", chosen.Select(c => c.Model.Name)),
            BacktestError = double.IsInfinity(backtest.MeanAbsoluteError) ? double.NaN : backtest.MeanAbsoluteError,
            NaiveError = double.IsInfinity(naive.MeanAbsoluteError) ? double.NaN : naive.MeanAbsoluteError,
            Seasons = [.. seasons],
            Observations = count,
            IsPredictive = IsPredictive(count, backtest, naive, filled),
        };
    }

    private static bool IsPredictive(int observations, Backtest backtest, Backtest naive, double[] filled)
    {
        if (observations < MinimumObservations || double.IsInfinity(backtest.MeanAbsoluteError))
        {
            return false;
        }

        var level = filled.Average(Math.Abs);
        return backtest.MeanAbsoluteError < 0.98 * naive.MeanAbsoluteError || backtest.MeanAbsoluteError <= 0.1 * level;
    }

    private int[] SeasonsOf(double[] observed)
    {
        var seasons = Options.Seasons.IsEmpty ? SeasonDetector.Detect(GapFiller.Fill(observed, 0)) : [.. Options.Seasons];
        return [.. seasons.Where(s => s > 1 && s <= observed.Length).Order()];
    }

    /// <summary>The pool for a series; the naive model comes first, then from simple to complex.</summary>
    private static List<IForecastModel> Pool(int[] seasons)
    {
        var pool = new List<IForecastModel> { new NaiveModel(), new SmoothingModel([], isSteady: false) };
        foreach (var season in seasons)
        {
            pool.Add(new SeasonalNaiveModel(season));
            pool.Add(new SeasonalMeanModel(season));
        }

        if (seasons.Length > 0)
        {
            pool.Add(new SmoothingModel([seasons[0]], isSteady: false));
            pool.Add(new SmoothingModel([seasons[0]], isSteady: true));
        }

        if (seasons.Length > 1)
        {
            pool.Add(new SmoothingModel([seasons[^1]], isSteady: true));
            pool.Add(new SmoothingModel([seasons[0], seasons[^1]], isSteady: true));
        }

        return pool;
    }

    private List<(IForecastModel Model, Backtest Backtest)> Score(double[] filled, double[] observed, int[] origins, int[] seasons)
    {
        var scored = new List<(IForecastModel, Backtest)>();
        foreach (var model in Pool(seasons))
        {
            // The other origins see more values, so the first decides.
            if (origins[0] >= model.MinimumLength)
            {
                scored.Add((model, Backtest.Of(model, filled, observed, origins, Options)));
            }
        }

        return scored;
    }

    private static (List<(IForecastModel Model, double Weight)> Chosen, Backtest Backtest) Choose(List<(IForecastModel Model, Backtest Backtest)> scored)
    {
        var best = scored[0];
        foreach (var candidate in scored.Skip(1))
        {
            if (candidate.Backtest.MeanAbsoluteError < RequiredGain * best.Backtest.MeanAbsoluteError)
            {
                best = candidate;
            }
        }

        var good = scored
            .Where(s => s.Backtest.MeanAbsoluteError <= 1.3 * best.Backtest.MeanAbsoluteError)
            .OrderBy(s => s.Backtest.MeanAbsoluteError)
            .Take(CombinedModels)
            .ToList();
        if (good.Count > 1 && best.Backtest.MeanAbsoluteError > 0 && !double.IsInfinity(best.Backtest.MeanAbsoluteError))
        {
            var weights = good.ConvertAll(g => 1 / (g.Backtest.MeanAbsoluteError * g.Backtest.MeanAbsoluteError));
            var total = weights.Sum();
            var combined = Backtest.Combine([.. good.Zip(weights, (g, w) => (g.Backtest, w / total))]);
            if (combined.MeanAbsoluteError < RequiredGain * best.Backtest.MeanAbsoluteError)
            {
                return ([.. good.Zip(weights, (g, w) => (g.Model, w / total))], combined);
            }
        }

        return ([(best.Model, 1)], best.Backtest);
    }

    private double[] Predict(List<(IForecastModel Model, double Weight)> chosen, double[] filled)
    {
        var point = new double[Options.Horizon];
        var one = new double[Options.Horizon];
        int[] origin = [filled.Length];
        foreach (var (model, weight) in chosen)
        {
            model.Run(filled, origin, Options.Horizon, one);
            for (var h = 0; h < one.Length; h++)
            {
                point[h] += weight * Clamp(one[h]);
            }
        }

        return point;
    }

    private Forecast WithInterval(double[] point, Backtest backtest, double[] filled)
    {
        var lower = new double[point.Length];
        var upper = new double[point.Length];
        ConformalInterval.Offsets(backtest, Options.Level, Spread(filled), lower, upper);
        for (var h = 0; h < point.Length; h++)
        {
            lower[h] = Clamp(point[h] + lower[h]);
            upper[h] = point[h] + upper[h];
        }

        return new Forecast([.. point], [.. lower], [.. upper]);
    }

    private SeriesForecast Unknown()
    {
        var zeros = ImmutableArray.CreateRange(new double[Options.Horizon]);
        return new SeriesForecast
        {
            Forecast = new Forecast(zeros, zeros, zeros),
            Model = "none",
            BacktestError = double.NaN,
            NaiveError = double.NaN,
            Seasons = [],
            Observations = 0,
            IsPredictive = false,
        };
    }

    private SeriesForecast FromTooLittle(double[] filled, int[] seasons, int count)
    {
        var last = Clamp(filled[^1]);
        var spread = Spread(filled);
        return new SeriesForecast
        {
            Forecast = new Forecast(
                [.. Enumerable.Repeat(last, Options.Horizon)],
                [.. Enumerable.Repeat(Clamp(last - spread), Options.Horizon)],
                [.. Enumerable.Repeat(last + spread, Options.Horizon)]),
            Model = "naive",
            BacktestError = double.NaN,
            NaiveError = double.NaN,
            Seasons = [.. seasons],
            Observations = count,
            IsPredictive = false,
        };
    }

    /// <summary>Half width of an interval nothing is known about: the range of the values, at least half the largest.</summary>
    private static double Spread(double[] filled) => Math.Max(filled.Max() - filled.Min(), 0.5 * filled.Max(Math.Abs));

    private double Clamp(double value) => Options.NonNegative ? Math.Max(0, value) : value;
}
