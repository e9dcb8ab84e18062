using System.IO.Pipelines;
using System.Net;

namespace ShardProxy.Wire.Transport.Epoll;

/// <summary>
/// One socket of the epoll transport. Its events come on its loop's thread, and continuations of reads and flushes run there; the
/// owner may call from any thread, so that a session goes on with a server of another loop without a hand-over.
/// </summary>
internal sealed class EpollConnection : Pollable, ITransportConnection
{
    // What is thrown away unread before an orderly close: the system answers unread bytes with a reset, which can overtake our last words.
    private const int MaxDiscards = 64;

    private static readonly CancellationTokenSource AlreadyClosed = CreateCancelled();

    private readonly SocketDescriptor _socket;
    private readonly EventLoop _loop;
    private readonly SocketTransportOptions _options;
    private readonly EpollReader _reader;
    private readonly EpollWriter _writer;
    private TaskCompletionSource? _connecting;
    private CancellationTokenSource? _closed;
    private int _isDisposed;
    private volatile bool _isAborted;
    private volatile bool _isPeerClosed;

    public EpollConnection(SocketDescriptor socket, EventLoop loop, SocketTransportOptions options, EndPoint? remoteEndPoint)
    {
        _socket = socket;
        _loop = loop;
        _options = options;
        _reader = new EpollReader(this, socket);
        _writer = new EpollWriter(this, socket);
        RemoteEndPoint = remoteEndPoint;
    }

    public PipeReader Input => _reader;

    public PipeWriter Output => _writer;

    public EndPoint? RemoteEndPoint { get; }

    // Made when somebody asks: it is most of a connection's memory.
    public CancellationToken Closed
    {
        get
        {
            if (_closed is null)
            {
                Interlocked.CompareExchange(ref _closed, IsOver ? AlreadyClosed : new CancellationTokenSource(), null);
                if (IsOver)
                {
                    FireClosed();
                }
            }

            return _closed.Token;
        }
    }

    /// <summary>Reads and flushes are over: aborted or disposed.</summary>
    internal bool IsAborted => _isAborted;

    /// <summary>The peer sends no more; what it has sent may still be unread.</summary>
    internal bool IsPeerClosed => _isPeerClosed;

    public bool IsClosed => IsOver;

    private bool IsOver => _isAborted || _isPeerClosed;

    /// <summary>Begins to be watched: 0, or errno.</summary>
    public int Register() => _socket.Register(_loop, this);

    /// <summary>Connects. Has to be the first call.</summary>
    /// <exception cref="System.Net.Sockets.SocketException">It cannot; the connection is to be disposed.</exception>
    public async ValueTask ConnectAsync(ReadOnlyMemory<byte> address, CancellationToken cancellationToken)
    {
        var errno = -_socket.Connect(address.Span);
        if (errno == Errno.InProgress)
        {
            var connecting = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            _connecting = connecting;
            errno = Register();
            if (errno == 0)
            {
                await connecting.Task.WaitAsync(cancellationToken).ConfigureAwait(false);
                errno = _socket.TakeError();
            }
        }
        else if (errno == 0)
        {
            errno = Register();
        }

        if (errno != 0)
        {
            throw Errno.ToException(errno);
        }
    }

    public void Abort()
    {
        if (!_isAborted)
        {
            _isAborted = true;
            _socket.Shutdown(both: true);
            FireClosed();
            _loop.Post(this);
        }
    }

    public ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _isDisposed, 1) != 0)
        {
            return ValueTask.CompletedTask;
        }

        var drain = _isAborted ? Task.CompletedTask : _writer.DrainAsync();
        if (drain.IsCompleted)
        {
            Close();
            return ValueTask.CompletedTask;
        }

        return DrainAndCloseAsync(drain);
    }

    public override void OnEvents(SocketEvents events)
    {
        if (_connecting is { } connecting)
        {
            _connecting = null;
            connecting.TrySetResult();
        }

        const SocketEvents over = SocketEvents.PeerClosed | SocketEvents.HangUp | SocketEvents.Error;
        if ((events & over) != 0)
        {
            _isPeerClosed = true;
        }

        if ((events & (SocketEvents.Writable | SocketEvents.HangUp | SocketEvents.Error)) != 0)
        {
            _writer.OnWritable();
        }

        if ((events & (SocketEvents.Readable | over)) != 0)
        {
            _reader.OnReadable();
        }

        // Last: an owner that reads the end and closes needs nobody to tell it on a thread of the pool.
        if ((events & over) != 0)
        {
            FireClosed();
        }
    }

    public override void OnTurn()
    {
        _writer.OnWritable();
        _reader.OnReadable();
    }

    /// <summary>Has the loop go on with the reader after the events at hand.</summary>
    internal void PostTurn() => _loop.Post(this);

    private async ValueTask DrainAndCloseAsync(Task drain)
    {
        try
        {
            await drain.WaitAsync(_options.CloseTimeout, _options.TimeProvider).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            Abort();
            await drain.ConfigureAwait(false);
        }

        Close();
    }

    private void Close()
    {
        if (!_isAborted && !_reader.IsAtEnd && !_reader.IsWaiting)
        {
            var scrap = BufferBlock.Take();
            for (var i = 0; i < MaxDiscards && _socket.Receive(scrap.Array) == scrap.Array.Length; i++)
            {
            }

            scrap.Return();
        }

        _isAborted = true;
        if (_reader.IsWaiting || _writer.IsWaiting)
        {
            _loop.Post(this);
        }

        _loop.Unregister(this);
        _socket.LetGo();
    }

    private void FireClosed()
    {
        // The mark that makes IsOver true was set before: either this sees the source, or its maker sees the mark.
        Interlocked.MemoryBarrier();
        if (_isDisposed == 0 && _closed is { IsCancellationRequested: false } closed)
        {
            ThreadPool.UnsafeQueueUserWorkItem(static c => c.Cancel(), closed, preferLocal: false);
        }
    }

    private static CancellationTokenSource CreateCancelled()
    {
        var source = new CancellationTokenSource();
        source.Cancel();
        return source;
    }
}
