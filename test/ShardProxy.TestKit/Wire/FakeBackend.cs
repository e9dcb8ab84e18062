using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;

namespace ShardProxy.TestKit.Wire;

/// <summary>
/// A server on a loopback port that speaks enough of the protocol to log a client in and answers each statement as a test says: with
/// canned rows, an error, garbage, late, not at all. Records what it received.
/// </summary>
public sealed class FakeBackend : IAsyncDisposable
{
    private readonly Socket _listener;
    private readonly CancellationTokenSource _stop = new();
    private readonly ConcurrentDictionary<int, FakeBackendConnection> _connections = new();
    private readonly ConcurrentQueue<WireMessage> _received = new();
    private readonly ConcurrentQueue<(int ProcessId, int SecretKey)> _cancels = new();
    private readonly ConcurrentQueue<Exception> _faults = new();
    private readonly SemaphoreSlim _cancelArrived = new(0);
    private readonly Task _accepting;
    private int _lastProcessId;

    private FakeBackend(FakeBackendOptions options)
    {
        Options = options;
        _listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        _listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _listener.Listen();
        EndPoint = (IPEndPoint)_listener.LocalEndPoint!;
        _accepting = AcceptAsync();
    }

    /// <summary>Where it listens.</summary>
    public IPEndPoint EndPoint { get; }

    /// <summary>Connections open now.</summary>
    public int OpenConnections => _connections.Count;

    /// <summary>Logins begun since the start.</summary>
    public int Logins => Volatile.Read(ref _lastProcessId);

    /// <summary>Every message after the login, over all connections, in the order of arrival.</summary>
    public IReadOnlyCollection<WireMessage> Received => _received;

    /// <summary>Cancel requests received.</summary>
    public IReadOnlyCollection<(int ProcessId, int SecretKey)> Cancels => _cancels;

    /// <summary>Messages of clients that could not be understood, and failures of the script itself.</summary>
    public IReadOnlyCollection<Exception> Faults => _faults;

    internal FakeBackendOptions Options { get; }

    /// <summary>Starts listening on a free port.</summary>
    public static FakeBackend Start(FakeBackendOptions? options = null) => new(options ?? new FakeBackendOptions());

    /// <summary>Starts with trust and that reply to each statement's text.</summary>
    public static FakeBackend Start(Func<string, FakeReply> reply) => Start(new FakeBackendOptions { Reply = reply });

    /// <summary>Waits for the next cancel request not yet waited for.</summary>
    public Task WaitForCancelAsync(CancellationToken cancellationToken) => _cancelArrived.WaitAsync(cancellationToken);

    /// <summary>Cuts every open connection with a reset, as a server that is killed does; goes on listening.</summary>
    public void CutAll()
    {
        foreach (var connection in _connections.Values)
        {
            connection.Reset();
        }
    }

    /// <summary>Sends bytes on every open connection, unasked: a notice, a notification, garbage.</summary>
    public async Task SendToAllAsync(byte[] bytes, CancellationToken cancellationToken = default)
    {
        foreach (var connection in _connections.Values)
        {
            try
            {
                await connection.SendAsync(bytes, cancellationToken);
            }
            catch (Exception error) when (error is IOException or ObjectDisposedException)
            {
                // That client has left meanwhile.
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _listener.Dispose();
        CutAll();
        await _accepting;
        await Task.WhenAll(_connections.Values.Select(c => c.Completion));
        _stop.Dispose();
        _cancelArrived.Dispose();
    }

    internal int NextProcessId() => Interlocked.Increment(ref _lastProcessId);

    internal void Record(WireMessage message) => _received.Enqueue(message);

    internal void RecordCancel(int processId, int secretKey)
    {
        _cancels.Enqueue((processId, secretKey));
        _cancelArrived.Release();
    }

    private async Task AcceptAsync()
    {
        for (var number = 0; !_stop.IsCancellationRequested; number++)
        {
            Socket socket;
            try
            {
                socket = await _listener.AcceptAsync(_stop.Token);
            }
            catch (Exception error) when (error is OperationCanceledException or SocketException or ObjectDisposedException)
            {
                return;
            }

            var connection = new FakeBackendConnection(this, socket);
            _connections[number] = connection;
            _ = RunAsync(number, connection);
        }
    }

    private async Task RunAsync(int number, FakeBackendConnection connection)
    {
        await connection.RunAsync(_stop.Token);
        if (connection.Fault is { } fault)
        {
            _faults.Enqueue(fault);
        }

        _connections.TryRemove(number, out _);
        connection.Dispose();
    }
}
