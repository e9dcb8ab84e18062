using System.Collections.Concurrent;

namespace ShardProxy.Model.Fleet;

/// <summary>What shadow reads have found about one migration since it listens. Thread-safe.</summary>
/// <param name="migrationId">The migration.</param>
/// <param name="remove">Called when it listens no more.</param>
public sealed class ShadowWatch(int migrationId, Action<ShadowWatch> remove) : IDisposable
{
    private readonly TaskCompletionSource<ShadowDifference> _difference = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly ConcurrentDictionary<int, byte> _doubts = new();
    private long _seen, _compared, _wanted;

    public int MigrationId { get; } = migrationId;

    /// <summary>Completes with the first difference that counts; never faults.</summary>
    public Task<ShadowDifference> Difference => _difference.Task;

    /// <summary>Reads of the range that could have been compared.</summary>
    public long Seen => Volatile.Read(ref _seen);

    /// <summary>Those that were, and gave the same rows.</summary>
    public long Compared => Volatile.Read(ref _compared);

    /// <summary>Some read is about to turn out to differ, or not.</summary>
    public bool HasDoubts => !_doubts.IsEmpty;

    /// <summary>Asks for the next reads, however few the share of all would be.</summary>
    public void Want(int reads) => Interlocked.Exchange(ref _wanted, reads);

    /// <summary>A read comes by; true when it is one of those that were asked for.</summary>
    public bool Offer()
    {
        Interlocked.Increment(ref _seen);
        return Volatile.Read(ref _wanted) > 0 && Interlocked.Decrement(ref _wanted) >= 0;
    }

    /// <summary>Whether the read of that number is in doubt.</summary>
    public void NoteDoubt(int read, bool isDoubtful)
    {
        if (isDoubtful)
        {
            _doubts.TryAdd(read, 0);
        }
        else
        {
            _doubts.TryRemove(read, out _);
        }
    }

    internal void NoteCompared() => Interlocked.Increment(ref _compared);

    internal void Hear(ShadowDifference difference) => _difference.TrySetResult(difference);

    public void Dispose() => remove(this);
}
