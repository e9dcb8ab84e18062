using System.Buffers;
using System.IO.Pipelines;
using System.Runtime.CompilerServices;
using System.Threading.Tasks.Sources;

namespace ShardProxy.Wire.Transport.Epoll;

/// <summary>
/// The receiving half of a connection, as a pipe without a pump: the socket is read when its owner asks for more, on the owner's thread
/// if an event has said that something is there, else on the loop's thread when the event comes, and the owner goes on there. So at
/// most one block lies unexamined, a reader that waits holds no buffer, and a receive that did not fill its buffer is not followed by
/// another in vain: it has emptied the socket (epoll(7), question 9).
/// </summary>
internal sealed class EpollReader(EpollConnection connection, SocketDescriptor socket) : PipeReader, IValueTaskSource<ReadResult>
{
    /// <summary>
    /// Receives in a row without a wait, after which the other connections of the loop get a turn: 512 KiB take well under a millisecond.
    /// </summary>
    private const int MaxBurst = 32;

    private const int SmallestTail = 2 * 1024;

    private Readiness _readiness;
    private ManualResetValueTaskSourceCore<bool> _wait;
    private CancellationTokenRegistration _registration;
    private CancellationToken _token;

    // The buffer: from _start in _first to _end in _last. Both null: nothing is buffered and nothing is held.
    private BufferBlock? _first;
    private BufferBlock? _last;
    private int _start;
    private int _end;
    private bool _hasUnexamined;
    private bool _isReading;
    private bool _isCompleted;
    private bool _isAtEnd;
    private int _failure; // errno, 0 for none
    private int _burst;
    private int _cancelRequested;
    private volatile bool _tokenCancelled;

    private enum Fill
    {
        /// <summary>There is something to tell: bytes, the end, a failure.</summary>
        Done,

        /// <summary>The socket is empty: an event will come.</summary>
        Empty,
    }

    /// <summary>The peer has ended its stream and all of it was received.</summary>
    public bool IsAtEnd => _isAtEnd;

    /// <inheritdoc/>
    public override ValueTask<ReadResult> ReadAsync(CancellationToken cancellationToken = default)
    {
        if (cancellationToken.IsCancellationRequested)
        {
            return ValueTask.FromCanceled<ReadResult>(cancellationToken);
        }

        CheckIsFree();
        try
        {
            if (HasResult || (_readiness.IsReady && _burst < MaxBurst && Receive() == Fill.Done))
            {
                return new ValueTask<ReadResult>(TakeResult());
            }

            return WaitAsync(cancellationToken);
        }
        catch (Exception e) when (e is IOException or OperationCanceledException)
        {
            return ValueTask.FromException<ReadResult>(e);
        }
    }

    /// <inheritdoc/>
    public override bool TryRead(out ReadResult result)
    {
        CheckIsFree();
        if (HasResult || (_readiness.IsReady && Receive() == Fill.Done))
        {
            result = TakeResult();
            return true;
        }

        result = default;
        return false;
    }

    /// <inheritdoc/>
    public override void AdvanceTo(SequencePosition consumed) => AdvanceTo(consumed, consumed);

    /// <inheritdoc/>
    public override void AdvanceTo(SequencePosition consumed, SequencePosition examined)
    {
        _isReading = false;
        if (_last is null || consumed.GetObject() is not BufferBlock block)
        {
            return; // the buffer was empty
        }

        _hasUnexamined = !ReferenceEquals(examined.GetObject(), _last) || examined.GetInteger() < _end;
        while (_first != block)
        {
            var passed = _first!;
            _first = passed.Following;
            passed.Return();
        }

        _start = consumed.GetInteger();
        if (block == _last && _start == _end)
        {
            _first = _last = null;
            _hasUnexamined = false;
            block.Return();
        }
    }

    /// <inheritdoc/>
    public override void CancelPendingRead()
    {
        Volatile.Write(ref _cancelRequested, 1);
        if (_readiness.TryEndWait())
        {
            _wait.SetResult(true);
        }
    }

    /// <inheritdoc/>
    public override void Complete(Exception? exception = null)
    {
        // What is buffered is left to the collector: a slice of it may still be in someone's hands.
        _isCompleted = true;
        _first = _last = null;
        _hasUnexamined = false;
    }

    ReadResult IValueTaskSource<ReadResult>.GetResult(short token)
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

    ValueTaskSourceStatus IValueTaskSource<ReadResult>.GetStatus(short token) => _wait.GetStatus(token);

    void IValueTaskSource<ReadResult>.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _wait.OnCompleted(continuation, state, token, flags);

