using System.IO.Pipelines;
using System.Net;
using Microsoft.AspNetCore.Connections;

namespace ShardProxy.Wire.Transport;

/// <summary>One socket with Kestrel's two pumps.</summary>
internal sealed class SocketConnection : ITransportConnection
{
    private readonly ConnectionContext _context;
    private readonly SocketTransportOptions _options;
    private int _isDisposed;

    public SocketConnection(ConnectionContext context, SocketTransportOptions options)
    {
        _context = context;
        _options = options;
        Input = context.Transport.Input;
        Output = context.Transport.Output;
        Closed = context.ConnectionClosed;
    }

    public PipeReader Input { get; }

    public PipeWriter Output { get; }

    public EndPoint? RemoteEndPoint => _context.RemoteEndPoint;

    public CancellationToken Closed { get; }

    public bool IsClosed => Closed.IsCancellationRequested;

    public void Abort()
    {
        if (Volatile.Read(ref _isDisposed) == 0)
        {
            _context.Abort(new ConnectionAbortedException("aborted by the proxy"));
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _isDisposed, 1) != 0)
        {
            return;
        }

        // Disposing completes both pipes and waits for the pumps; the sender goes on until the peer has taken everything.
        var closing = _context.DisposeAsync();
        if (closing.IsCompleted)
        {
            await closing.ConfigureAwait(false);
            return;
        }

        var closed = closing.AsTask();
        try
        {
            await closed.WaitAsync(_options.CloseTimeout, _options.TimeProvider).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            _context.Abort(new ConnectionAbortedException("the peer did not take the last bytes in time"));
            await closed.ConfigureAwait(false);
        }
    }
}
