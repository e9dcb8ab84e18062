using System.Collections.Immutable;
using ShardProxy.Model.Topology;

namespace ShardProxy.Model.Routing;

/// <summary>How a group's key space is cut.</summary>
public enum ShardingMethod
{
    Hash = 1,
    Range = 2,
}

/// <summary>
/// Tables co-located by the same key type, and the ranges of their common key space. Ranges are ordered by
/// <see cref="ShardRange.From"/>, without gap or overlap; the constructor checks that.
/// </summary>
public sealed class TableGroup
{
    private readonly long[] _starts;

    public TableGroup(int id, string name, ShardingMethod method, ImmutableArray<KeyType> keyTypes, ImmutableArray<ShardRange> ranges)
    {
        Id = id;
        Name = name;
        Method = method;
        KeyTypes = keyTypes;
        Ranges = ranges;
        _starts = new long[ranges.Length];
        for (var i = 0; i < ranges.Length; i++)
        {
            _starts[i] = ranges[i].From;
            var expected = i == 0 ? long.MinValue : ranges[i - 1].To;
            if (ranges[i].From != expected || ranges[i].GroupId != id)
            {
                throw new ArgumentException($"group {name}: range {ranges[i].Id} leaves a gap or overlaps", nameof(ranges));
            }
        }

        if (ranges.Length == 0 || ranges[^1].To is not null)
        {
            throw new ArgumentException($"group {name}: the ranges do not cover the key space", nameof(ranges));
        }
    }

    public int Id { get; }

    public string Name { get; }

    public ShardingMethod Method { get; }

    /// <summary>Types of the key columns, in key order.</summary>
    public ImmutableArray<KeyType> KeyTypes { get; }

    public ImmutableArray<ShardRange> Ranges { get; }

    /// <summary>The range that holds <paramref name="hash"/>; O(log n), allocates nothing.</summary>
    public ShardRange Locate(long hash)
    {
        int low = 0, high = _starts.Length - 1;
        while (low < high)
        {
            var middle = (low + high + 1) >>> 1;
            if (_starts[middle] <= hash)
            {
                low = middle;
            }
            else
            {
                high = middle - 1;
            }
        }

        return Ranges[low];
    }

    /// <summary>The same group with other ranges.</summary>
    public TableGroup WithRanges(ImmutableArray<ShardRange> ranges) => new(Id, Name, Method, KeyTypes, ranges);
}
