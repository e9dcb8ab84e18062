namespace ShardProxy.Planning.Forecasting;

/// <summary>
/// Additive exponential smoothing with a damped trend, any number of seasons, and an autoregressive correction of the last
/// error (Holt 1957, Winters 1960; damped: Gardner and McKenzie 1985; several seasons with the correction: Taylor 2003). Parameters minimise
/// the squared one-step error by a small deterministic search.
/// </summary>
/// <param name="seasons">Season lengths, shortest first; empty for level and trend only.</param>
/// <param name="isSteady">
/// Keeps level and seasonal terms slow and leaves quick changes to the error correction: better several steps ahead when the
/// shape repeats; the free variant is better when the level wanders.
/// </param>
internal sealed class SmoothingModel(int[] seasons, bool isSteady) : IForecastModel
{
    /// <summary>Newest values the parameters are learned from: more change nothing and cost time.</summary>
    private const int MostFitted = 2016;

    private const double MaximumSteadyLevel = 0.08;

    public string Name { get; } = (isSteady ? "smoothing_steady" : "smoothing") + (seasons.Length == 0 ? "" : $"({string.Join('+', seasons)})");

    public int MinimumLength => seasons.Length == 0 ? 4 : 2 * seasons[^1];

    public void Run(ReadOnlySpan<double> values, ReadOnlySpan<int> origins, int horizon, Span<double> forecasts)
    {
        var training = values[..origins[0]];
        var keep = Math.Max(MostFitted, seasons.Length == 0 ? 0 : 3 * seasons[^1]);
        var parameters = Search(training.Length > keep ? training[^keep..] : training);
        var state = new SmoothingState(seasons, training);
        var t = 0;
        for (var i = 0; i < origins.Length; i++)
        {
            for (; t < origins[i]; t++)
            {
                state.Observe(values[t], parameters);
            }

            state.Forecast(forecasts.Slice(i * horizon, horizon), parameters);
        }
    }

    /// <summary>Best of a few seeds, then coordinate search with shrinking steps. About 60 passes over the values.</summary>
    private SmoothingParameters Search(ReadOnlySpan<double> values)
    {
        var best = default(SmoothingParameters);
        var bestError = double.PositiveInfinity;
        foreach (var seed in Seeds())
        {
            Try(values, seed, ref best, ref bestError);
        }

        for (var step = 0.5; step > 0.1; step /= 2)
        {
            for (var coordinate = 0; coordinate < 5; coordinate++)
            {
                if (coordinate == 3 && seasons.Length == 0)
                {
                    continue;
                }

                var (down, up) = (Nudge(best, coordinate, -step), Nudge(best, coordinate, step));
                Try(values, down, ref best, ref bestError);
                Try(values, up, ref best, ref bestError);
            }
        }

        return best;
    }

    private SmoothingParameters[] Seeds() => isSteady
        ? [new(0.01, 0, 0.9, 0.05, 0.5), new(0.03, 0, 0.9, 0.15, 0.8), new(0.05, 0, 0.9, 0.3, 0.3), new(0.02, 0, 0.9, 0.1, 0.95)]
        : [new(0.1, 0, 0.9, 0.1, 0), new(0.3, 0, 0.9, 0.2, 0), new(0.7, 0, 0.9, 0.2, 0), new(0.3, 0.05, 0.9, 0.1, 0), new(0.8, 0.1, 0.9, 0.1, 0)];

    private SmoothingParameters Nudge(SmoothingParameters p, int coordinate, double step)
    {
        var next = coordinate switch
        {
            0 => p with { Level = Shift(p.Level, step) },
            1 => p with { Trend = Shift(p.Trend, step) },
            2 => p with { Damping = Shift(p.Damping, step) },
            3 => p with { Season = Shift(p.Season, step) },
            _ => p with { Carry = Shift(p.Carry, step) },
        };
        return isSteady ? next with { Level = Math.Min(next.Level, MaximumSteadyLevel), Trend = 0 } : next with { Damping = Math.Min(next.Damping, 0.98) };
    }

    /// <summary>A step on the logistic scale, so that small rates are searched finely; 0 can be left.</summary>
    private static double Shift(double value, double step)
    {
        var clamped = Math.Clamp(value, 0.002, 0.99);
        var logit = Math.Log(clamped / (1 - clamped)) + (4 * step);
        var next = 1 / (1 + Math.Exp(-logit));
        return next < 0.003 ? 0 : Math.Min(next, 0.99);
    }

    private void Try(ReadOnlySpan<double> values, SmoothingParameters parameters, ref SmoothingParameters best, ref double bestError)
    {
        var state = new SmoothingState(seasons, values);
        // The first cycle made the start values: its errors say nothing.
        var settle = Math.Min(values.Length / 2, seasons.Length == 0 ? 1 : seasons[^1]);
        double error = 0;
        for (var t = 0; t < values.Length; t++)
        {
            var e = state.Observe(values[t], parameters);
            if (t >= settle)
            {
                error += e * e;
            }
        }

        if (error < bestError)
        {
            bestError = error;
            best = parameters;
        }
    }
}
