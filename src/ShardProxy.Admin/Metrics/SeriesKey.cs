using System.Collections.Immutable;
using ShardProxy.Model.Metrics;

namespace ShardProxy.Admin.Metrics;

/// <summary>The label values of one series, in the order of its definition.</summary>
internal readonly struct SeriesKey(ImmutableArray<string> values) : IEquatable<SeriesKey>
{
    /// <summary>Stands for every label set beyond a metric's bound.</summary>
    public const string Overflow = "other";

    public ImmutableArray<string> Values { get; } = values;

    /// <summary>The values of a measurement's tags; a label without a tag is empty, a tag without a label is left out.</summary>
    public static SeriesKey Of(MetricDefinition definition, ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        var values = ImmutableArray.CreateBuilder<string>(definition.Labels.Length);
        foreach (var label in definition.Labels)
        {
            var value = "";
            foreach (var tag in tags)
            {
                if (string.Equals(tag.Key, label, StringComparison.Ordinal))
                {
                    value = Convert.ToString(tag.Value, System.Globalization.CultureInfo.InvariantCulture) ?? "";
                }
            }

            values.Add(value);
        }

        return new SeriesKey(values.MoveToImmutable());
    }

    public static SeriesKey OverflowOf(MetricDefinition definition) => new([.. definition.Labels.Select(_ => Overflow)]);

    public bool Equals(SeriesKey other) => Values.AsSpan().SequenceEqual(other.Values.AsSpan());

    public override bool Equals(object? obj) => obj is SeriesKey other && Equals(other);

    public override int GetHashCode()
    {
        var hash = new HashCode();
        foreach (var value in Values)
        {
            hash.Add(value, StringComparer.Ordinal);
        }

        return hash.ToHashCode();
    }
}
