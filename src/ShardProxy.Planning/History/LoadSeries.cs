namespace ShardProxy.Planning.History;

/// <summary>An equally spaced series cut out of the history.</summary>
/// <param name="FirstBin">Bin number of <c>Values[0]</c>.</param>
/// <param name="Values">Load per second in each bin, oldest first; <see cref="double.NaN"/> where nothing was recorded. Owned by the caller.</param>
public sealed record LoadSeries(long FirstBin, double[] Values)
{
    /// <summary>Bins that were observed.</summary>
    public int Observed => Values.Count(v => !double.IsNaN(v));

    /// <summary>Mean of the newest <paramref name="bins"/> observed bins, or 0 without any.</summary>
    public double RecentMean(int bins)
    {
        double sum = 0;
        var count = 0;
        for (var i = Values.Length - 1; i >= 0 && count < bins; i--)
        {
            if (!double.IsNaN(Values[i]))
            {
                sum += Values[i];
                count++;
            }
        }

        return count == 0 ? 0 : sum / count;
    }
}
