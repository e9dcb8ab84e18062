using ShardProxy.Model.Topology;
using ShardProxy.Model.Views;

namespace ShardProxy.DataPath.Servers;

/// <summary>
/// Server connections of one (node, database, user). A lease takes the connection used last (its caches are warm) or waits in line, first
/// come first served; connections are opened beside the line and given to whoever is first when they are ready. Leases and returns of a
/// warm pool allocate nothing.
/// </summary>
internal sealed class BackendPool
{
    private static readonly TimeSpan ProbeFor = TimeSpan.FromSeconds(10);

    private readonly BackendPools _owner;
    private readonly PoolContext _context;
    private readonly Lock _lock = new();
    private readonly IdleServers _idle;
    private readonly WaitLine _line = new();
    private readonly PoolFigures _figures;
    private int _open; // idle + leased + opening
    private int _opening;
    private bool _usesReserve;
    private bool _isClosed;
    private bool _isPaused;
    private long _lastLease;
    private long _nextOpen; // after the server had no connection left for this login
    private long _probeUntil; // somebody was sent away because the node is out of reach: look whether it is back
    private ServerUnavailableException? _lastRefusal;

    public BackendPool(PoolKey key, Node node, NodeLink link, BackendPools owner, PoolContext context)
    {
        Key = key;
        Node = node;
        Link = link;
        _owner = owner;
        _context = context;
        _idle = new IdleServers(Forget);
        _figures = new PoolFigures(link);
        _lastLease = context.Clock.Now;
    }

    public Node Node { get; }

    public PoolKey Key { get; }

    public NodeLink Link { get; }

    /// <summary>How its node numbers the user's types; null when as the home node does.</summary>
    public Types.TypeTable? Types => _context.Types.Of(Key.NodeId);

    /// <summary>Connections, those being opened included.</summary>
    public int Open => Volatile.Read(ref _open);

    /// <summary>It is not used any more; whoever still knows it is sent on to its successor.</summary>
    public bool IsRetired { get; private set; }

    /// <summary>Statements that begin no transaction's continuation are held.</summary>
    public bool IsPaused => Volatile.Read(ref _isPaused);

    private DataPathOptions Options => _context.Live.Current;

    private int Limit => Options.PoolSize + (_usesReserve ? Options.PoolReserve : 0);

    /// <summary>Leases a connection; completes synchronously when one is idle.</summary>
    /// <param name="joins">The client's transaction is under way elsewhere: a pause does not hold it.</param>
    /// <param name="client">Cancelled when the client has left: its wait ends within a sweep.</param>
    /// <param name="own">The connection whose process id the client was told: preferred. While there is room nobody is given another client's.</param>
    /// <exception cref="ServerUnavailableException">Login refused, node unreachable, line full, or the wait's deadline passed.</exception>
    /// <exception cref="OperationCanceledException">The client has left.</exception>
    public ValueTask<ServerConnection> LeaseAsync(bool joins, CancellationToken client, ServerConnection? own = null)
    {
        ServerConnection? stale = null;
        PoolWaiter? waiter = null;
        var openings = 0;
        lock (_lock)
        {
            _lastLease = _context.Clock.Now;
            if ((joins || !_isPaused) && (_line.Count == 0 ? TakeIdle(own, ref openings) : _idle.TakeOwn(own)) is { } server)
            {
                if (Options.PoolCheckAfterIdle is not { Ticks: > 0 } limit || _lastLease - server.IdleSince <= _context.Clock.Ticks(limit))
                {
                    return new ValueTask<ServerConnection>(server);
                }

                stale = server;
            }
            else if (!IsRetired)
            {
                if (Refusal() is { } refusal)
                {
                    return ValueTask.FromException<ServerConnection>(refusal);
                }

                _figures.Waited++;
                waiter = _line.Join(_context.Time.GetTimestamp(), joins, own, client);
                openings += PrepareOpenings();
            }
        }

        if (stale is not null)
        {
            return CheckedAsync(stale, joins, own, client);
        }

        if (waiter is null)
        {
            return _owner.Get(Node, Key).LeaseAsync(joins, client, own);
        }

        var wait = waiter.Task;
        StartOpenings(openings);
        return wait;
    }

    /// <summary>Takes a connection back; one that is not clean or too old is closed (law 5).</summary>
    public void Return(ServerConnection server)
    {
        PoolWaiter? next = null;
        var openings = 0;
        bool keep;
        lock (_lock)
        {
            var now = _context.Clock.Now;
            var yields = YieldsToOthers();
            keep = server.IsClean && !yields && !_isClosed && !IsRetired && now < server.ExpiresAt && _open <= Options.PoolSize + Options.PoolReserve;
            if (keep)
            {
                server.HasWritten = false;
                server.IdleSince = now;
                next = IsForLine(server) ? TakeWaiter() : null;
                keep = next is not null || !_isPaused;
                if (next is null && keep)
                {
                    _idle.Push(server);
                }
            }

            if (!keep)
            {
                Forget(server);
                openings = yields ? 0 : PrepareOpenings();
            }
        }

        if (next is not null)
        {
            next.Grant(server);
        }
        else if (!keep)
        {
            StartOpenings(openings);
            Link.Starved.Take()?.Pump();
        }
    }

