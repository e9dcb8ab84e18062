namespace ShardProxy.Planning.Forecasting;

/// <summary>
/// Prediction intervals from the residuals of a backtest, per step (split conformal prediction, Vovk et al. 2005), with the
/// miss rate adapted along the origins so that coverage holds when errors grow or shrink (Gibbs and Candès 2021).
/// </summary>
internal static class ConformalInterval
{
    private const double AdaptationRate = 0.02;
    private const int WarmUp = 16;

    /// <summary>Fills, for every step, what has to be added to the point forecast to get the bounds.</summary>
    public static void Offsets(Backtest backtest, double level, double fallback, Span<double> lower, Span<double> upper)
    {
        var miss = AdaptedMissRate(backtest, 1 - level);
        var pool = new List<double>(backtest.Origins.Length * 3);
        for (var h = 0; h < backtest.Horizon; h++)
        {
            Collect(backtest, h, backtest.Origins.Length, WarmUp, pool);
            if (pool.Count < 3)
            {
                lower[h] = -fallback;
                upper[h] = fallback;
                continue;
            }

            lower[h] = Math.Min(0, Quantile(pool, miss / 2));
            upper[h] = Math.Max(0, Quantile(pool, 1 - (miss / 2)));
        }

        // Further ahead is never surer: a narrower later step is luck of the sample.
        for (var h = 1; h < lower.Length; h++)
        {
            lower[h] = Math.Min(lower[h], lower[h - 1] * 0.9);
            upper[h] = Math.Max(upper[h], upper[h - 1] * 0.9);
        }
    }

    /// <summary>Conformal quantile of ascending residuals: rank (n + 1) p, a little beyond the extremes where n is too small for p.</summary>
    internal static double Quantile(List<double> sorted, double p)
    {
        var rank = (p * (sorted.Count + 1)) - 1;
        if (rank <= 0)
        {
            return sorted[0] - (Math.Min(1, -rank) * 0.25 * Math.Abs(sorted[0]));
        }

        if (rank >= sorted.Count - 1)
        {
            return sorted[^1] + (Math.Min(1, rank - (sorted.Count - 1)) * 0.25 * Math.Abs(sorted[^1]));
        }

        var below = (int)rank;
        return sorted[below] + ((rank - below) * (sorted[below + 1] - sorted[below]));
    }

    private static double AdaptedMissRate(Backtest backtest, double nominal)
    {
        var miss = nominal;
        var pool = new List<double>();
        for (var i = WarmUp; i < backtest.Origins.Length; i++)
        {
            int missed = 0, scored = 0;
            for (var h = 0; h < backtest.Horizon; h += Math.Max(1, backtest.Horizon / 3))
            {
                var residual = backtest.Residual(i, h);
                // An earlier origin's residual is known at this one only if its target had come by then.
                var known = KnownAt(backtest, i, h);
                if (double.IsNaN(residual) || known < WarmUp / 2)
                {
                    continue;
                }

                Collect(backtest, h, known, WarmUp / 2, pool);
                scored++;
                if (pool.Count > 0 && (residual < Quantile(pool, miss / 2) || residual > Quantile(pool, 1 - (miss / 2))))
                {
                    missed++;
                }
            }

            if (scored > 0)
            {
                miss = Math.Clamp(miss + (AdaptationRate * (nominal - ((double)missed / scored))), nominal / 5, Math.Min(0.5, nominal * 2));
            }
        }

        return miss;
    }

    private static int KnownAt(Backtest backtest, int origin, int h)
    {
        var known = 0;
        while (known < origin && backtest.Origins[known] + h < backtest.Origins[origin])
        {
            known++;
        }

        return known;
    }

    /// <summary>Residuals of step h at the first origins, ascending; neighbouring steps join in until there are enough.</summary>
    private static void Collect(Backtest backtest, int h, int origins, int enough, List<double> pool)
    {
        pool.Clear();
        for (var distance = 0; distance < backtest.Horizon && (distance == 0 || pool.Count < enough); distance++)
        {
            AddStep(backtest, h - distance, origins, pool);
            if (distance > 0)
            {
                AddStep(backtest, h + distance, origins, pool);
            }
        }

        pool.Sort();
    }

    private static void AddStep(Backtest backtest, int h, int origins, List<double> pool)
    {
        if (h < 0 || h >= backtest.Horizon)
        {
            return;
        }

        for (var i = 0; i < origins; i++)
        {
            var residual = backtest.Residual(i, h);
            if (!double.IsNaN(residual))
            {
                pool.Add(residual);
            }
        }
    }
}
