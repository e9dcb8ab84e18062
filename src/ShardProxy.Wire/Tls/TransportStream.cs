using System.Buffers;
using ShardProxy.Wire.Transport;

namespace ShardProxy.Wire.Tls;

/// <summary>
/// A connection's two pipes as the stream that <see cref="System.Net.Security.SslStream"/> wants below it. Owns neither pipe.
/// </summary>
/// <remarks>
/// A read of no bytes waits until there are some and takes none: that is how an idle connection holds no buffer. Writing to a peer that
/// is gone does not throw; <see cref="IsPeerGone"/> says so afterwards, as the pipes' flush does.
/// </remarks>
internal sealed class TransportStream(ITransportConnection inner) : Stream
{
    private volatile bool _isPeerGone;

    /// <summary>A handshake's arithmetic takes milliseconds: while this is set, it is not done on the thread that polls the sockets.</summary>
    public bool IsHandshaking { get; set; }

    /// <summary>From now on writes do not wait until the peer has taken the bytes: the connection is being closed.</summary>
    public bool IsClosing { get; set; }

    /// <summary>What was written last may never arrive.</summary>
    public bool IsPeerGone => _isPeerGone;

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => true;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        while (true)
        {
            var result = await inner.Input.ReadAsync(cancellationToken).ConfigureAwait(false);
            if (IsHandshaking)
            {
                await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
            }

            var data = result.Buffer;
            if (data.IsEmpty && !result.IsCompleted)
            {
                inner.Input.AdvanceTo(data.Start, data.End);
                continue;
            }

            var take = (int)Math.Min(data.Length, buffer.Length);
            data.Slice(0, take).CopyTo(buffer.Span);
            var consumed = data.GetPosition(take);

            // What is left counts as not seen, so that the next read has it at once.
            inner.Input.AdvanceTo(consumed, consumed);
            return take;
        }
    }

    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        inner.Output.Write(buffer.Span);
        var flush = inner.Output.FlushAsync(cancellationToken);
        if (IsClosing && !flush.IsCompleted)
        {
            _ = ForgetAsync(flush);
            return;
        }

        if ((await flush.ConfigureAwait(false)).IsCompleted)
        {
            _isPeerGone = true;
        }
    }

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        WriteAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override Task FlushAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public override void Flush()
    {
    }

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException("asynchronous only");

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException("asynchronous only");

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    private static async Task ForgetAsync(ValueTask<System.IO.Pipelines.FlushResult> flush)
    {
        try
        {
            await flush.ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or InvalidOperationException or OperationCanceledException)
        {
            // The connection is closing anyway.
        }
    }
}
