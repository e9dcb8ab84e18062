namespace ShardProxy.Planning.Forecasting;

/// <summary>
/// Rolling-origin evaluation: the forecasts a model would have made at past moments, beside what then happened.
/// </summary>
internal sealed class Backtest
{
    private readonly double[] _actual;
    private readonly double[] _forecasts;

    private Backtest(double[] actual, int[] origins, int horizon, double[] forecasts)
    {
        _actual = actual;
        _forecasts = forecasts;
        Origins = origins;
        Horizon = horizon;
        double error = 0;
        for (var i = 0; i < origins.Length; i++)
        {
            for (var h = 0; h < horizon; h++)
            {
                var residual = Residual(i, h);
                if (!double.IsNaN(residual))
                {
                    error += Math.Abs(residual);
                    Scored++;
                }
            }
        }

        MeanAbsoluteError = Scored == 0 ? double.PositiveInfinity : error / Scored;
    }

    public int[] Origins { get; }

    public int Horizon { get; }

    /// <summary>Pairs of forecast and observed value.</summary>
    public int Scored { get; }

    /// <summary>Over all origins and steps; infinite when nothing could be scored.</summary>
    public double MeanAbsoluteError { get; }

    public ReadOnlySpan<double> Forecasts => _forecasts;

    /// <summary>Runs a model at the origins.</summary>
    /// <param name="model">The model.</param>
    /// <param name="filled">The series without gaps.</param>
    /// <param name="observed">The series with gaps as NaN; only its numbers are scored.</param>
    /// <param name="origins">Ascending origins.</param>
    /// <param name="options">Horizon and clamping.</param>
    public static Backtest Of(IForecastModel model, double[] filled, double[] observed, int[] origins, ForecastOptions options)
    {
        var forecasts = new double[origins.Length * options.Horizon];
        model.Run(filled, origins, options.Horizon, forecasts);
        if (options.NonNegative)
        {
            for (var i = 0; i < forecasts.Length; i++)
            {
                forecasts[i] = Math.Max(0, forecasts[i]);
            }
        }

        return new Backtest(observed, origins, options.Horizon, forecasts);
    }

    /// <summary>The weighted mean of several backtests of the same origins.</summary>
    public static Backtest Combine(IReadOnlyList<(Backtest Backtest, double Weight)> parts)
    {
        var first = parts[0].Backtest;
        var forecasts = new double[first._forecasts.Length];
        foreach (var (backtest, weight) in parts)
        {
            for (var i = 0; i < forecasts.Length; i++)
            {
                forecasts[i] += weight * backtest._forecasts[i];
            }
        }

        return new Backtest(first._actual, first.Origins, first.Horizon, forecasts);
    }

    /// <summary>
    /// Origins over the newest part of the series, the newest one just before its last value, evenly spaced and at most
    /// <see cref="ForecastOptions.MaxOrigins"/>. Empty when there are fewer than three values.
    /// </summary>
    public static int[] ChooseOrigins(int length, int longestSeason, ForecastOptions options)
    {
        if (length < 3)
        {
            return [];
        }

        var span = Math.Min(length / 2, Math.Max(Math.Max(2 * longestSeason, 6 * options.Horizon), 48));
        // Two whole seasons must remain to learn from, where that leaves anything to score.
        var learn = longestSeason > 0 && length - (2 * longestSeason) >= Math.Max(3, options.Horizon / 2) ? 2 * longestSeason : 1;
        span = Math.Clamp(length - learn, 1, span);
        var count = Math.Min(options.MaxOrigins, span);
        var stride = span / count;
        var origins = new int[count];
        for (var i = 0; i < count; i++)
        {
            origins[count - 1 - i] = length - 1 - (i * stride);
        }

        return origins;
    }

    /// <summary>Observed minus forecast at origin <paramref name="i"/>, step <paramref name="h"/> + 1; NaN when not observed.</summary>
    public double Residual(int i, int h)
    {
        var t = Origins[i] + h;
        return t < _actual.Length ? _actual[t] - _forecasts[(i * Horizon) + h] : double.NaN;
    }
}
