namespace ShardProxy.Planning.Forecasting;

/// <summary>
/// Gives models a series without holes. A gap takes the value of the same phase one season earlier, else the line between its
/// neighbours. Filled values are never scored: a backtest looks at observed ones only.
/// </summary>
internal static class GapFiller
{
    /// <summary>A copy with every NaN filled; all zeros when nothing was observed.</summary>
    public static double[] Fill(ReadOnlySpan<double> values, int season)
    {
        var result = values.ToArray();
        for (var i = 0; i < result.Length; i++)
        {
            if (!double.IsNaN(result[i]))
            {
                continue;
            }

            var end = i;
            while (end < result.Length && double.IsNaN(result[end]))
            {
                end++;
            }

            var before = i > 0 ? result[i - 1] : double.NaN;
            var after = end < result.Length ? result[end] : before;
            before = double.IsNaN(before) ? after : before;
            for (var k = i; k < end; k++)
            {
                var line = double.IsNaN(before) ? 0 : before + ((after - before) * (k - i + 1) / (end - i + 1));
                result[k] = season > 0 && k >= season ? result[k - season] : line;
            }

            i = end - 1;
        }

        return result;
    }
}
