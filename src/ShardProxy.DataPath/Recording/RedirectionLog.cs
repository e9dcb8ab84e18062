using System.Collections.Concurrent;
using System.Collections.Immutable;
using ShardProxy.Model.Views;
using ShardProxy.Sql;

namespace ShardProxy.DataPath.Recording;

/// <summary>
/// The last redirections, and how many there were of each range and reason. Only statements that were redirected come here: the others
/// pay nothing. Thread-safe.
/// </summary>
internal sealed class RedirectionLog(TimeProvider time)
{
    /// <summary>Redirections that are kept, but for reads ahead: those may come by thousands a second, and must not push the others out.</summary>
    public const int Capacity = 4096;

    /// <summary>Reads ahead that are kept.</summary>
    public const int ReadsAheadCapacity = 1024;

    private readonly Lock _lock = new();
    private readonly Ring _others = new(Capacity);
    private readonly Ring _readsAhead = new(ReadsAheadCapacity);
    private readonly ConcurrentDictionary<(int RangeId, string Reason), long> _totals = new();

    /// <summary>Adds one, at the present.</summary>
    /// <param name="rangeId">The range, or 0 when there is none to name.</param>
    /// <param name="shape">The statement.</param>
    /// <param name="from">Name of the node it was for.</param>
    /// <param name="to">Name of the node it went to, or null.</param>
    /// <param name="reason">One of <see cref="RedirectionReasons"/>.</param>
    /// <param name="held">How long it waited.</param>
    public void Add(int rangeId, StatementShape shape, string? from, string? to, string reason, TimeSpan held)
    {
        // A short text is the shape's own; the rest of a long one would be kept alive for nothing.
        var text = shape.Text.Length <= RedirectionReasons.MaxShapeLength ? shape.Text : shape.Text[..(RedirectionReasons.MaxShapeLength - 1)] + "…";
        _totals.AddOrUpdate((rangeId, reason), 1, static (_, count) => count + 1);
        var at = time.GetUtcNow();
        lock (_lock)
        {
            (reason == RedirectionReasons.ReadAhead ? _readsAhead : _others).Add(new Entry(at, rangeId, text, from, to, reason, held));
        }
    }

    /// <summary>Those that are kept, the newest last.</summary>
    public ImmutableArray<RedirectionSnapshot> Snapshots()
    {
        lock (_lock)
        {
            return
            [
                .. _others.Entries().Concat(_readsAhead.Entries()).OrderBy(e => e.At).Select(e => new RedirectionSnapshot(
                    e.At, e.RangeId == 0 ? null : e.RangeId, e.Shape, e.From, e.To, e.Reason, e.Held.TotalMilliseconds)),
            ];
        }
    }

    /// <summary>How many there were. Ranges that <paramref name="exists"/> does not know any more are forgotten.</summary>
    public IEnumerable<(int RangeId, string Reason, long Count)> Totals(Func<int, bool> exists)
    {
        foreach (var ((rangeId, reason), count) in _totals)
        {
            if (rangeId == 0 || exists(rangeId))
            {
                yield return (rangeId, reason, count);
            }
            else
            {
                _totals.TryRemove((rangeId, reason), out _);
            }
        }
    }

    private sealed class Ring(int capacity)
    {
        private readonly Entry[] _entries = new Entry[capacity];
        private long _count;

        public void Add(Entry entry) => _entries[_count++ % _entries.Length] = entry;

        /// <summary>The newest last.</summary>
        public IEnumerable<Entry> Entries()
        {
            for (var i = Math.Max(0, _count - _entries.Length); i < _count; i++)
            {
                yield return _entries[i % _entries.Length];
            }
        }
    }

    private readonly record struct Entry(DateTimeOffset At, int RangeId, string Shape, string? From, string? To, string Reason, TimeSpan Held);
}
