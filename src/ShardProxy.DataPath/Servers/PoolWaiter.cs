using System.Threading.Tasks.Sources;

namespace ShardProxy.DataPath.Servers;

/// <summary>
/// A place in a pool's line, used again and again. It is granted or refused by whoever took it out of the line, exactly once; the one
/// who waits gives it back to its line by looking at the result.
/// </summary>
internal sealed class PoolWaiter(WaitLine owner) : IValueTaskSource<ServerConnection>
{
    // A continuation may run the next client's statement, which returns a server and grants the next place: that must not nest.
    [ThreadStatic]
    private static bool _isGranting;

    private ManualResetValueTaskSourceCore<ServerConnection> _core;

    public PoolWaiter? Next { get; set; }

    public PoolWaiter? Previous { get; set; }

    /// <summary>Clock of the pool when it joined the line.</summary>
    public long Since { get; set; }

    /// <summary>The client's connection: cancelled when the client has left.</summary>
    public CancellationToken Client { get; set; }

    /// <summary>The connection whose process id the client was told, or null.</summary>
    public ServerConnection? Own { get; set; }

    /// <summary>Belongs to a transaction under way: a pause does not hold it.</summary>
    public bool Joins { get; set; }

    public ValueTask<ServerConnection> Task => new(this, _core.Version);

    /// <summary>Hands a server over. What the waiter does next runs here, unless this is such a continuation already.</summary>
    public void Grant(ServerConnection server)
    {
        _core.RunContinuationsAsynchronously = _isGranting;
        var wasGranting = _isGranting;
        _isGranting = true;
        try
        {
            _core.SetResult(server);
        }
        finally
        {
            _isGranting = wasGranting;
        }
    }

    /// <summary>Ends the wait with an error; the waiter goes on elsewhere.</summary>
    public void Refuse(Exception error)
    {
        _core.RunContinuationsAsynchronously = true;
        _core.SetException(error);
    }

    ServerConnection IValueTaskSource<ServerConnection>.GetResult(short token)
    {
        try
        {
            return _core.GetResult(token);
        }
        finally
        {
            _core.Reset();
            owner.Recycle(this);
        }
    }

    ValueTaskSourceStatus IValueTaskSource<ServerConnection>.GetStatus(short token) => _core.GetStatus(token);

    void IValueTaskSource<ServerConnection>.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _core.OnCompleted(continuation, state, token, flags);
}
