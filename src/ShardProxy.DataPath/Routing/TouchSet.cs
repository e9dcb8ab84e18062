namespace ShardProxy.DataPath.Routing;

/// <summary>
/// The ranges a statement or transaction touched: a small set of range ids, or whole groups. Reused, grows only when a
/// transaction touches more ranges than any before it in this session.
/// </summary>
public sealed class TouchSet
{
    private const int FirstCount = 8;

    private int[] _entries = [];
    private int _count;

    /// <summary>Number of entries.</summary>
    public int Count => _count;

    public void Clear() => _count = 0;

    /// <summary>Takes back everything added since the set had that many entries.</summary>
    public void CutTo(int count) => _count = Math.Min(_count, count);

    /// <summary>Adds a range of a group.</summary>
    public void AddRange(int rangeId) => Add(rangeId);

    /// <summary>Adds every range a group has or will have.</summary>
    public void AddGroup(int groupId) => Add(-groupId);

    /// <summary>Adds all entries of another set.</summary>
    public void AddAll(TouchSet other)
    {
        for (var i = 0; i < other._count; i++)
        {
            Add(other._entries[i]);
        }
    }

    /// <summary>True when the range, or its whole group, is in the set.</summary>
    public bool Touches(int rangeId, int groupId)
    {
        for (var i = 0; i < _count; i++)
        {
            if (_entries[i] == rangeId || _entries[i] == -groupId)
            {
                return true;
            }
        }

        return false;
    }

    private void Add(int entry)
    {
        for (var i = 0; i < _count; i++)
        {
            if (_entries[i] == entry)
            {
                return;
            }
        }

        if (_count == _entries.Length)
        {
            Array.Resize(ref _entries, Math.Max(FirstCount, _count * 2));
        }

        _entries[_count++] = entry;
    }
}
