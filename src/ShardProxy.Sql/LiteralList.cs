namespace ShardProxy.Sql;

/// <summary>
/// Reusable, caller-owned list of the literals of one statement text, in order of appearance. Not thread-safe. Grows as
/// needed and keeps its memory, up to <see cref="MaxCount"/>; the scan refuses statements with more.
/// </summary>
public sealed class LiteralList
{
    /// <summary>The most literals one statement may have.</summary>
    public const int MaxCount = 100_000;

    // Most statements have a few; every session has a list.
    private const int FirstCount = 4;

    private const int RetainedCount = 1_024;

    private Literal[] _items = [];

    /// <summary>Number of literals.</summary>
    public int Count { get; private set; }

    /// <summary>The literal with that ordinal, as <see cref="KeySource.Index"/> counts.</summary>
    public Literal this[int index] => index < Count ? _items[index] : throw new ArgumentOutOfRangeException(nameof(index));

    /// <summary>Empties the list; memory of an unusually long statement is let go.</summary>
    public void Clear()
    {
        Count = 0;
        if (_items.Length > RetainedCount)
        {
            _items = [];
        }
    }

    /// <summary>Appends a literal; false when the bound is reached.</summary>
    internal bool TryAdd(in Literal literal)
    {
        if (Count == _items.Length)
        {
            if (Count >= MaxCount)
            {
                return false;
            }

            Array.Resize(ref _items, Math.Min(MaxCount, Math.Max(FirstCount, Count * 2)));
        }

        _items[Count++] = literal;
        return true;
    }

    /// <summary>Ordinal of the first literal at or after a byte offset, or -1. Literals are ordered by offset.</summary>
    internal int FirstAtOrAfter(int offset)
    {
        int low = 0, high = Count;
        while (low < high)
        {
            var middle = (low + high) >>> 1;
            if (_items[middle].Offset < offset)
            {
                low = middle + 1;
            }
            else
            {
                high = middle;
            }
        }

        return low < Count ? low : -1;
    }
}
