using System.Buffers;
using System.IO.Pipelines;
using System.Runtime.CompilerServices;
using System.Text;
using ShardProxy.Wire.Framing;
using ShardProxy.Wire.Messages;

namespace ShardProxy.DataPath.Sessions;

/// <summary>
/// Reads a client's messages one by one into a buffer, which is valid until the next read. The buffer grows with the largest message; while
/// the client is idle it has none.
/// </summary>
internal sealed class MessageReader(PipeReader input, int maxPayloadBytes)
{
    private const int SmallestBytes = 1024;

    // Up to that it is the shared pool's; above, its own, and kept only until the next message.
    private const int PooledBytes = 64 * 1024;

    private byte[] _buffer = [];
    private int _length;

    /// <summary>Called when <see cref="Interrupt"/> has ended a wait for the client, or is about to; may throw to end the reading.</summary>
    public Action? Interrupted { get; set; }

    /// <summary>Ends a wait for the client's next message; from any thread.</summary>
    public void Interrupt() => input.CancelPendingRead();

    /// <summary>Tag of the last message.</summary>
    public byte Tag { get; private set; }

    /// <summary>Payload of the last message.</summary>
    public ReadOnlyMemory<byte> Payload => _buffer.AsMemory(0, _length);

    /// <summary>Reads the next message; false when the client closed the connection between messages.</summary>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <param name="isRequest">All that came before is done with: should there be a wait, it goes without a buffer.</param>
    /// <exception cref="ProtocolException">Malformed or too large.</exception>
    public ValueTask<bool> ReadAsync(CancellationToken cancellationToken, bool isRequest = false)
    {
        if (_buffer.Length > PooledBytes)
        {
            LetGo();
        }

        var read = input.ReadAsync(cancellationToken);
        if (!read.IsCompletedSuccessfully)
        {
            if (isRequest)
            {
                LetGo();
            }

            return GoOnAsync(read, cancellationToken);
        }

        // Messages after the first of a pipeline are there already.
        var result = read.Result;
        if (result.IsCanceled || !TryTake(result.Buffer, out var consumed, out _))
        {
            return GoOnAsync(new ValueTask<ReadResult>(result), cancellationToken);
        }

        input.AdvanceTo(consumed);
        return new ValueTask<bool>(true);
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<bool> GoOnAsync(ValueTask<ReadResult> read, CancellationToken cancellationToken)
    {
        while (true)
        {
            var result = await read.ConfigureAwait(false);
            if (result.IsCanceled && Interrupted is { } interrupted)
            {
                EndWait(result.Buffer.Start, interrupted);
                read = input.ReadAsync(cancellationToken);
                continue;
            }

            if (TryTake(result.Buffer, out var consumed, out var missing))
            {
                input.AdvanceTo(consumed);
                return true;
            }

            if (missing > 0 && result.Buffer.Length >= FrameHeader.Bytes)
            {
                return await ReadLargeAsync(result.Buffer, cancellationToken).ConfigureAwait(false);
            }

            input.AdvanceTo(result.Buffer.Start, result.Buffer.End);
            if (result.IsCompleted)
            {
                return result.Buffer.IsEmpty ? false : throw new ClientGoneException();
            }

            read = input.ReadAsync(cancellationToken);
        }
    }

    private void EndWait(SequencePosition start, Action interrupted)
    {
        input.AdvanceTo(start);
        interrupted();
    }

    /// <summary>
    /// Waits for the next message and tells whether it runs that portal; it stays unread. False too when it has not come whole. The last message's payload stays valid.
    /// </summary>
    public async ValueTask<bool> RunsNextAsync(string portal, CancellationToken cancellationToken)
    {
        if (await PeekAsync(cancellationToken).ConfigureAwait(false) != FrontendTag.Execute || !input.TryRead(out var result))
        {
            return false;
        }

        var name = Encoding.UTF8.GetBytes(portal + "\0");
        var start = result.Buffer.Slice(0, Math.Min(result.Buffer.Length, FrameHeader.Bytes + name.Length)).ToArray();
        input.AdvanceTo(result.Buffer.Start, result.Buffer.Start);
        if (result.IsCanceled)
        {
            input.CancelPendingRead();
        }

        return start.Length == FrameHeader.Bytes + name.Length && start.AsSpan(FrameHeader.Bytes).SequenceEqual(name);
    }

    /// <summary>Waits for the next message and tells its tag; it stays unread. 0 when the client has left. The last message's payload stays valid.</summary>
    public async ValueTask<byte> PeekAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            var result = await input.ReadAsync(cancellationToken).ConfigureAwait(false);
            foreach (var segment in result.Buffer)
            {
                if (!segment.IsEmpty)
                {
                    var tag = segment.Span[0];
                    input.AdvanceTo(result.Buffer.Start, result.Buffer.Start);
                    if (result.IsCanceled)
                    {
                        // It was meant for the read that waits.
                        input.CancelPendingRead();
                    }

                    return tag;
                }
            }

            input.AdvanceTo(result.Buffer.End);
            if (result.IsCompleted)
            {
                return 0;
            }

            if (result.IsCanceled)
            {
                Interrupted?.Invoke();
            }
        }
    }

    /// <summary>True when a whole message has already arrived: the next read will not wait.</summary>
    public bool HasArrived()
    {
        if (!input.TryRead(out var result))
        {
            return false;
        }

        var whole = FrameHeader.TryRead(result.Buffer, maxPayloadBytes, out var header) && result.Buffer.Length >= header.TotalBytes;
        input.AdvanceTo(result.Buffer.Start, whole ? result.Buffer.Start : result.Buffer.End);
        if (result.IsCanceled)
        {
            // It was meant for the read that waits.
            input.CancelPendingRead();
        }

        return whole;
    }

    private bool TryTake(in ReadOnlySequence<byte> buffer, out SequencePosition consumed, out long missing)
    {
        consumed = buffer.Start;
        missing = 0;
        if (!FrameHeader.TryRead(buffer, maxPayloadBytes, out var header))
        {
            return false;
        }

        if (buffer.Length < header.TotalBytes)
        {
            missing = header.TotalBytes - buffer.Length;
            return false;
        }

        Tag = header.Tag;
        Reserve(header.PayloadBytes);
        buffer.Slice(FrameHeader.Bytes, header.PayloadBytes).CopyTo(_buffer);
        _length = header.PayloadBytes;
        consumed = buffer.GetPosition(header.TotalBytes);
        return true;
    }

    // Takes what is there and goes on reading: a message may be larger than the pipe.
    private async ValueTask<bool> ReadLargeAsync(ReadOnlySequence<byte> buffer, CancellationToken cancellationToken)
    {
        FrameHeader.TryRead(buffer, maxPayloadBytes, out var header);
        Tag = header.Tag;
        _length = 0;
        buffer = buffer.Slice(FrameHeader.Bytes);
        while (true)
        {
            var take = (int)Math.Min(buffer.Length, header.PayloadBytes - _length);

            // Grown as the bytes come, so that a header alone cannot claim memory.
            Reserve((int)Math.Min(header.PayloadBytes, Math.Max(_length + take, Math.Min((long)_length * 2, header.PayloadBytes))));
            buffer.Slice(0, take).CopyTo(_buffer.AsSpan(_length));
            _length += take;
            input.AdvanceTo(buffer.GetPosition(take));
            if (_length == header.PayloadBytes)
            {
                return true;
            }

            var result = await input.ReadAsync(cancellationToken).ConfigureAwait(false);
            buffer = result.Buffer;
            if (buffer.IsEmpty && result.IsCompleted)
            {
                throw new ClientGoneException();
            }
        }
    }

    private void Reserve(int bytes)
    {
        if (_buffer.Length >= bytes)
        {
            return;
        }

        var larger = bytes <= PooledBytes
            ? ArrayPool<byte>.Shared.Rent(Math.Max(bytes, SmallestBytes))
            : new byte[Math.Max(bytes, _buffer.Length * 2L > int.MaxValue ? bytes : _buffer.Length * 2)];
        var kept = _length;
        _buffer.AsSpan(0, Math.Min(kept, _buffer.Length)).CopyTo(larger);
        LetGo();
        _buffer = larger;
        _length = kept;
    }

    private void LetGo()
    {
        if (_buffer.Length is > 0 and <= PooledBytes)
        {
            ArrayPool<byte>.Shared.Return(_buffer);
        }

        _buffer = [];
        _length = 0;
    }
}
