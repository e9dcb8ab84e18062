using System.Net;
using System.Net.Sockets;
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
    private volatile bool _isShared;

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

    /// <summary>Takes over a socket that listens already; a number that is none is closed.</summary>
    /// <exception cref="SocketException">It is no listening TCP socket.</exception>
    public static EpollListener Adopt(int number, EventLoop loop, Func<EventLoop> nextLoop, SocketTransportOptions options)
    {
        var socket = new SocketDescriptor(number);
        try
        {
            var endPoint = socket.ListeningAt() ?? throw new SocketException((int)SocketError.NotSocket);
            socket.SetTcpOptions(options);
            var listener = new EpollListener(socket, endPoint, loop, nextLoop, options) { _isShared = true };
            var errno = socket.Register(loop, listener);
            return errno == 0 ? listener : throw Errno.ToException(errno);
        }
        catch
        {
            socket.LetGo();
            throw;
        }
    }

    public void SendTo(Socket channel)
    {
        // Before it is sent: from the moment the other has it, it must not be shut down here.
        _isShared = true;
        var errno = _socket.SendTo(channel);
        if (errno != 0)
        {
            throw Errno.ToException(errno);
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
        if (_isShared)
        {
            // Shutting down would end it for the other process too, and closing alone does not take it out of the epoll set (epoll(7), Q6).
            _socket.Unregister(_loop, this);
        }
        else
        {
            _socket.Shutdown(both: true);
            _loop.Unregister(this);
        }

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
