namespace ShardProxy.Demo.Accounting;

/// <summary>
/// Latencies of one phase, counted from the scheduled arrival, so that waiting for an overloaded node counts. Buckets grow by 5 %;
/// figures are upper ends of buckets. Safe for several threads.
/// </summary>
internal sealed class LatencyRecorder
{
    private const double Growth = 1.05;
    private const double FirstMs = 0.1;
    private const int Buckets = 300;

    private readonly long[] _counts = new long[Buckets];
    private long _total;
    private long _maxTicks;

    public long Count => Interlocked.Read(ref _total);

    public double MaxMs => TimeSpan.FromTicks(Interlocked.Read(ref _maxTicks)).TotalMilliseconds;

    public void Add(TimeSpan latency)
    {
        var ms = Math.Max(latency.TotalMilliseconds, FirstMs);
        var bucket = Math.Clamp((int)Math.Ceiling(Math.Log(ms / FirstMs) / Math.Log(Growth)), 0, Buckets - 1);
        Interlocked.Increment(ref _counts[bucket]);
        Interlocked.Increment(ref _total);
        long seen;
        while (latency.Ticks > (seen = Interlocked.Read(ref _maxTicks)) && Interlocked.CompareExchange(ref _maxTicks, latency.Ticks, seen) != seen)
        {
        }
    }

    /// <summary>The quantile in milliseconds; 0 when nothing was recorded.</summary>
    public double QuantileMs(double q)
    {
        var counts = Snapshot();
        return Quantile(counts, q);
    }

    /// <summary>A copy of the counts, to tell later what came since.</summary>
    public long[] Snapshot()
    {
        var copy = new long[Buckets];
        for (var i = 0; i < Buckets; i++)
        {
            copy[i] = Interlocked.Read(ref _counts[i]);
        }

        return copy;
    }

    /// <summary>The quantile of what lies between two snapshots, in milliseconds.</summary>
    public static double QuantileMs(long[] from, long[] to, double q)
    {
        var difference = new long[Buckets];
        for (var i = 0; i < Buckets; i++)
        {
            difference[i] = to[i] - from[i];
        }

        return Quantile(difference, q);
    }

    private static double Quantile(long[] counts, double q)
    {
        var total = counts.Sum();
        if (total == 0)
        {
            return 0;
        }

        var rank = (long)Math.Ceiling(q * total);
        long sum = 0;
        for (var i = 0; i < Buckets; i++)
        {
            sum += counts[i];
            if (sum >= rank)
            {
                return FirstMs * Math.Pow(Growth, i);
            }
        }

        return FirstMs * Math.Pow(Growth, Buckets - 1);
    }
}
