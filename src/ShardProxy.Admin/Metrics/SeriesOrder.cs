using System.Globalization;

namespace ShardProxy.Admin.Metrics;

/// <summary>Order of series in the exposition: by label values; two numbers compare as numbers, so that range 10 follows range 9.</summary>
internal sealed class SeriesOrder : IComparer<SeriesKey>
{
    public static readonly SeriesOrder Instance = new();

    public int Compare(SeriesKey x, SeriesKey y)
    {
        for (var i = 0; i < Math.Min(x.Values.Length, y.Values.Length); i++)
        {
            var order = Compare(x.Values[i], y.Values[i]);
            if (order != 0)
            {
                return order;
            }
        }

        return x.Values.Length - y.Values.Length;
    }

    private static int Compare(string a, string b) =>
        long.TryParse(a, NumberStyles.None, CultureInfo.InvariantCulture, out var left)
        && long.TryParse(b, NumberStyles.None, CultureInfo.InvariantCulture, out var right)
            ? left.CompareTo(right)
            : string.CompareOrdinal(a, b);
}
