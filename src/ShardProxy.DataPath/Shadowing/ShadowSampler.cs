namespace ShardProxy.DataPath.Shadowing;

/// <summary>
/// Which reads of moving ranges are compared. A share of all is chosen at random; that alone would find a difference under one of many keys only after a long time.
/// So every <em>different</em> read (text and parameters) is chosen besides when it comes by and was not looked at for <see cref="Rest"/>, which adapts between a
/// second and six so that no more than <see cref="PerSecond"/> a second are: any read that clients repeat is compared every few seconds, as long as they repeat no more than some hundred
/// different ones. Reads that come once, from a great many keys, take no more than half of that from those that are repeated. Thread-safe without locks; choosing allocates nothing.
/// </summary>
/// <param name="share">0 to 1.</param>
/// <param name="time">The clock.</param>
/// <param name="random">0 to 1, for the share.</param>
internal sealed class ShadowSampler(double share, TimeProvider time, Func<double> random)
{
    /// <summary>Bound on the reads a second that are chosen beyond the share.</summary>
    public const int PerSecond = 100;

    private const int Slots = 1 << 14;
    private const int ShortestRestMs = 1_000, LongestRestMs = 6_000;

    // A slot has the read's hash in its upper half and when it was looked at in its lower one: milliseconds, shifted; the last bit says that it was, and did not only come by.
    private readonly long[] _slots = new long[Slots];
    private readonly long _started = time.GetTimestamp();
    private readonly Budget _repeated = new(PerSecond / 2), _any = new(PerSecond / 2);
    private int _restMs = ShortestRestMs;

    /// <summary>How long a read that was compared is left alone.</summary>
    public TimeSpan Rest => TimeSpan.FromMilliseconds(Volatile.Read(ref _restMs));

    /// <summary>Whether this read is one to compare.</summary>
    /// <param name="read">What tells it from others.</param>
    /// <param name="isWanted">It is whatever the share says.</param>
    public bool Choose(int read, bool isWanted)
    {
        var now = (uint)time.GetElapsedTime(_started).TotalMilliseconds & int.MaxValue;
        ref var slot = ref _slots[(uint)(read * -1640531527) >> 18];
        var seen = Volatile.Read(ref slot);
        var isRepeated = seen != 0 && (int)(seen >> 32) == read;
        var restMs = Volatile.Read(ref _restMs);
        var isChosen = isWanted || (share > 0 && random() < share);
        if (!isChosen && isRepeated && (seen & 1) != 0 && ((now - ((uint)seen >> 1)) & int.MaxValue) < restMs)
        {
            return false;
        }

        if (!isChosen)
        {
            isChosen = (isRepeated && _repeated.TryTake(now)) || _any.TryTake(now);
            Adapt(restMs, isRepeated, isChosen);
        }

        if (isChosen || !isRepeated)
        {
            Volatile.Write(ref slot, ((long)read << 32) | (now << 1) | (isChosen ? 1u : 0u));
        }

        return isChosen;
    }

    // Repeated reads that find nothing left should come up less often, so that there is something for each.
    private void Adapt(int restMs, bool isRepeated, bool isChosen)
    {
        if (isRepeated && !isChosen)
        {
            Volatile.Write(ref _restMs, Math.Min(LongestRestMs, restMs + 20));
        }
        else if (isChosen && _repeated.IsFull)
        {
            Volatile.Write(ref _restMs, Math.Max(ShortestRestMs, restMs - 20));
        }
    }

    /// <summary>So many a second, and no more than a fifth of a second's at once.</summary>
    private sealed class Budget(int perSecond)
    {
        private readonly int _most = perSecond / 5;
        private int _left = perSecond / 5;
        private uint _filledAt;

        public bool IsFull => Volatile.Read(ref _left) >= _most - 1;

        public bool TryTake(uint nowMs)
        {
            var filledAt = Volatile.Read(ref _filledAt);
            var more = (int)Math.Min(_most, (long)(nowMs - filledAt) * perSecond / 1000);
            var until = more == _most ? nowMs : filledAt + (uint)(more * 1000 / perSecond);
            if (more > 0 && Interlocked.CompareExchange(ref _filledAt, until, filledAt) == filledAt)
            {
                Volatile.Write(ref _left, Math.Min(_most, Math.Max(0, Volatile.Read(ref _left)) + more));
            }

            return Volatile.Read(ref _left) > 0 && Interlocked.Decrement(ref _left) >= 0;
        }
    }
}
