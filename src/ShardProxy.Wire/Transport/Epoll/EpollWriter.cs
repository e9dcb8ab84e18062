using System.IO.Pipelines;
using System.Threading.Tasks.Sources;

namespace ShardProxy.Wire.Transport.Epoll;

/// <summary>
/// The sending half of a connection, as a pipe without a pump: a flush sends on its caller's thread and waits only when the socket is
/// full, until all is sent; the loop's thread goes on then. So what a peer that does not read can make the proxy hold is what was
/// written for one flush. Between flushes it holds no buffer.
/// </summary>
internal sealed class EpollWriter(EpollConnection connection, SocketDescriptor socket) : PipeWriter, IValueTaskSource<FlushResult>
{
    private Readiness _readiness;
    private ManualResetValueTaskSourceCore<bool> _wait;
    private CancellationTokenRegistration _registration;
    private CancellationToken _token;

    // Unsent: from _sent in _first to _end in _last. While a flush waits, the chain belongs to the loop.
    private BufferBlock? _first;
    private BufferBlock? _last;
    private int _sent;
    private int _end;
    private long _unflushed;
    private bool _isGone;
    private bool _isCompleted;
    private int _cancelRequested;
    private int _isSending;
    private bool _isDraining;
    private volatile bool _isClosing;
    private volatile bool _isFlushing;
    private volatile bool _tokenCancelled;
    private TaskCompletionSource? _drained;

    /// <inheritdoc/>
    public override bool CanGetUnflushedBytes => true;

    /// <inheritdoc/>
    public override long UnflushedBytes => _unflushed;

    /// <inheritdoc/>
    public override Memory<byte> GetMemory(int sizeHint = 0)
    {
        var block = _last;
        if (block is null || _isFlushing || block.Array.Length - _end < Math.Max(1, sizeHint))
        {
            block = AddBlock(sizeHint);
        }

        return block.Array.AsMemory(_end);
    }

    /// <inheritdoc/>
    public override Span<byte> GetSpan(int sizeHint = 0)
    {
        var block = _last;
        if (block is null || _isFlushing || block.Array.Length - _end < Math.Max(1, sizeHint))
        {
            block = AddBlock(sizeHint);
        }

        return block.Array.AsSpan(_end);
    }

    /// <inheritdoc/>
    public override void Advance(int bytes)
    {
        if (_last is null || (uint)bytes > (uint)(_last.Array.Length - _end))
        {
            ArgumentOutOfRangeException.ThrowIfNotEqual(bytes, 0);
            return;
        }

        _end += bytes;
        _unflushed += bytes;
    }

    /// <inheritdoc/>
    public override ValueTask<FlushResult> FlushAsync(CancellationToken cancellationToken = default)
    {
        if (cancellationToken.IsCancellationRequested)
        {
            return ValueTask.FromCanceled<FlushResult>(cancellationToken);
        }

        CheckIsFree();
        if (_first is null)
        {
            return new ValueTask<FlushResult>(TakeResult());
        }

        if (Interlocked.Exchange(ref _isSending, 1) != 0)
        {
            throw new InvalidOperationException("the connection is being closed");
        }

        if (TrySend())
        {
            Interlocked.Exchange(ref _isSending, 0);
            Volatile.Read(ref _drained)?.TrySetResult();
            return new ValueTask<FlushResult>(TakeResult());
        }

        return WaitAsync(cancellationToken);
    }

    /// <inheritdoc/>
    public override void CancelPendingFlush()
    {
        Volatile.Write(ref _cancelRequested, 1);
        EndWait();
    }

    /// <inheritdoc/>
    public override void Complete(Exception? exception = null)
    {
        // What was written is sent when the connection is disposed.
        _isCompleted = true;
    }

    FlushResult IValueTaskSource<FlushResult>.GetResult(short token)
    {
        _wait.GetResult(token);
        if (_token.CanBeCanceled)
        {
            _registration.Dispose();
            var cancelled = _tokenCancelled;
            var owner = _token;
            _tokenCancelled = false;
            _token = default;
            _registration = default;
            if (cancelled)
            {
                throw new OperationCanceledException(owner);
            }
        }

        return TakeResult();
    }

    ValueTaskSourceStatus IValueTaskSource<FlushResult>.GetStatus(short token) => _wait.GetStatus(token);

    void IValueTaskSource<FlushResult>.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _wait.OnCompleted(continuation, state, token, flags);

