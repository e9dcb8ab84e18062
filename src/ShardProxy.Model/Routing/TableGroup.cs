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

    /// <param name="id">Never reused.</param>
    /// <param name="name">As in <c>SHOW GROUPS</c>.</param>
    /// <param name="method">How the key space is cut.</param>
    /// <param name="keyTypes">Types of the key columns, in key order.</param>
    /// <param name="ranges">All ranges, in order.</param>
    /// <param name="scale">For <see cref="ShardingMethod.Range"/> where the keys lie among the positions; has a mark at the bound of every range.</param>
    public TableGroup(int id, string name, ShardingMethod method, ImmutableArray<KeyType> keyTypes, ImmutableArray<ShardRange> ranges, KeyScale? scale = null)
    {
        if ((method == ShardingMethod.Range) != (scale is not null))
        {
            throw new ArgumentException($"group {name}: a scale belongs to a RANGE group", nameof(scale));
        }

        Id = id;
        Name = name;
        Method = method;
        KeyTypes = keyTypes;
        Ranges = ranges;
        Scale = scale;
        _starts = new long[ranges.Length];
        for (var i = 0; i < ranges.Length; i++)
        {
            _starts[i] = ranges[i].From;
            var expected = i == 0 ? long.MinValue : ranges[i - 1].To;
            if (ranges[i].From != expected || ranges[i].GroupId != id)
            {
                throw new ArgumentException($"group {name}: range {ranges[i].Id} leaves a gap or overlaps", nameof(ranges));
            }

            if (i > 0 && scale is not null && scale.At(ranges[i].From) is null)
            {
                throw new ArgumentException($"group {name}: no key is known where range {ranges[i].Id} begins", nameof(scale));
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

    /// <summary>For a RANGE group where its keys lie among the positions; null for a HASH group, whose positions are the hashes.</summary>
    public KeyScale? Scale { get; }

    /// <summary>The range that holds <paramref name="hash"/>; O(log n), allocates nothing.</summary>
    /// <param name="hash">A hash, or for a RANGE group a position of its <see cref="Scale"/>.</param>
    public ShardRange Locate(long hash) => Ranges[IndexOf(hash)];

    /// <summary>Index into <see cref="Ranges"/> of the range that holds the hash or position.</summary>
    public int IndexOf(long hash)
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

        return low;
    }

    /// <summary>The same group with other ranges.</summary>
    public TableGroup WithRanges(ImmutableArray<ShardRange> ranges) => new(Id, Name, Method, KeyTypes, ranges, Scale);

    /// <summary>The same RANGE group with another scale, which keeps the positions of its ranges' bounds.</summary>
    public TableGroup WithScale(KeyScale scale) => new(Id, Name, Method, KeyTypes, Ranges, scale);

    /// <summary>
    /// The same RANGE group with a mark at the bound, and its position. When no position is left there all are spread anew, which moves buckets of the load
    /// history but no row.
    /// </summary>
    public (TableGroup Group, long Position) WithMark(KeyBound bound)
    {
        if (Scale!.With(bound) is { } made)
        {
            return (WithScale(made.Scale), made.Mark.Position);
        }

        var spread = Scale.Spread();
        var positions = Scale.Marks.Zip(spread.Marks).ToDictionary(p => p.First.Position, p => p.Second.Position);
        var ranges = Ranges.Select(r => r with { From = r.From == long.MinValue ? r.From : positions[r.From], To = r.To is { } to ? positions[to] : null });
        var (scale, mark) = spread.With(bound)!.Value;
        return (new TableGroup(Id, Name, Method, KeyTypes, [.. ranges], scale), mark.Position);
    }

    /// <summary>A bound of a range as the console shows it; null at the ends of a RANGE group's key space and at the upper end of a HASH group's.</summary>
    public string? BoundText(long? position) => position switch
    {
        null => null,
        { } at when Scale is null => at.ToString(System.Globalization.CultureInfo.InvariantCulture),
        long.MinValue => null,
        { } at => Scale.At(at)?.Bound.ToString(),
    };
}
