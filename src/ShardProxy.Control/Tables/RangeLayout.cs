using System.Collections.Immutable;
using System.Globalization;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Topology;
using ShardProxy.Model.Workload;

namespace ShardProxy.Control.Tables;

/// <summary>The first ranges of a RANGE group, and where its keys lie among the positions.</summary>
/// <param name="Scale">A mark at every bound, and at the quantiles that are known.</param>
/// <param name="Ranges">Ids, owners and bounds; of the group 0 until it has an id.</param>
internal sealed record RangeLayout(KeyScale Scale, ImmutableArray<ShardRange> Ranges)
{
    private const int RangesPerNode = 4;

    /// <summary>
    /// For a table whose keys are not known yet: bounds that suit the first key column's type, neighbouring ranges on different nodes, since the first
    /// keys will come close together.
    /// </summary>
    /// <param name="types">Types of the key columns.</param>
    /// <param name="nodes">The nodes.</param>
    /// <param name="today">Ranges of dates and times are months from this one on.</param>
    public static RangeLayout ForUnknownKeys(ImmutableArray<KeyType> types, IReadOnlyList<Node> nodes, DateOnly today)
    {
        var count = nodes.Count * RangesPerNode;
        var marks = ImmutableArray.CreateBuilder<KeyMark>();
        for (var i = 1; i < count; i++)
        {
            marks.Add(new KeyMark(Position(i, count), KeyBound.TryParse(types, [Guess(types[0], i, count, today)])!));
        }

        return Make(new KeyScale(marks.ToImmutable()), [.. marks.Select(m => m.Position)], i => nodes[i % nodes.Count].Id);
    }

    /// <summary>
    /// For a filled table: ranges of about as many rows each, neighbouring ones on one node, so that the predicate of what a node owns stays short. Null
    /// when there are fewer different keys than ranges.
    /// </summary>
    /// <param name="types">Types of the key columns.</param>
    /// <param name="nodes">The nodes.</param>
    /// <param name="quantiles">Keys, each with the bucket of the load history that it begins, ascending.</param>
    public static RangeLayout? ForKeys(ImmutableArray<KeyType> types, IReadOnlyList<Node> nodes, IReadOnlyList<(int Bucket, ImmutableArray<string> Key)> quantiles)
    {
        var marks = ImmutableArray.CreateBuilder<KeyMark>();
        foreach (var (bucket, key) in quantiles)
        {
            if (KeyBound.TryParse(types, key) is { } bound && (marks.Count == 0 || marks[^1].Bound.Ordered.SequenceCompareTo(bound.Ordered) < 0))
            {
                marks.Add(new KeyMark(BucketMap.FirstHash(bucket), bound));
            }
        }

        var count = nodes.Count * RangesPerNode;
        if (marks.Count < count - 1)
        {
            return null;
        }

        var bounds = new SortedSet<long>();
        for (var i = 1; i < count; i++)
        {
            // A key that many rows share has one mark, and perhaps no other is near.
            if (marks.LastOrDefault(m => m.Position <= Position(i, count)) is { } mark)
            {
                bounds.Add(mark.Position);
            }
        }

        foreach (var mark in marks)
        {
            if (bounds.Count >= count - 1)
            {
                break;
            }

            bounds.Add(mark.Position);
        }

        return Make(new KeyScale(marks.ToImmutable()), [.. bounds], i => nodes[i * nodes.Count / (bounds.Count + 1)].Id);
    }

    /// <summary>Equal slices of the key space, neighbouring ones on one node: the predicate of what a node owns stays short.</summary>
    public static ImmutableArray<ShardRange> EvenRanges(int groupId, int firstId, IReadOnlyList<Node> nodes)
    {
        var count = nodes.Count * RangesPerNode;
        var ranges = ImmutableArray.CreateBuilder<ShardRange>(count);
        for (var i = 0; i < count; i++)
        {
            ranges.Add(new ShardRange(firstId + i, groupId, Start(i), i == count - 1 ? null : Start(i + 1), nodes[i / RangesPerNode].Id));
        }

        return ranges.ToImmutable();

        long Start(int i) => (long)(((Int128)i << 64) / count + long.MinValue);
    }

    /// <summary>The ranges with their final ids.</summary>
    public ImmutableArray<ShardRange> WithIds(int groupId, int firstRangeId) => [.. Ranges.Select((r, i) => r with { Id = firstRangeId + i, GroupId = groupId })];

    private static long Position(int i, int count) => BucketMap.FirstHash(i * BucketMap.BucketsPerGroup / count);

    private static RangeLayout Make(KeyScale scale, ImmutableArray<long> bounds, Func<int, int> nodeOf) => new(
        scale,
        [.. Enumerable.Range(0, bounds.Length + 1).Select(i => new ShardRange(
            i + 1, 0, i == 0 ? long.MinValue : bounds[i - 1], i == bounds.Length ? null : bounds[i], nodeOf(i)))]);

    /// <summary>A guess of where a part of the keys begins.</summary>
    private static string Guess(KeyType type, int i, int count, DateOnly today)
    {
        switch (KeyTypes.Family(type))
        {
            case KeyType.Uuid:
                return new Guid(((UInt128)i << 64) / (UInt128)count is var share ? Bytes((ulong)share) : [], bigEndian: true).ToString();
            case KeyType.Text:
                // Of the letters and digits that most keys are made of.
                const string Letters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
                var at = (double)i * Letters.Length / count;
                var first = Letters[(int)at];
                return count <= Letters.Length ? first.ToString() : $"{first}{Letters[(int)((at - (int)at) * Letters.Length)]}";
            case KeyType.Date or KeyType.Timestamp or KeyType.TimestampTz:
                var month = new DateOnly(today.Year, today.Month, 1).AddMonths(i - 1).ToString("yyyy-MM-dd", CultureInfo.InvariantCulture);
                return type switch { KeyType.Date => month, KeyType.Timestamp => month + " 00:00:00", _ => month + " 00:00:00+00" };
            default:
                // Numbers mostly count from 1 up, nobody knows how far: each range is a constant factor wider than the one before.
                var (low, high) = type == KeyType.Int2 ? (1.0, 4.3) : (2.0, 9.0);
                var exponent = count <= 2 ? low : low + ((high - low) * (i - 1) / (count - 2));
                return Math.Floor(Math.Pow(10, exponent)).ToString("0", CultureInfo.InvariantCulture);
        }

        static byte[] Bytes(ulong upper)
        {
            var bytes = new byte[16];
            System.Buffers.Binary.BinaryPrimitives.WriteUInt64BigEndian(bytes, upper);
            return bytes;
        }
    }
}
