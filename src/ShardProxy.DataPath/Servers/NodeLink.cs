namespace ShardProxy.DataPath.Servers;

/// <summary>
/// What all pools of a node share: how many connections the node may have in all, and whether it can be reached. While it cannot, one
/// attempt at a time is made, with growing pauses, so that a dead node meets no storm and a recovered one is found within about a
/// second. Thread-safe; takes no other lock while it holds its own.
/// </summary>
internal sealed class NodeLink(string node, LiveOptions live, TimeProvider time, Random random)
{
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(1);

    private readonly Lock _lock = new();
    private int _connections;
    private int _attempts;
    private int _failures;
    private long _attemptsTotal;
    private long _failuresTotal;
    private long _timeouts;
    private long _waitedTicks;
    private long _downSince;
    private long _nextAttempt;
    private bool _isStarting;

    /// <summary>The node's name.</summary>
    public string Node => node;

    /// <summary>Attempts to connect that have begun since the start.</summary>
    public long Attempts => Volatile.Read(ref _attemptsTotal);

    /// <summary>Those that found the node out of reach or restarting.</summary>
    public long Failures => Volatile.Read(ref _failuresTotal);

    /// <summary>Leases of all pools, also of those that are gone, that gave up waiting.</summary>
    public long Timeouts => Volatile.Read(ref _timeouts);

    /// <summary>Time for which leases have waited in line, those that gave up included.</summary>
    public TimeSpan Waited => new(Volatile.Read(ref _waitedTicks));

    /// <summary>Time until the node is tried again; zero while it answers, and while an attempt is due or under way.</summary>
    public TimeSpan RetryDelay
    {
        get
        {
            lock (_lock)
            {
                var left = _failures == 0 || _attempts > 0 ? 0 : _nextAttempt - time.GetTimestamp();
                return left <= 0 ? TimeSpan.Zero : TimeSpan.FromSeconds((double)left / time.TimestampFrequency);
            }
        }
    }

    /// <summary>Server connections of all pools, those being opened included.</summary>
    public int Connections => Volatile.Read(ref _connections);

    /// <summary>The last attempts to connect failed in a way that waiting may mend.</summary>
    public bool IsDown => Volatile.Read(ref _failures) > 0;

    /// <summary>Why, as the last attempt found it.</summary>
    public ServerUnavailableException? LastFailure { get; private set; }

    /// <summary>Pools that would open a connection but for the node's bound.</summary>
    public StarvedPools Starved { get; } = new();

    /// <summary>The node has been out of reach for so long that nobody should be made to wait for it. A node that is starting up is waited for.</summary>
    public bool IsGivenUp
    {
        get
        {
            lock (_lock)
            {
                return _failures > 0 && !_isStarting && time.GetElapsedTime(_downSince) >= live.Current.NodeDownWait;
            }
        }
    }

    /// <summary>Counts a connection to be opened; false when the node has as many as it may.</summary>
    public bool TryReserve()
    {
        var maximum = live.Current.NodeMaxConnections;
        if (Interlocked.Increment(ref _connections) <= maximum)
        {
            return true;
        }

        Interlocked.Decrement(ref _connections);
        return false;
    }

    /// <summary>A lease gave up waiting.</summary>
    public void AddTimeout() => Interlocked.Increment(ref _timeouts);

    /// <summary>A lease's wait is over.</summary>
    public void AddWait(TimeSpan waited) => Interlocked.Add(ref _waitedTicks, waited.Ticks);

    /// <summary>A counted connection is closed, or was never opened.</summary>
    public void Release() => Interlocked.Decrement(ref _connections);

    /// <summary>True when a connection may be attempted now; <see cref="Succeeded"/> or <see cref="Failed"/> is owed then.</summary>
    public bool TryBeginAttempt()
    {
        lock (_lock)
        {
            if (_failures > 0 && (_attempts > 0 || time.GetTimestamp() < _nextAttempt))
            {
                return false;
            }

            _attempts++;
            _attemptsTotal++;
            return true;
        }
    }

    /// <summary>An attempt ended like that.</summary>
    public void Ended(ServerUnavailableException failure)
    {
        if (IsOutage(failure))
        {
            Failed(failure);
        }
        else
        {
            Succeeded();
        }
    }

    /// <summary>The node has answered, be it with a refusal that concerns one login only.</summary>
    public void Succeeded()
    {
        lock (_lock)
        {
            _attempts--;
            _failures = 0;
            _isStarting = false;
            LastFailure = null;
        }
    }

    /// <summary>The attempt failed in a way that waiting may mend.</summary>
    public void Failed(ServerUnavailableException failure)
    {
        lock (_lock)
        {
            _attempts--;
            var now = time.GetTimestamp();
            if (_failures++ == 0)
            {
                _downSince = now;
            }

            _failuresTotal++;
            _isStarting = failure.SqlState is "57P03";
            LastFailure = failure;

            // Jitter keeps proxies that lost the node together from coming back together.
            var pause = Math.Min(LongestPause.TotalSeconds, FirstPause.TotalSeconds * Math.Pow(2, Math.Min(_failures - 1, 10)));
            _nextAttempt = now + (long)(pause * (0.5 + (random.NextDouble() / 2)) * time.TimestampFrequency);
        }
    }

    /// <summary>
    /// Whether the node as a whole is out of reach or restarting, which waiting may mend. A wrong password or a database that does not exist is
    /// the client's to hear at once.
    /// </summary>
    public static bool IsOutage(ServerUnavailableException failure) => failure.SqlState is "57P03" or "57P01" or "57P02" || failure.Error is { Code: "SHP-303" };
}
