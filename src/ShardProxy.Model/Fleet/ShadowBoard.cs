using System.Collections.Concurrent;

namespace ShardProxy.Model.Fleet;

/// <summary>
/// Where the data path's shadow reads and the migrations of the same process meet: what was compared, and what was found to differ. Thread-safe.
/// </summary>
public sealed class ShadowBoard
{
    private readonly ConcurrentDictionary<int, ShadowWatch> _watches = new();
    private readonly ConcurrentQueue<ShadowDifference> _stray = new();
    private long _compared, _different, _inconclusive, _dropped;

    /// <summary>Reads that gave the same rows on both nodes.</summary>
    public long Compared => Volatile.Read(ref _compared);

    /// <summary>Reads that did not.</summary>
    public long Different => Volatile.Read(ref _different);

    /// <summary>Reads of which that could not be told: the rows kept changing, are in no certain order, or a node did not answer.</summary>
    public long Inconclusive => Volatile.Read(ref _inconclusive);

    /// <summary>Reads that were chosen and for which there was no room.</summary>
    public long Dropped => Volatile.Read(ref _dropped);

    /// <summary>A migration of this process listens from here until the watch is disposed.</summary>
    public ShadowWatch Watch(int migrationId)
    {
        var watch = new ShadowWatch(migrationId, w => _watches.TryRemove(new KeyValuePair<int, ShadowWatch>(migrationId, w)));
        _watches[migrationId] = watch;
        return watch;
    }

    /// <summary>Some migration of this process listens.</summary>
    public bool HasWatches => !_watches.IsEmpty;

    /// <summary>The migration's watch, where it is one of this process.</summary>
    public ShadowWatch? Find(int migrationId) => _watches.GetValueOrDefault(migrationId);

    public void NoteCompared(int migrationId)
    {
        Interlocked.Increment(ref _compared);
        Find(migrationId)?.NoteCompared();
    }

    public void NoteInconclusive() => Interlocked.Increment(ref _inconclusive);

    public void NoteDropped() => Interlocked.Increment(ref _dropped);

    /// <summary>A difference that counts, found here.</summary>
    public void Report(ShadowDifference difference)
    {
        Interlocked.Increment(ref _different);
        if (!Pass(difference) && _stray.Count < 100)
        {
            _stray.Enqueue(difference);
        }
    }

    /// <summary>A difference that another process found; false when its migration is none of this one.</summary>
    public bool Pass(ShadowDifference difference)
    {
        var watch = Find(difference.MigrationId);
        watch?.Hear(difference);
        return watch is not null;
    }

    /// <summary>Takes what was found here about a migration of another process.</summary>
    public ShadowDifference? TakeStray() => _stray.TryDequeue(out var difference) ? difference : null;
}