    /// <summary>On the loop's thread: the socket can be read, has ended, was aborted, or the reader's turn has come.</summary>
    internal void OnReadable()
    {
        if (_readiness.Signal())
        {
            _burst = 0;
            if (Receive() == Fill.Done || !WaitAgain())
            {
                _wait.SetResult(true);
            }
        }
    }

    /// <summary>A read waits for the socket.</summary>
    internal bool IsWaiting => _readiness.IsWaiting;

    private bool HasResult => _hasUnexamined || _isAtEnd || _failure != 0 || HasInterruption;

    private bool HasInterruption => connection.IsAborted || Volatile.Read(ref _cancelRequested) != 0 || _tokenCancelled;

    private ValueTask<ReadResult> WaitAsync(CancellationToken cancellationToken)
    {
        _wait.Reset();
        _tokenCancelled = false;
        if (cancellationToken.CanBeCanceled)
        {
            _token = cancellationToken;
            _registration = cancellationToken.UnsafeRegister(static r => ((EpollReader)r!).OnTokenCancelled(), this);
        }

        var task = new ValueTask<ReadResult>(this, _wait.Version);
        var isBursting = _burst >= MaxBurst;
        if (isBursting)
        {
            _readiness.Wait();
            connection.PostTurn();
        }
        else
        {
            while (!_readiness.TryWait())
            {
                if (Receive() == Fill.Done)
                {
                    // By way of GetResult, as the token's registration has to end with the read.
                    _wait.SetResult(true);
                    return task;
                }
            }
        }

        // Whoever interrupts sets its mark first and then looks for a wait to end: one of the two sees the other.
        if (HasInterruption && _readiness.TryEndWait())
        {
            _wait.SetResult(true);
        }

        return task;
    }

    // After an event that brought nothing. False: it was interrupted meanwhile, and the caller owns the wait.
    private bool WaitAgain()
    {
        while (!_readiness.TryWait())
        {
            if (Receive() == Fill.Done)
            {
                return false;
            }
        }

        return !HasInterruption || !_readiness.TryEndWait();
    }

    private void OnTokenCancelled()
    {
        _tokenCancelled = true;
        if (_readiness.TryEndWait())
        {
            _wait.SetResult(true);
        }
    }

    // By the operation's owner only: receives once.
    private Fill Receive()
    {
        if (connection.IsAborted)
        {
            return Fill.Done;
        }

        _readiness.Take();
        var tail = _last is null ? 0 : _last.Array.Length - _end;
        if (tail < SmallestTail)
        {
            AddBlock();
            tail = _last!.Array.Length;
        }

        var count = socket.Receive(_last!.Array.AsSpan(_end));
        if (count > 0)
        {
            _burst++;
            _end += count;
            _hasUnexamined = true;
            if (count == tail || connection.IsPeerClosed)
            {
                // There may be more, or an end that was announced together with these bytes.
                _readiness.Keep();
            }

            return Fill.Done;
        }

        DropEmptyBlock();
        if (count == -Errno.Again)
        {
            return Fill.Empty;
        }

        _isAtEnd = count == 0;
        _failure = -count;
        return Fill.Done;
    }

    private void AddBlock()
    {
        var block = BufferBlock.Take();
        if (_last is null)
        {
            _first = block;
            _start = 0;
        }
        else
        {
            _last.Link(_end, block);
        }

        _last = block;
        _end = 0;
    }

    // A reader that waits holds no buffer but what it has not consumed. (An empty block behind others stays: the next bytes go there.)
    private void DropEmptyBlock()
    {
        if (_first == _last && _start == _end)
        {
            _last!.Return();
            _first = _last = null;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private ReadResult TakeResult()
    {
        if (connection.IsAborted)
        {
            throw new OperationCanceledException("the connection was aborted");
        }

        var isCancelled = Volatile.Read(ref _cancelRequested) != 0 && Interlocked.Exchange(ref _cancelRequested, 0) != 0;
        if (_failure != 0 && !_hasUnexamined && !isCancelled)
        {
            throw new IOException("the connection was broken", Errno.ToException(_failure));
        }

        _isReading = true;
        var buffer = _last is null ? ReadOnlySequence<byte>.Empty : new ReadOnlySequence<byte>(_first!, _start, _last, _end);
        return new ReadResult(buffer, isCancelled, _isAtEnd);
    }

    private void CheckIsFree()
    {
        if (_isReading || _isCompleted)
        {
            throw new InvalidOperationException(_isCompleted ? "the reader was completed" : "the last read has not been advanced yet");
        }
    }
}
