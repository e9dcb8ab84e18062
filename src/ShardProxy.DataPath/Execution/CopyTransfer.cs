using System.Buffers;
using ShardProxy.DataPath.Servers;
using ShardProxy.Wire.Framing;
using ShardProxy.Wire.Messages;

namespace ShardProxy.DataPath.Execution;

/// <summary>
/// Carries the rows of a COPY TO STDOUT on one server into a COPY FROM STDIN on another, by header and byte count. What is on its way is bounded by the two
/// connections' buffers.
/// </summary>
internal static class CopyTransfer
{
    private const int MaxFrameBytes = int.MaxValue - 16;
    private const int FlushBytes = 64 * 1024;
    private const int MaxInspectedBytes = 32 * 1024;

    /// <summary>What became of one source.</summary>
    /// <param name="Error">Payload of the source's error, or null.</param>
    /// <param name="Bytes">COPY data carried.</param>
    /// <param name="Rows">CopyData messages carried: PostgreSQL sends one a row.</param>
    public readonly record struct Outcome(byte[]? Error, long Bytes, long Rows);

    /// <summary>
    /// Reads the source to its ReadyForQuery; one Query is owed by it. Behind <paramref name="maxBytes"/> or <paramref name="maxRows"/> nothing more is carried,
    /// only read.
    /// </summary>
    /// <exception cref="EndOfStreamException">The source or the target was lost; it is marked broken.</exception>
    public static async ValueTask<Outcome> RunAsync(ServerConnection source, ServerConnection? target, long maxBytes, long maxRows)
    {
        var carried = new Carried(source, target, maxBytes, maxRows);
        try
        {
            while (source.Owed.Count > 0)
            {
                var result = await source.Input.ReadAsync().ConfigureAwait(false);
                source.Input.AdvanceTo(carried.Take(result.Buffer), result.Buffer.End);
                if (result.IsCompleted && source.Owed.Count > 0)
                {
                    throw new EndOfStreamException("the server was lost");
                }

                if (target is { Output.UnflushedBytes: >= FlushBytes })
                {
                    await FlushAsync(target).ConfigureAwait(false);
                }
            }
        }
        catch (Exception e) when (e is IOException or InvalidOperationException or OperationCanceledException or ProtocolException)
        {
            if (target is not { IsBroken: true })
            {
                source.GiveUp();
            }

            throw e as EndOfStreamException ?? new EndOfStreamException("the server was lost", e);
        }

        return new Outcome(carried.Error, carried.Bytes, carried.Rows);
    }

    private static async ValueTask FlushAsync(ServerConnection target)
    {
        try
        {
            await target.Output.FlushAsync().ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or InvalidOperationException)
        {
            target.GiveUp();
            throw new EndOfStreamException("the server was lost", e);
        }
    }

    /// <summary>One source's messages as they come in, cut anywhere.</summary>
    private sealed class Carried(ServerConnection source, ServerConnection? target, long maxBytes, long maxRows)
    {
        // Bytes still to come of a frame whose header has passed, and whether the target gets them.
        private int _rest;
        private bool _restIsCarried;

        public byte[]? Error { get; private set; }

        public long Bytes { get; private set; }

        public long Rows { get; private set; }

        /// <summary>Takes all whole frames, and parts of long ones; the position up to which it did.</summary>
        public SequencePosition Take(in ReadOnlySequence<byte> buffer)
        {
            var left = buffer;
            if (_rest > 0)
            {
                var take = (int)Math.Min(_rest, left.Length);
                Pass(left.Slice(0, take), _restIsCarried);
                _rest -= take;
                left = left.Slice(take);
            }

            while (FrameHeader.TryRead(left, MaxFrameBytes, out var header))
            {
                var isWhole = left.Length >= header.TotalBytes;
                var isCarried = header.Tag == BackendTag.CopyData;
                if (!isWhole && !isCarried && header.PayloadBytes <= MaxInspectedBytes)
                {
                    break;
                }

                if (isCarried)
                {
                    Bytes += header.PayloadBytes;
                    Rows++;
                    isCarried = target is not null && Bytes <= maxBytes && Rows <= maxRows;
                }
                else
                {
                    Handle(header.Tag, isWhole ? left.Slice(FrameHeader.Bytes, header.PayloadBytes) : default);
                }

                var taken = (int)Math.Min(header.TotalBytes, left.Length);
                Pass(left.Slice(0, taken), isCarried);
                _rest = header.TotalBytes - taken;
                _restIsCarried = isCarried;
                left = left.Slice(taken);
            }

            return left.Start;
        }

        private void Handle(byte tag, in ReadOnlySequence<byte> payload)
        {
            switch (tag)
            {
                case BackendTag.ErrorResponse:
                    Error ??= payload.IsEmpty ? throw new ProtocolException("08P01", "an error of a server is too long") : payload.ToArray();
                    if (ErrorFields.Read(Error).Severity is "FATAL" or "PANIC")
                    {
                        source.LastWords ??= Error;
                        throw new EndOfStreamException("the server ended the session");
                    }

                    break;
                case BackendTag.NotificationResponse when !payload.IsEmpty:
                    source.Notifications.Add(payload.ToArray());
                    break;
                case BackendTag.ReadyForQuery:
                    source.Status = payload.FirstSpan[0];
                    source.Owed.Dequeue();
                    break;
            }
        }

        private void Pass(in ReadOnlySequence<byte> bytes, bool isCarried)
        {
            if (!isCarried)
            {
                return;
            }

            foreach (var segment in bytes)
            {
                target!.Output.Write(segment.Span);
            }
        }
    }
}
