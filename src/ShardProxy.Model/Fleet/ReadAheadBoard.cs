using System.Collections.Concurrent;
using System.Threading.Channels;
using ShardProxy.Model.Routing;

namespace ShardProxy.Model.Fleet;

/// <summary>
/// As of when the copies of moving ranges are known to hold everything: the data path asks, the control plane of the same process answers in its own time. Moments are
/// timestamps of this process's clock only, so no other machine's clock is trusted. Thread-safe; asking allocates only the first time for a move.
/// </summary>
/// <param name="time">The clock of both.</param>
public sealed class ReadAheadBoard(TimeProvider time)
{
    private static readonly TimeSpan Interest = TimeSpan.FromSeconds(5);
    private readonly ConcurrentDictionary<int, ReadAheadPlace> _places = new();
    private readonly Channel<ReadAheadPlace> _wanted = Channel.CreateUnbounded<ReadAheadPlace>();

    /// <summary>
    /// True when the target of the move has applied everything that was committed on the source at some moment not older than the bound and later than
    /// <paramref name="notBefore"/>. Notes that somebody wants to know: false means that the owner has to answer.
    /// </summary>
    /// <param name="move">A move whose target may be read.</param>
    /// <param name="bound">In units of the clock's timestamps.</param>
    /// <param name="notBefore">Timestamp.</param>
    public bool IsFresh(RangeMove move, long bound, long notBefore)
    {
        var now = time.GetTimestamp();
        if (!_places.TryGetValue(move.RangeId, out var place) || place.MigrationId != move.MigrationId)
        {
            place = new ReadAheadPlace(move.MigrationId, move.RangeId, move.SourceNodeId, move.TargetNodeId) { WantedAt = now };
            _places[move.RangeId] = place;
            _wanted.Writer.TryWrite(place);
            return false;
        }

        place.WantedAt = now;
        var asOf = place.AsOf;
        return asOf != 0 && asOf > notBefore && now - asOf <= bound;
    }

    /// <summary>The next move that somebody wants to be told about; whoever takes it answers until <see cref="IsWanted"/> is false, then <see cref="Forget"/>s it.</summary>
    public ValueTask<ReadAheadPlace> NextAsync(CancellationToken cancellationToken) => _wanted.Reader.ReadAsync(cancellationToken);

    /// <summary>Somebody has asked within the last seconds.</summary>
    public bool IsWanted(ReadAheadPlace place) => time.GetElapsedTime(place.WantedAt) < Interest;

    /// <summary>Nobody answers for it any more; the next who asks makes it wanted anew.</summary>
    public void Forget(ReadAheadPlace place)
    {
        place.AsOf = 0;
        _places.TryRemove(new KeyValuePair<int, ReadAheadPlace>(place.RangeId, place));
    }
}