    /// <summary>On the loop's thread: the socket takes bytes again, has failed, or was aborted.</summary>
    internal void OnWritable()
    {
        if (_readiness.Signal())
        {
            SendOrWait();
        }
    }

    /// <summary>A flush waits for the socket.</summary>
    internal bool IsWaiting => _readiness.IsWaiting;

    /// <summary>
    /// Sends the rest and completes when it is sent or the stream is gone; for the connection's end. Should somebody be writing still, his
    /// bytes may be lost, but no block he may hold gets into other hands.
    /// </summary>
    internal Task DrainAsync()
    {
        _isClosing = true;
        if (_first is null && !_isFlushing)
        {
            return Task.CompletedTask;
        }

        var drained = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        Interlocked.Exchange(ref _drained, drained);
        if (Interlocked.Exchange(ref _isSending, 1) != 0)
        {
            // A flush is at it; what it leaves is not ours. It may have ended in this moment.
            if (Volatile.Read(ref _isSending) == 0)
            {
                drained.TrySetResult();
            }

            return drained.Task;
        }

        _isDraining = true;
        _isFlushing = true;
        SendOrWait();
        return drained.Task;
    }

    private bool HasInterruption => connection.IsAborted || Volatile.Read(ref _cancelRequested) != 0 || _tokenCancelled;

    // True when nothing is left to send; false when the socket is full. By who holds _isSending only.
    private bool TrySend()
    {
        while (_first is { } block)
        {
            var end = block == _last ? _end : block.Memory.Length;
            while (_sent < end && !_isGone)
            {
                var count = connection.IsAborted ? -Errno.ConnectionAborted : socket.Send(block.Array.AsSpan(_sent, end - _sent));
                if (count == -Errno.Again)
                {
                    return false;
                }

                _isGone = count < 0;
                _sent += Math.Max(0, count);
            }

            _first = block.Following;
            _sent = 0;
            if (!_isClosing)
            {
                block.Return();
            }
        }

        _last = null;
        _end = 0;
        _unflushed = 0;
        return true;
    }

    private ValueTask<FlushResult> WaitAsync(CancellationToken cancellationToken)
    {
        _wait.Reset();
        _tokenCancelled = false;
        _isFlushing = true;
        if (cancellationToken.CanBeCanceled)
        {
            _token = cancellationToken;
            _registration = cancellationToken.UnsafeRegister(static w => ((EpollWriter)w!).OnTokenCancelled(), this);
        }

        var task = new ValueTask<FlushResult>(this, _wait.Version);
        SendOrWait();
        return task;
    }

    private void SendOrWait()
    {
        do
        {
            // The event that the last send was short of may have come already.
            _readiness.Take();
            if (TrySend())
            {
                Finish();
                return;
            }
        }
        while (!_readiness.TryWait());

        // Whoever interrupts sets its mark first and then looks for a wait to end: one of the two sees the other.
        if (HasInterruption)
        {
            EndWait();
        }
    }

    private void OnTokenCancelled()
    {
        _tokenCancelled = true;
        EndWait();
    }

    private void EndWait()
    {
        if (_readiness.TryEndWait())
        {
            Finish();
        }
    }

    private void Finish()
    {
        // Once _isSending is given up, the next flush may begin: nothing but the wait of this one may be touched after it.
        var isDraining = _isDraining;
        _isFlushing = false;
        Interlocked.Exchange(ref _isSending, 0);
        Volatile.Read(ref _drained)?.TrySetResult();
        if (!isDraining)
        {
            _wait.SetResult(true);
        }
    }

    private FlushResult TakeResult()
    {
        var isCancelled = Volatile.Read(ref _cancelRequested) != 0 && Interlocked.Exchange(ref _cancelRequested, 0) != 0;
        return new FlushResult(isCancelled, _isGone || connection.IsAborted);
    }

    private BufferBlock AddBlock(int sizeHint)
    {
        CheckIsFree();
        var block = BufferBlock.Take(sizeHint);
        if (_last is null)
        {
            _first = block;
            _sent = 0;
        }
        else
        {
            _last.Link(_end, block);
        }

        _last = block;
        _end = 0;
        return block;
    }

    private void CheckIsFree()
    {
        if (_isFlushing || _isCompleted)
        {
            throw new InvalidOperationException(_isCompleted ? "the writer was completed" : "the last flush has not ended yet");
        }
    }
}