    /// <summary>Ends a client's wait; false when it does not wait here.</summary>
    public bool TryCancelWait(CancellationToken client)
    {
        lock (_lock)
        {
            return _line.TryCancel(_figures, _context.Time, client);
        }
    }

    public PoolSnapshot Snapshot()
    {
        lock (_lock)
        {
            return SnapshotLocked();
        }
    }

    /// <summary>Holds what begins anew, or lets it go on. Idle connections are closed by a pause.</summary>
    public void Pause(bool isPaused)
    {
        lock (_lock)
        {
            _isPaused = isPaused;
            if (isPaused)
            {
                _idle.GiveUpOldest(_idle.Count);
            }
        }

        Pump();
    }

    /// <summary>Closes idle connections and refuses further leases; leased ones are closed as they come back.</summary>
    public void Close()
    {
        lock (_lock)
        {
            _isClosed = true;
            _idle.GiveUpOldest(_idle.Count);
            while (_line.First is { } waiter)
            {
                _line.Take(waiter);
                waiter.Refuse(new ServerUnavailableException(PoolErrors.Closed(Node.Name)));
            }
        }
    }

    /// <summary>Closes the idle connections that stand for no client.</summary>
    public void GiveUpUnassigned() => _idle.GiveUpUnassigned(_lock);

    /// <summary>Closes the connection that has been idle longest; false when there is none to spare.</summary>
    public bool TryEvictIdle()
    {
        lock (_lock)
        {
            return _idle.TryGiveUpOldest();
        }
    }

    /// <summary>Coarse timestamp of the last lease.</summary>
    public long LastLease => Volatile.Read(ref _lastLease);

    /// <summary>Ends it if nobody has used it since <paramref name="since"/> and nothing of it is left; it is not used again then.</summary>
    public bool TryRetire(long since, Action<BackendPool> remove)
    {
        lock (_lock)
        {
            if (_line.Count > 0 || _open > _idle.Count || _lastLease > since)
            {
                return false;
            }

            _idle.GiveUpOldest(_idle.Count);
            IsRetired = true;
            remove(this);
            return true;
        }
    }

    /// <summary>What time brings: waits that end, connections that have been idle or have lived too long, the reserve, the minimum, another attempt at a node.</summary>
    public void Sweep()
    {
        lock (_lock)
        {
            SweepLine();
            SweepIdle();
        }

        Pump();
    }

    /// <summary>Opens what those in line can have.</summary>
    public void Pump()
    {
        int openings;
        while (ServeOne())
        {
        }

        lock (_lock)
        {
            openings = PrepareOpenings();
        }

        StartOpenings(openings);
    }

    // Whoever ends or cancels a backend by the process id that its client was told must not meet somebody else: another client's will do
    // only where nothing can be opened now.
    private ServerConnection? TakeIdle(ServerConnection? own, ref int openings) =>
        _idle.Take(own, unassignedOnly: true) is { } server ? server
        : _idle.Count > 0 && (_open >= Options.PoolSize || Options.PoolMaxWaiting == 0 || (openings = PrepareOpenings(atLeast: 1)) == 0) ? _idle.Take()
        : null;

    // One that stands for a client is that client's as long as those in line are having their own opened.
    private bool IsForLine(ServerConnection server) => server.AssignedTo is null || _line.Count > _opening || ReferenceEquals(_line.First?.Own, server);

    // Who waits for a connection of its own takes any when that could not be opened.
    private bool ServeOne()
    {
        PoolWaiter? waiter;
        ServerConnection? server;
        lock (_lock)
        {
            if (_isPaused || _line.Count <= _opening || (server = _idle.Take()) is null)
            {
                return false;
            }

            waiter = TakeWaiter();
            if (waiter is null)
            {
                _idle.Push(server);
            }
        }

        waiter?.Grant(server);
        return waiter is not null;
    }

    private ServerUnavailableException? Refusal()
    {
        if (_isClosed)
        {
            return new ServerUnavailableException(PoolErrors.Closed(Node.Name));
        }

        if (_line.Count >= Options.PoolMaxWaiting)
        {
            _figures.CountTimeout();
            return new ServerUnavailableException(PoolErrors.LineFull(SnapshotLocked()));
        }

        if (Link.IsDown && _open == _opening && Link.IsGivenUp && Link.LastFailure is { } failure)
        {
            _probeUntil = _lastLease + _context.Clock.Ticks(ProbeFor);
            return failure.Again();
        }

        return null;
    }

    private async ValueTask<ServerConnection> CheckedAsync(ServerConnection server, bool joins, ServerConnection? own, CancellationToken client)
    {
        if (await ServerCheck.IsAliveAsync(server, Options.ServerConnectTimeout, _context.Time).ConfigureAwait(false))
        {
            return server;
        }

        Return(server);
        return await LeaseAsync(joins, client, own).ConfigureAwait(false);
    }

