using System.Net;
using System.Runtime.InteropServices;

namespace ShardProxy.Wire.Transport.Epoll;

/// <summary>A listening socket of the epoll transport; what it accepts is spread over the loops in turn.</summary>
internal sealed class EpollListener : Pollable, ITransportListener
{
    private static readonly TimeSpan ExhaustedPause = TimeSpan.FromMilliseconds(100);

    private readonly SocketDescriptor _socket;
    private readonly EventLoop _loop;
    private readonly Func<EventLoop> _nextLoop;
    private readonly SocketTransportOptions _options;
    private Readiness _readiness;
    private TaskCompletionSource? _waiter;
    private volatile bool _isStopped;

    private EpollListener(SocketDescriptor socket, IPEndPoint localEndPoint, EventLoop loop, Func<EventLoop> nextLoop, SocketTransportOptions options)
    {
        _socket = socket;
        _loop = loop;
        _nextLoop = nextLoop;
        _options = options;
        LocalEndPoint = localEndPoint;
    }

    public IPEndPoint LocalEndPoint { get; }

    /// <summary>Binds and listens.</summary>
    /// <exception cref="System.Net.Sockets.SocketException">The address cannot be bound.</exception>
    public static EpollListener Open(IPEndPoint endPoint, EventLoop loop, Func<EventLoop> nextLoop, SocketTransportOptions options)
    {
        var number = NativeMethods.Socket(SocketName.Family(endPoint), 1 | SocketDescriptor.CreationFlags, 0);
        if (number < 0)
        {
            throw Errno.ToException(Marshal.GetLastPInvokeError());
        }

        var socket = new SocketDescriptor(number);
        try
        {
            socket.SetTcpOptions(options);
            var listener = new EpollListener(socket, socket.Listen(endPoint, options.Backlog), loop, nextLoop, options);
            var errno = socket.Register(loop, listener);
            return errno == 0 ? listener : throw Errno.ToException(errno);
        }
        catch
        {
            socket.LetGo();
            throw;
        }
    }

    public async ValueTask<ITransportConnection?> AcceptAsync(CancellationToken cancellationToken)
    {
        while (!_isStopped)
        {
            cancellationToken.ThrowIfCancellationRequested();
            _readiness.Take();
            var errno = TryAccept(out var connection);
            switch (errno)
            {
                case 0:
                    return connection;
                case Errno.Again:
                    await WaitAsync(cancellationToken).ConfigureAwait(false);
                    break;
                case Errno.TooManyOpenFiles or Errno.TooManyOpenFilesInSystem or Errno.NoBufferSpace or 12 or 28:
                    // The waiting connection is still there, and asking again at once would spin.
                    await Task.Delay(ExhaustedPause, _options.TimeProvider, cancellationToken).ConfigureAwait(false);
                    break;
                default:
                    // An error of the connection that waited (accept(2), "Error handling"): it is passed over.
                    break;
            }
        }

        return null;
    }

    public ValueTask DisposeAsync()
    {
        _isStopped = true;
        _socket.Shutdown(both: true);
        _loop.Unregister(this);
        _socket.LetGo();
        EndWait();
        return ValueTask.CompletedTask;
    }

    public override void OnEvents(SocketEvents events)
    {
        if (_readiness.Signal())
        {
            _waiter!.TrySetResult();
        }
    }

    public override void OnTurn()
    {
    }

    private int TryAccept(out EpollConnection? connection)
    {
        Span<byte> name = stackalloc byte[SocketName.MaxBytes];
        connection = null;
        var accepted = _socket.Accept(name, out var nameBytes);
        if (accepted < 0)
        {
            return -accepted;
        }

        // Options are handed down from the listening socket.
        var socket = new SocketDescriptor(accepted);
        connection = new EpollConnection(socket, _nextLoop(), _options, SocketName.Read(name[..nameBytes]));
        var errno = connection.Register();
        if (errno != 0)
        {
            socket.LetGo();
        }

        return errno;
    }

    private async ValueTask WaitAsync(CancellationToken cancellationToken)
    {
        // Continues inline on the loop's thread.
        var waiter = new TaskCompletionSource();
        _waiter = waiter;
        await using var registration = cancellationToken.UnsafeRegister(static l => ((EpollListener)l!).EndWait(), this).ConfigureAwait(false);
        if (_readiness.TryWait())
        {
            if (_isStopped || cancellationToken.IsCancellationRequested)
            {
                EndWait();
            }

            await waiter.Task.ConfigureAwait(false);
        }
    }

    private void EndWait()
    {
        if (_readiness.TryEndWait())
        {
            _waiter!.TrySetResult();
        }
    }
}
