namespace ShardProxy.DataPath.Servers;

/// <summary>
/// Clients that wait for a server of one pool, first come first served. Guarded by the pool's lock, but for <see cref="Recycle"/>.
/// Places are kept for the next who waits: a full pool is its usual state and must not allocate.
/// </summary>
internal sealed class WaitLine
{
    private readonly Lock _spareLock = new();
    private PoolWaiter? _spare;
    private PoolWaiter? _last;

    public PoolWaiter? First { get; private set; }

    public int Count { get; private set; }

    /// <summary>Joins the end.</summary>
    public PoolWaiter Join(long now, bool joins, ServerConnection? own, CancellationToken client)
    {
        var waiter = TakeSpare() ?? new PoolWaiter(this);
        waiter.Since = now;
        waiter.Client = client;
        waiter.Joins = joins;
        waiter.Own = own;
        waiter.Previous = _last;
        if (_last is null)
        {
            First = waiter;
        }
        else
        {
            _last.Next = waiter;
        }

        _last = waiter;
        Count++;
        return waiter;
    }

    /// <summary>Takes the first who can be served; those whose client has left are passed over where it is a grant.</summary>
    public PoolWaiter? TakeServed(bool isPaused, bool isGrant, PoolFigures figures, TimeProvider time)
    {
        while (FirstServed(isPaused) is { } first)
        {
            Take(first);
            figures.EndWait(time.GetElapsedTime(first.Since));
            if (!first.Client.IsCancellationRequested || !isGrant)
            {
                return first;
            }

            first.Refuse(new OperationCanceledException(first.Client));
        }

        return null;
    }

    /// <summary>Takes one out, wherever it stands; it is the caller's to grant or refuse.</summary>
    public void Take(PoolWaiter waiter)
    {
        if (waiter.Previous is { } previous)
        {
            previous.Next = waiter.Next;
        }
        else
        {
            First = waiter.Next;
        }

        if (waiter.Next is { } next)
        {
            next.Previous = waiter.Previous;
        }
        else
        {
            _last = waiter.Previous;
        }

        waiter.Next = waiter.Previous = null;
        Count--;
    }

    /// <summary>The first who may be served: all, or while the pool is paused those whose transaction is under way.</summary>
    public PoolWaiter? FirstServed(bool isPaused)
    {
        if (!isPaused)
        {
            return First;
        }

        var waiter = First;
        while (waiter is { Joins: false })
        {
            waiter = waiter.Next;
        }

        return waiter;
    }

    /// <summary>Refuses those whose client has left and those whom <paramref name="refusal"/> has an error for, given how long they have waited.</summary>
    public void Sweep(PoolFigures figures, TimeProvider time, Func<TimeSpan, Exception?> refusal)
    {
        var now = time.GetTimestamp();
        for (var waiter = First; waiter is not null;)
        {
            var next = waiter.Next;
            var waited = time.GetElapsedTime(waiter.Since, now);
            if ((waiter.Client.IsCancellationRequested ? new OperationCanceledException(waiter.Client) : refusal(waited)) is { } error)
            {
                Take(waiter);
                figures.EndWait(waited);
                waiter.Refuse(error);
            }

            waiter = next;
        }
    }

    /// <summary>Ends the wait of one client with 57014; false when it does not wait here.</summary>
    public bool TryCancel(PoolFigures figures, TimeProvider time, CancellationToken client)
    {
        for (var waiter = First; waiter is not null; waiter = waiter.Next)
        {
            if (waiter.Client == client)
            {
                Take(waiter);
                figures.EndWait(time.GetElapsedTime(waiter.Since));
                waiter.Refuse(new ServerUnavailableException(PoolErrors.Cancelled));
                return true;
            }
        }

        return false;
    }

    /// <summary>A place whose wait is over; from any thread.</summary>
    public void Recycle(PoolWaiter waiter)
    {
        waiter.Client = default;
        waiter.Own = null;
        lock (_spareLock)
        {
            waiter.Next = _spare;
            _spare = waiter;
        }
    }

    private PoolWaiter? TakeSpare()
    {
        lock (_spareLock)
        {
            var waiter = _spare;
            if (waiter is not null)
            {
                _spare = waiter.Next;
                waiter.Next = null;
            }

            return waiter;
        }
    }
}
