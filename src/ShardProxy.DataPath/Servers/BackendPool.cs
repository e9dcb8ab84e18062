using ShardProxy.Model.Topology;
using ShardProxy.Model.Views;

namespace ShardProxy.DataPath.Servers;

/// <summary>
/// Server connections of one (node, database, user). A lease takes the connection used last (its caches are warm), opens one
/// while there is room, or waits in line; the line is first come first served and bounded in time.
/// </summary>
internal sealed class BackendPool(PoolKey key, Node node, DataPathOptions options, ServerConnector connector, TimeProvider time)
{
    private readonly Lock _lock = new();
    private readonly Stack<ServerConnection> _idle = new();
    private readonly LinkedList<Waiter> _line = new();
    private int _open; // idle + leased + opening
    private int _opening;
    private long _waitedTotal;
    private long _timeouts;
    private double _maxWaitMs;
    private bool _closed;

    public Node Node { get; } = node;

    public PoolKey Key { get; } = key;

    /// <summary>Leases that gave up waiting.</summary>
    public long Timeouts => Volatile.Read(ref _timeouts);

    /// <summary>Leases a connection; completes synchronously when one is idle.</summary>
    /// <exception cref="ServerUnavailableException">Login refused, node unreachable, or the wait's deadline passed.</exception>
    public ValueTask<ServerConnection> LeaseAsync(CancellationToken cancellationToken)
    {
        Waiter waiter;
        lock (_lock)
        {
            while (_idle.TryPop(out var server))
            {
                if (server.IsClean)
                {
                    return new ValueTask<ServerConnection>(server);
                }

                _open--;
                Discard(server);
            }

            if (_closed)
            {
                return ValueTask.FromException<ServerConnection>(new ServerUnavailableException(PoolErrors.Closed(Node.Name)));
            }

            if (_open < options.PoolSize)
            {
                _open++;
                _opening++;
                return OpenAsync(cancellationToken);
            }

            waiter = new Waiter();
            waiter.Place = _line.AddLast(waiter);
            _waitedTotal++;
        }

        return WaitAsync(waiter, cancellationToken);
    }

    /// <summary>Takes a connection back; one that is not clean is closed (law 5).</summary>
    public void Return(ServerConnection server)
    {
        Waiter? next = null;
        var keep = server.IsClean;
        lock (_lock)
        {
            if (_closed)
            {
                keep = false;
            }

            if (keep)
            {
                server.HasWritten = false;
                next = TakeWaiter();
                if (next is null)
                {
                    _idle.Push(server);
                }
            }
            else
            {
                _open--;
                next = TakeWaiter();
                if (next is not null)
                {
                    _open++;
                    _opening++;
                }
            }
        }

        if (!keep)
        {
            Discard(server);
            if (next is not null)
            {
                _ = OpenForAsync(next);
            }
        }
        else if (next is not null && !next.Result.TrySetResult(server))
        {
            // That waiter has just given up: the next one, or the stack.
            Return(server);
        }
    }

    public PoolSnapshot Snapshot()
    {
        lock (_lock)
        {
            return SnapshotLocked();
        }
    }

    /// <summary>Closes idle connections and refuses further leases; leased ones are closed as they come back.</summary>
    public void Close()
    {
        lock (_lock)
        {
            _closed = true;
            while (_idle.TryPop(out var server))
            {
                _open--;
                Discard(server);
            }

            foreach (var waiter in _line)
            {
                waiter.Result.TrySetException(new ServerUnavailableException(PoolErrors.Closed(Node.Name)));
            }

            _line.Clear();
        }
    }

    private static void Discard(ServerConnection server)
    {
        server.Abort();
        _ = DisposeAsync(server);

        static async Task DisposeAsync(ServerConnection server)
        {
            try
            {
                await server.DisposeAsync().ConfigureAwait(false);
            }
            catch (Exception e) when (e is IOException or ObjectDisposedException or OperationCanceledException)
            {
                // It is being thrown away.
            }
        }
    }

    private async ValueTask<ServerConnection> OpenAsync(CancellationToken cancellationToken)
    {
        try
        {
            var server = await connector.ConnectAsync(Node, Key, cancellationToken).ConfigureAwait(false);
            lock (_lock)
            {
                _opening--;
            }

            return server;
        }
        catch
        {
            Waiter? next;
            lock (_lock)
            {
                _opening--;
                _open--;
                next = TakeWaiter();
                if (next is not null)
                {
                    _open++;
                    _opening++;
                }
            }

            if (next is not null)
            {
                _ = OpenForAsync(next);
            }

            throw;
        }
    }

    private async Task OpenForAsync(Waiter waiter)
    {
        try
        {
            var server = await OpenAsync(CancellationToken.None).ConfigureAwait(false);
            if (!waiter.Result.TrySetResult(server))
            {
                Return(server);
            }
        }
        catch (Exception e)
        {
            waiter.Result.TrySetException(e);
        }
    }

    private async ValueTask<ServerConnection> WaitAsync(Waiter waiter, CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();
        try
        {
            return await waiter.Result.Task.WaitAsync(options.PoolWait, time, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception e) when (e is TimeoutException or OperationCanceledException)
        {
            PoolSnapshot snapshot;
            lock (_lock)
            {
                if (waiter.Place is { List: not null } place)
                {
                    _line.Remove(place);
                }

                snapshot = SnapshotLocked();
            }

            if (!waiter.Result.TrySetCanceled(CancellationToken.None))
            {
                // A connection was handed over in the same moment.
                if (waiter.Result.Task.IsCompletedSuccessfully)
                {
                    Return(waiter.Result.Task.Result);
                }
            }

            if (e is TimeoutException)
            {
                Interlocked.Increment(ref _timeouts);
            }

            throw e is TimeoutException ? new ServerUnavailableException(PoolErrors.WaitTimeout(snapshot, options.PoolWait)) : e;
        }
        finally
        {
            var waitedMs = time.GetElapsedTime(started).TotalMilliseconds;
            lock (_lock)
            {
                _maxWaitMs = Math.Max(_maxWaitMs, waitedMs);
            }
        }
    }

    private PoolSnapshot SnapshotLocked() => new(
        Node.Name, Key.Database, Key.User, _idle.Count, _open - _idle.Count - _opening, _opening, _line.Count, options.PoolSize, _waitedTotal, _maxWaitMs);

    private Waiter? TakeWaiter()
    {
        if (_line.First is not { } first)
        {
            return null;
        }

        _line.RemoveFirst();
        first.Value.Place = null;
        return first.Value;
    }

    private sealed class Waiter
    {
        public TaskCompletionSource<ServerConnection> Result { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public LinkedListNode<Waiter>? Place { get; set; }
    }
}
