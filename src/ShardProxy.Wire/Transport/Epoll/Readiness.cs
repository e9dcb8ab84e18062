namespace ShardProxy.Wire.Transport.Epoll;

/// <summary>
/// The meeting point of one operation (receive, send, accept) and the loop's events. Edge-triggered events come once: an event
/// that nobody waits for is remembered, and a wait that an event, a cancellation or an abort ends is ended by exactly one of them.
/// A mutable struct: never copy it.
/// </summary>
internal struct Readiness
{
    private const int NotReady = 0;
    private const int Ready = 1;
    private const int Waiting = 2;

    private int _state;

    /// <summary>An event has come that no operation has used yet.</summary>
    public readonly bool IsReady => _state == Ready;

    /// <summary>An operation waits.</summary>
    public readonly bool IsWaiting => _state == Waiting;

    /// <summary>To be called before an operation that is to use the event: one that comes during the operation is remembered.</summary>
    public void Take() => Interlocked.Exchange(ref _state, NotReady);

    /// <summary>There is more to do, no event will say so again. The caller is the operation's owner.</summary>
    public void Keep() => Interlocked.CompareExchange(ref _state, Ready, NotReady);

    /// <summary>Begins to wait; false when an event has come since <see cref="Take"/>: try again instead.</summary>
    public bool TryWait() => Interlocked.CompareExchange(ref _state, Waiting, NotReady) == NotReady;

    /// <summary>Begins to wait whether an event has come or not: the caller sees to it that the wait is ended.</summary>
    public void Wait() => Interlocked.Exchange(ref _state, Waiting);

    /// <summary>Ends the wait; true for the one caller that did, which owns the operation then.</summary>
    public bool TryEndWait() => Volatile.Read(ref _state) == Waiting && Interlocked.CompareExchange(ref _state, NotReady, Waiting) == Waiting;

    /// <summary>An event has come: true when it ended a wait (the caller owns the operation then), else it is remembered.</summary>
    public bool Signal()
    {
        while (true)
        {
            switch (Volatile.Read(ref _state))
            {
                case Ready:
                    return false;
                case Waiting when Interlocked.CompareExchange(ref _state, NotReady, Waiting) == Waiting:
                    return true;
                case NotReady when Interlocked.CompareExchange(ref _state, Ready, NotReady) == NotReady:
                    return false;
            }
        }
    }
}
