using System.Net;
using System.Net.Sockets;

namespace ShardProxy.Wire.Transport;

/// <summary>The listening socket.</summary>
internal sealed class SocketListener : ITransportListener
{
    private static readonly TimeSpan ExhaustedPause = TimeSpan.FromMilliseconds(100);

    private readonly Socket _socket;
    private readonly Func<Socket, ITransportConnection> _wrap;
    private readonly TimeProvider _time;
    private volatile bool _isStopped;

    public SocketListener(Socket socket, Func<Socket, ITransportConnection> wrap, TimeProvider time)
    {
        _socket = socket;
        _wrap = wrap;
        _time = time;
        LocalEndPoint = (IPEndPoint)socket.LocalEndPoint!;
    }

    public IPEndPoint LocalEndPoint { get; }

    public async ValueTask<ITransportConnection?> AcceptAsync(CancellationToken cancellationToken)
    {
        while (!_isStopped)
        {
            Socket? accepted = null;
            try
            {
                accepted = await _socket.AcceptAsync(cancellationToken).ConfigureAwait(false);
                return _wrap(accepted);
            }
            catch (ObjectDisposedException)
            {
                accepted?.Dispose();
            }
            catch (SocketException error)
            {
                // The peer may be gone before its options are set; that costs this connection only.
                accepted?.Dispose();
                if (accepted is null && !_isStopped && error.SocketErrorCode is not (SocketError.ConnectionReset or SocketError.ConnectionAborted or SocketError.OperationAborted))
                {
                    // Mostly "too many open files": the waiting connection is still there, and asking again at once would spin.
                    await Task.Delay(ExhaustedPause, _time, cancellationToken).ConfigureAwait(false);
                }
            }
        }

        return null;
    }

    public void SendTo(Socket channel) => throw new PlatformNotSupportedException("listening sockets are handed over by the epoll transport only");

    public ValueTask DisposeAsync()
    {
        _isStopped = true;
        _socket.Dispose();
        return ValueTask.CompletedTask;
    }
}
