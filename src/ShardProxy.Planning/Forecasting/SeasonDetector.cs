namespace ShardProxy.Planning.Forecasting;

/// <summary>Finds season lengths by autocorrelation: at most two, shortest first.</summary>
internal static class SeasonDetector
{
    private const int MostValues = 2016;
    private const double MinimumCorrelation = 0.3;

    /// <summary>Season lengths of a series without gaps; empty when no shape repeats at least three times.</summary>
    public static int[] Detect(ReadOnlySpan<double> values)
    {
        var work = (values.Length > MostValues ? values[^MostValues..] : values).ToArray();
        Detrend(work);
        var energy = Energy(work);
        var correlation = Correlate(work);
        var season = FindOne(correlation, work.Length, _ => true);
        if (season == 0)
        {
            return [];
        }

        // A week repeats better than its days: then the day is a lower peak at a part of it.
        for (var part = 2; part <= season / 2; part++)
        {
            if (season % part == 0 && correlation[part] >= Math.Max(MinimumCorrelation, 0.4 * correlation[season]) && IsPeak(correlation, part))
            {
                return [part, season];
            }
        }

        // Otherwise the week may show once the day is taken out; what is left of a clean season is noise.
        Remove(work, season);
        if (Energy(work) < 0.05 * energy)
        {
            return [season];
        }

        var longer = FindOne(Correlate(work), work.Length, lag => lag > season && lag % season == 0);
        return longer == 0 ? [season] : [season, longer];
    }

    private static double Energy(double[] values) => values.Sum(v => v * v);

    private static double[] Correlate(double[] values)
    {
        var maximum = values.Length / 3;
        var energy = Energy(values);
        if (maximum < 3 || energy <= 1e-9)
        {
            return [];
        }

        var correlation = new double[maximum + 1];
        correlation[0] = 1;
        for (var lag = 1; lag <= maximum; lag++)
        {
            double sum = 0;
            for (var i = lag; i < values.Length; i++)
            {
                sum += values[i] * values[i - lag];
            }

            // Every lag has fewer pairs than the one before: without the factor the shortest season always wins.
            correlation[lag] = sum / energy * values.Length / (values.Length - lag);
        }

        return correlation;
    }

    private static int FindOne(double[] correlation, int length, Func<int, bool> isAllowed)
    {
        // A season is a peak after the correlation has once been low; a slow series is high at small lags without any season.
        var maximum = correlation.Length - 1;
        var start = 1;
        while (start < maximum && correlation[start] > 0.2 && correlation[start] <= correlation[start - 1])
        {
            start++;
        }

        double highest = 0;
        for (var lag = Math.Max(2, start); lag < maximum; lag++)
        {
            if (isAllowed(lag) && IsPeak(correlation, lag))
            {
                highest = Math.Max(highest, correlation[lag]);
            }
        }

        var noise = 4 / Math.Sqrt(length);
        if (highest < Math.Max(MinimumCorrelation, noise))
        {
            return 0;
        }

        for (var lag = Math.Max(2, start); lag < maximum; lag++)
        {
            if (isAllowed(lag) && IsPeak(correlation, lag) && correlation[lag] >= 0.85 * highest)
            {
                return lag;
            }
        }

        return 0;
    }

    private static bool IsPeak(double[] correlation, int lag) =>
        correlation[lag] > correlation[lag - 1] && correlation[lag] >= correlation[lag + 1];

    private static void Detrend(double[] values)
    {
        var n = values.Length;
        double sum = 0, weighted = 0;
        for (var i = 0; i < n; i++)
        {
            sum += values[i];
            weighted += (i - ((n - 1) / 2.0)) * values[i];
        }

        var slope = n < 3 ? 0 : weighted * 12 / ((double)n * (((double)n * n) - 1));
        for (var i = 0; i < n; i++)
        {
            values[i] -= (sum / n) + (slope * (i - ((n - 1) / 2.0)));
        }
    }

    private static void Remove(double[] values, int season)
    {
        for (var phase = 0; phase < season; phase++)
        {
            double sum = 0;
            var count = 0;
            for (var i = phase; i < values.Length; i += season)
            {
                sum += values[i];
                count++;
            }

            for (var i = phase; i < values.Length; i += season)
            {
                values[i] -= sum / count;
            }
        }
    }
}
