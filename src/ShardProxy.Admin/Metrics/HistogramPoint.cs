using System.Collections.Immutable;
using System.Globalization;

namespace ShardProxy.Admin.Metrics;

/// <summary>One histogram series: cumulative counts per bound, +Inf last, and the sum.</summary>
internal sealed class HistogramPoint(ImmutableArray<double> bounds)
{
    private readonly double[] _cumulative = new double[bounds.Length + 1];

    public ImmutableArray<double> Bounds { get; } = bounds;

    public ReadOnlySpan<double> Cumulative => _cumulative;

    public double Sum { get; private set; }

    public double Count => _cumulative[^1];

    /// <summary>Counts one value.</summary>
    public void Record(double value)
    {
        for (var i = 0; i < Bounds.Length; i++)
        {
            if (value <= Bounds[i])
            {
                _cumulative[i]++;
            }
        }

        _cumulative[^1]++;
        Sum += value;
    }

    /// <summary>Adds a cumulative count read from an owner's own buckets; an unknown bound is a mistake and ignored.</summary>
    public void AddBucket(string le, double count)
    {
        var index = le == "+Inf"
            ? Bounds.Length
            : double.TryParse(le, NumberStyles.Float, CultureInfo.InvariantCulture, out var bound) ? Bounds.IndexOf(bound) : -1;
        if (index >= 0)
        {
            _cumulative[index] += count;
        }
    }

    public void AddSum(double sum) => Sum += sum;
}
