namespace ShardProxy.Sql.Caching;

/// <summary>
/// Bounded map from a normal form to its shape. Sets of eight, a clock hand each: a look-up takes no lock and allocates nothing,
/// an entry that was hit since the hand last passed survives, and texts made to collide only push each other out.
/// </summary>
internal sealed class ShapeCache
{
    private const int Ways = 8;

    private readonly Entry?[] _entries;
    private readonly byte[] _hands;
    private readonly Lock _writing = new();
    private readonly int _sets;
    private int _count;

    public ShapeCache(int capacity)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(capacity, 1);
        _sets = (capacity + Ways - 1) / Ways;
        _entries = new Entry?[_sets * Ways];
        _hands = new byte[_sets];
    }

    public int Count => Volatile.Read(ref _count);

    /// <summary>The shape of exactly that normal form, or null.</summary>
    public StatementShape? Find(ReadOnlySpan<byte> key, ulong hash)
    {
        var first = FirstSlot(hash);
        for (var i = first; i < first + Ways; i++)
        {
            var entry = Volatile.Read(ref _entries[i]);
            if (entry is not null && entry.Hash == hash && key.SequenceEqual(entry.Key))
            {
                if (!entry.IsReferenced)
                {
                    entry.IsReferenced = true;
                }

                return entry.Shape;
            }
        }

        return null;
    }

    /// <summary>Adds a shape; returns the one that is kept, an earlier one when there is.</summary>
    public StatementShape Add(byte[] key, ulong hash, StatementShape shape)
    {
        lock (_writing)
        {
            if (Find(key, hash) is { } present)
            {
                return present;
            }

            var set = FirstSlot(hash) / Ways;
            var slot = Victim(set);
            if (_entries[slot] is null)
            {
                _count++;
            }

            Volatile.Write(ref _entries[slot], new Entry(key, hash, shape));
            return shape;
        }
    }

    /// <summary>The shapes held now, in no order.</summary>
    public List<StatementShape> Snapshot()
    {
        var shapes = new List<StatementShape>(Count);
        for (var i = 0; i < _entries.Length; i++)
        {
            if (Volatile.Read(ref _entries[i]) is { } entry)
            {
                shapes.Add(entry.Shape);
            }
        }

        return shapes;
    }

    private int FirstSlot(ulong hash) => (int)(((hash >> 32) * (ulong)_sets) >> 32) * Ways;

    private int Victim(int set)
    {
        var first = set * Ways;
        for (var i = first; i < first + Ways; i++)
        {
            if (_entries[i] is null)
            {
                return i;
            }
        }

        while (true)
        {
            var slot = first + _hands[set];
            _hands[set] = (byte)((_hands[set] + 1) % Ways);
            var entry = _entries[slot]!;
            if (!entry.IsReferenced)
            {
                return slot;
            }

            // A reader may set the mark again at once; eight passes are the most this loop takes then, for the hand goes round.
            entry.IsReferenced = false;
        }
    }

    private sealed class Entry(byte[] key, ulong hash, StatementShape shape)
    {
        private volatile bool _isReferenced;

        public byte[] Key { get; } = key;

        public ulong Hash { get; } = hash;

        public StatementShape Shape { get; } = shape;

        public bool IsReferenced
        {
            get => _isReferenced;
            set => _isReferenced = value;
        }
    }
}
