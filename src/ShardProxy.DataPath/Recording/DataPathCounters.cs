namespace ShardProxy.DataPath.Recording;

/// <summary>Counters of the data path that belong to no node. Interlocked; read by the metrics.</summary>
public sealed class DataPathCounters
{
    private long _held, _heldMicros, _refused, _clientErrors, _twoPhaseCommits, _inDoubt, _cancels, _connections, _replanned, _aborted, _sessions, _consoles, _heldNow, _deadlocks;
    private readonly System.Collections.Concurrent.ConcurrentDictionary<string, long> _refusedByCode = new(StringComparer.Ordinal);
    private readonly System.Collections.Concurrent.ConcurrentDictionary<string, long> _rejectedByCode = new(StringComparer.Ordinal);

    // Reported even at zero: a counter that appears with its first event shows no increase.
    private readonly System.Collections.Concurrent.ConcurrentDictionary<string, long> _timeoutsByKind = new(
        new Dictionary<string, long> { ["statement"] = 0, ["idle_in_transaction"] = 0, ["client_idle"] = 0, ["login"] = 0 }, StringComparer.Ordinal);

    /// <summary>Log-ins refused, by SHP code: a closed set of codes.</summary>
    public IEnumerable<KeyValuePair<string, long>> RejectedByCode => _rejectedByCode;

    /// <summary>Limits in time that were exceeded, by what they limit.</summary>
    public IEnumerable<KeyValuePair<string, long>> TimeoutsByKind => _timeoutsByKind;

    /// <summary>Statements held by a moving range or a changing table.</summary>
    public long Held => Volatile.Read(ref _held);

    /// <summary>Microseconds they were held.</summary>
    public long HeldMicros => Volatile.Read(ref _heldMicros);

    /// <summary>Statements refused with an SHP code.</summary>
    public long Refused => Volatile.Read(ref _refused);

    /// <summary>Errors sent to clients, refusals included.</summary>
    public long ClientErrors => Volatile.Read(ref _clientErrors);

    /// <summary>Transactions committed in two phases.</summary>
    public long TwoPhaseCommits => Volatile.Read(ref _twoPhaseCommits);

    /// <summary>Commits whose outcome was left to recovery.</summary>
    public long InDoubt => Volatile.Read(ref _inDoubt);

    /// <summary>Cancel requests passed on.</summary>
    public long Cancels => Volatile.Read(ref _cancels);

    /// <summary>Client connections accepted.</summary>
    public long Connections => Volatile.Read(ref _connections);

    /// <summary>Statements fenced by a gate and routed again.</summary>
    public long Replanned => Volatile.Read(ref _replanned);

    internal void AddHeld(long micros)
    {
        Interlocked.Decrement(ref _heldNow);
        Interlocked.Increment(ref _held);
        Interlocked.Add(ref _heldMicros, micros);
    }

    /// <summary>Statements held now.</summary>
    public long HeldNow => Volatile.Read(ref _heldNow);

    /// <summary>Distributed transactions that were rolled back at their commit.</summary>
    public long TwoPhaseAborts => Volatile.Read(ref _aborted);

    /// <summary>Clients that have logged in.</summary>
    public long Sessions => Volatile.Read(ref _sessions);

    /// <summary>Console clients that have logged in.</summary>
    public long ConsoleSessions => Volatile.Read(ref _consoles);

    /// <summary>Refused statements by SHP code: a closed set of codes.</summary>
    public IEnumerable<KeyValuePair<string, long>> RefusedByCode => _refusedByCode;

    internal void AddRefused(string code)
    {
        Interlocked.Increment(ref _refused);
        _refusedByCode.AddOrUpdate(code, 1, static (_, count) => count + 1);
    }

    internal void AddRejected(string code) => _rejectedByCode.AddOrUpdate(code, 1, static (_, count) => count + 1);

    /// <summary>Deadlocks over several nodes that were ended.</summary>
    public long Deadlocks => Volatile.Read(ref _deadlocks);

    internal void AddDeadlock() => Interlocked.Increment(ref _deadlocks);

    internal void AddTimeout(string kind) => _timeoutsByKind.AddOrUpdate(kind, 1, static (_, count) => count + 1);

    internal void AddTwoPhaseAbort() => Interlocked.Increment(ref _aborted);

    internal void AddSession() => Interlocked.Increment(ref _sessions);

    internal void AddConsoleSession() => Interlocked.Increment(ref _consoles);

    internal void BeginHold() => Interlocked.Increment(ref _heldNow);

    internal void AddClientError() => Interlocked.Increment(ref _clientErrors);

    internal void AddTwoPhaseCommit() => Interlocked.Increment(ref _twoPhaseCommits);

    internal void AddInDoubt() => Interlocked.Increment(ref _inDoubt);

    internal void AddCancel() => Interlocked.Increment(ref _cancels);

    internal void AddConnection() => Interlocked.Increment(ref _connections);

    internal void AddReplanned() => Interlocked.Increment(ref _replanned);
}
