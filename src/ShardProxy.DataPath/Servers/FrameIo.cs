using System.Buffers;
using System.IO.Pipelines;
using ShardProxy.Wire.Framing;

namespace ShardProxy.DataPath.Servers;

/// <summary>Reads whole messages off the hot path: logins, side dialogues.</summary>
internal static class FrameIo
{
    /// <summary>Reads one whole message; the payload is the caller's own copy.</summary>
    /// <exception cref="EndOfStreamException">The peer closed the connection.</exception>
    /// <exception cref="ProtocolException">The message is malformed or larger than <paramref name="maxPayloadBytes"/>.</exception>
    public static async ValueTask<(byte Tag, byte[] Payload)> ReadAsync(PipeReader input, int maxPayloadBytes, CancellationToken cancellationToken)
    {
        byte[]? payload = null;
        byte tag = 0;
        var filled = 0;
        while (true)
        {
            var result = await input.ReadAsync(cancellationToken).ConfigureAwait(false);
            var buffer = result.Buffer;
            var consumed = buffer.Start;
            if (payload is null && FrameHeader.TryRead(buffer, maxPayloadBytes, out var header))
            {
                tag = header.Tag;
                payload = new byte[header.PayloadBytes];
                buffer = buffer.Slice(FrameHeader.Bytes);
                consumed = buffer.Start;
            }

            if (payload is not null)
            {
                var take = (int)Math.Min(buffer.Length, payload.Length - filled);
                buffer.Slice(0, take).CopyTo(payload.AsSpan(filled));
                filled += take;
                consumed = buffer.GetPosition(take);
                if (filled == payload.Length)
                {
                    input.AdvanceTo(consumed);
                    return (tag, payload);
                }
            }

            input.AdvanceTo(consumed, result.Buffer.End);
            if (result.IsCompleted)
            {
                throw new EndOfStreamException("the peer closed the connection");
            }
        }
    }
}
