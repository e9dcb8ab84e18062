using System.Collections.Immutable;

namespace ShardProxy.Model.Routing;

/// <summary>
/// The key space of a RANGE group laid out on the same 64-bit positions that the hashes of a HASH group have, in the keys' order: so ranges, buckets of the
/// load history and plans are the same for both. Marks are at the bounds of ranges and at quantiles of the keys; a key's position is that of the last mark
/// not above it. Immutable.
/// </summary>
public sealed class KeyScale
{
    private readonly KeyMark[] _marks;

    /// <param name="marks">Ascending in position and in key.</param>
    public KeyScale(ImmutableArray<KeyMark> marks)
    {
        _marks = [.. marks];
        for (var i = 0; i < _marks.Length; i++)
        {
            if (_marks[i].Position == long.MinValue
                || (i > 0 && (_marks[i - 1].Position >= _marks[i].Position || _marks[i - 1].Bound.Ordered.SequenceCompareTo(_marks[i].Bound.Ordered) >= 0)))
            {
                throw new ArgumentException("marks do not ascend", nameof(marks));
            }
        }
    }

    public ImmutableArray<KeyMark> Marks => [.. _marks];

    /// <summary>The position of a key, or of the first key that begins with the given columns. O(log n), allocates nothing.</summary>
    /// <param name="ordered">Bytes of <see cref="Keys.KeyOrder"/>.</param>
    public long PositionOf(ReadOnlySpan<byte> ordered) => Position(CountBelow(ordered, Including.Equal));

    /// <summary>The highest position of keys below the given columns, or not above them.</summary>
    /// <param name="ordered">Bytes of <see cref="Keys.KeyOrder"/> of the key's first columns.</param>
    /// <param name="isInclusive">Keys that begin with the columns count too.</param>
    public long LastPositionOf(ReadOnlySpan<byte> ordered, bool isInclusive) => Position(CountBelow(ordered, isInclusive ? Including.Prefix : Including.None));

    /// <summary>The mark at exactly that position, or null.</summary>
    public KeyMark? At(long position)
    {
        var index = Array.BinarySearch(_marks, new KeyMark(position, null!), ByPosition.Instance);
        return index < 0 ? null : _marks[index];
    }

    /// <summary>The first mark not below the position and below the other, or null: no key has a position between two neighbouring marks.</summary>
    public KeyMark? Next(long position, long? below)
    {
        foreach (var mark in _marks)
        {
            if (mark.Position >= position)
            {
                return below is null || mark.Position < below ? mark : null;
            }
        }

        return null;
    }

    /// <summary>
    /// The same scale with a mark at the bound, which keeps the position of one that is there already, and that mark. Null when no position is left
    /// between its neighbours.
    /// </summary>
    public (KeyScale Scale, KeyMark Mark)? With(KeyBound bound)
    {
        var index = CountBelow(bound.Ordered, Including.None);
        if (index < _marks.Length && _marks[index].Bound.Ordered.SequenceEqual(bound.Ordered))
        {
            return (this, _marks[index]);
        }

        Int128 lower = Position(index);
        Int128 room = (index < _marks.Length ? _marks[index].Position : (Int128)long.MaxValue + 1) - lower;

        // Behind the last mark keys that grow with time are cut again and again: a small step each leaves room for the next.
        var step = index == _marks.Length ? room / 32 : room / 2;
        if (step < 1)
        {
            return null;
        }

        var mark = new KeyMark((long)(lower + step), bound);
        return (new KeyScale([.. _marks[..index], mark, .. _marks[index..]]), mark);
    }

    /// <summary>The same marks at even distances.</summary>
    public KeyScale Spread() => new([.. _marks.Select((m, i) => m with { Position = (long)(((Int128)(i + 1) << 64) / (_marks.Length + 1) + long.MinValue) })]);

    private long Position(int marksBelow) => marksBelow == 0 ? long.MinValue : _marks[marksBelow - 1].Position;

    // Marks are few thousand at most; their bytes are short.
    private int CountBelow(ReadOnlySpan<byte> ordered, Including including)
    {
        int low = 0, high = _marks.Length;
        while (low < high)
        {
            var middle = (low + high) >>> 1;
            var mark = _marks[middle].Bound.Ordered;
            var order = mark.SequenceCompareTo(ordered);
            var isBelow = including switch
            {
                Including.None => order < 0,
                Including.Equal => order <= 0,
                _ => order <= 0 || mark.StartsWith(ordered),
            };
            if (isBelow)
            {
                low = middle + 1;
            }
            else
            {
                high = middle;
            }
        }

        return low;
    }

    private enum Including
    {
        None,
        Equal,
        Prefix,
    }

    private sealed class ByPosition : IComparer<KeyMark>
    {
        public static readonly ByPosition Instance = new();

        public int Compare(KeyMark? x, KeyMark? y) => x!.Position.CompareTo(y!.Position);
    }
}