    // Others wait for a connection of this node and cannot have one: nobody here needs this one, or they have fewer.
    private bool YieldsToOthers() =>
        Link.Starved.Any && Link.Starved.Peek() is { } other && other != this && (_line.Count == 0 || other.Open + 1 < _open);

    // How many connections to open now; each is counted already.
    private int PrepareOpenings(int atLeast = 0)
    {
        var count = 0;
        if (_isClosed || IsRetired)
        {
            return 0;
        }

        var now = _context.Clock.Now;
        var wanted = _isPaused ? (_line.FirstServed(isPaused: true) is null ? 0 : 1) : Math.Max(_line.Count, atLeast > 0 ? _opening + atLeast : 0);
        if (!_isPaused && now - _lastLease < _context.Clock.Ticks(Options.PoolIdleTimeout))
        {
            wanted = Math.Max(wanted, Options.PoolMinimum - (_open - _opening));
        }

        if (_line.Count == 0 && Link.IsDown && now < _probeUntil)
        {
            wanted = Math.Max(wanted, 1);
        }

        while (_opening < wanted && _open < Limit && now >= _nextOpen)
        {
            if (!Link.TryReserve())
            {
                if (_line.Count > _opening)
                {
                    Link.Starved.Add(this);
                }

                break;
            }

            if (!Link.TryBeginAttempt())
            {
                Link.Release();
                break;
            }

            _open++;
            _opening++;
            count++;
        }

        return count;
    }

    private void StartOpenings(int count)
    {
        while (count-- > 0)
        {
            _ = OpenAsync();
        }

        if (Link.Starved.Any && _owner.EvictIdle(Link, except: this))
        {
            Link.Starved.Take()?.Pump();
        }
    }

    private async Task OpenAsync()
    {
        ServerConnection server;
        try
        {
            server = await _context.Connector.ConnectAsync(Node, Key, CancellationToken.None).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            NotOpened(e as ServerUnavailableException ?? new ServerUnavailableException(PoolErrors.Unreachable(Node.Name, $"{e.GetType().Name}.")));
            return;
        }

        Link.Succeeded();
        var now = _context.Clock.Now;
        server.Join(this, now, now + _context.Clock.Ticks(Options.PoolLifetime * (0.9 + (0.2 * _context.Random.NextDouble()))));
        lock (_lock)
        {
            _opening--;
            _figures.Opened++;
            _lastRefusal = null;
        }

        Return(server);
    }

    private void NotOpened(ServerUnavailableException failure)
    {
        PoolWaiter? refused = null;
        var hasNone = failure.SqlState == "53300";
        Link.Ended(failure);
        Link.Release();
        lock (_lock)
        {
            _open--;
            _opening--;
            _figures.Errors++;
            if (hasNone)
            {
                _lastRefusal = failure;
                _nextOpen = _context.Clock.Now + _context.Clock.Ticks(TimeSpan.FromMilliseconds(200 + (200 * _context.Random.NextDouble())));
            }
            else if (!NodeLink.IsOutage(failure))
            {
                refused = TakeWaiter(isGrant: false);
            }
        }

        refused?.Refuse(failure);
        if (hasNone)
        {
            _owner.EvictIdle(Link, except: this);
        }

        Pump();
    }

    private void SweepLine()
    {
        if (_line.First is null)
        {
            _usesReserve = false;
            return;
        }

        var isLost = Link.IsDown && _open == _opening && Link.IsGivenUp;
        _usesReserve = Options.PoolReserve > 0 && _context.Time.GetElapsedTime(_line.First.Since) >= Options.PoolReserveAfter;
        _line.Sweep(_figures, _context.Time, waited =>
        {
            if (isLost && Link.LastFailure is { } failure)
            {
                _probeUntil = _context.Clock.Now + _context.Clock.Ticks(ProbeFor);
                return failure.Again();
            }

            if (waited < Options.PoolWait)
            {
                return null;
            }

            _figures.CountTimeout();
            return new ServerUnavailableException(PoolErrors.AfterWait(SnapshotLocked(), Options.PoolWait, Link.LastFailure ?? _lastRefusal));
        });
    }

    private void SweepIdle()
    {
        var now = _context.Clock.Now;
        var oldest = now - _context.Clock.Ticks(Options.PoolIdleTimeout);
        _idle.Sweep(now, oldest, spare: _lastLease < oldest ? int.MaxValue : _open - Options.PoolMinimum, surplus: _open - Limit);
    }

    private PoolWaiter? TakeWaiter(bool isGrant = true) => _line.TakeServed(_isPaused, isGrant, _figures, _context.Time);

    private void Forget(ServerConnection server)
    {
        _open--;
        _figures.Closed++;
        Link.Release();
        server.KeepLastWords();
        server.Discard();
    }

    private PoolSnapshot SnapshotLocked() => _figures.Snapshot(
        this, Options, _idle.Count, _open, _opening, _line, _line.First is { } first ? _context.Time.GetElapsedTime(first.Since) : TimeSpan.Zero, _isPaused);
}
