namespace ShardProxy.Demo.Gate;

/// <summary>
/// Lets a fixed number of statements a second through, first come, first served: the demo's stand-in for a server that is as strong
/// as it is. Each statement gets a slot on a line of time; the slots, not the wake-ups, keep the pace.
/// </summary>
internal sealed class TokenGate(TimeProvider time)
{
    /// <summary>Unused time that may be caught up: without it every small clump of arrivals would wait for a timer.</summary>
    private static readonly TimeSpan Burst = TimeSpan.FromMilliseconds(10);

    private readonly Lock _lock = new();
    private readonly long _origin = time.GetTimestamp();
    private double _perSecond = double.PositiveInfinity;
    private TimeSpan _next;
    private long _passed;
    private int _waiting;

    /// <summary>Statements let through so far.</summary>
    public long Passed => Interlocked.Read(ref _passed);

    /// <summary>Connections with a statement that waits.</summary>
    public int Waiting => Volatile.Read(ref _waiting);

    /// <summary>Sets the pace; infinity opens the gate.</summary>
    public void SetRate(double perSecond)
    {
        lock (_lock)
        {
            _perSecond = perSecond;
            _next = time.GetElapsedTime(_origin);
        }
    }

    /// <summary>Waits for the turn of so many statements.</summary>
    public async ValueTask PassAsync(int statements, CancellationToken cancellationToken)
    {
        var wait = Reserve(statements);
        if (wait > TimeSpan.Zero)
        {
            Interlocked.Increment(ref _waiting);
            try
            {
                await Task.Delay(wait, time, cancellationToken).ConfigureAwait(false);
            }
            finally
            {
                Interlocked.Decrement(ref _waiting);
            }
        }

        Interlocked.Add(ref _passed, statements);
    }

    private TimeSpan Reserve(int statements)
    {
        lock (_lock)
        {
            if (double.IsPositiveInfinity(_perSecond))
            {
                return TimeSpan.Zero;
            }

            var now = time.GetElapsedTime(_origin);
            var slot = _next > now - Burst ? _next : now - Burst;
            _next = slot + TimeSpan.FromSeconds(statements / _perSecond);
            return slot - now;
        }
    }
}
