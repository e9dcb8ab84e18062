using System.Buffers;
using ShardProxy.DataPath.Servers;
using ShardProxy.DataPath.Sessions;
using ShardProxy.DataPath.Types;
using ShardProxy.Wire.Framing;
using ShardProxy.Wire.Messages;

namespace ShardProxy.DataPath.Execution;

/// <summary>
/// One server's reply as it comes in, cut anywhere: frames that carry rows go on by header and byte count, the few others are read whole. What goes where
/// is the derived class's to say.
/// </summary>
/// <param name="server">The server; only until nothing is owed by it.</param>
/// <param name="maxInspectedBytes">Longer frames than this are not read; an error so long counts as a breach of the protocol.</param>
internal abstract class FrameTransfer(ServerConnection server, int maxInspectedBytes)
{
    private const int MaxFrameBytes = int.MaxValue - 16;

    // Bytes still to come of a frame whose header has passed, and where they go.
    private int _rest;
    private IBufferWriter<byte>? _restGoesTo;

    // Null where the node numbers types as the home node does.
    private readonly ReplyTranslation? _translation = server.Types is null ? null : new ReplyTranslation();
    private bool _isUnknown;

    /// <summary>Payload of the server's first error, or of the proxy's own where the rows have a type the client cannot be told; or null.</summary>
    public byte[]? Error { get; private set; }

    /// <summary>A part of a frame has gone to that writer, and the rest of it has not come.</summary>
    protected bool IsCutIn(IBufferWriter<byte> writer) => _rest > 0 && ReferenceEquals(_restGoesTo, writer);

    /// <summary>The frame carries a row: it is never kept back until it is whole.</summary>
    protected abstract bool IsRow(byte tag);

    /// <summary>Where a frame goes; null for nowhere. The payload is empty for rows, and for frames too long to be read.</summary>
    protected abstract IBufferWriter<byte>? Route(in FrameHeader header, in ReadOnlySequence<byte> payload);

    /// <summary>Bytes have been written to where <see cref="Route"/> said; <paramref name="isEnd"/> with the frame's last.</summary>
    protected virtual void Passed(IBufferWriter<byte> to, long bytes, bool isEnd)
    {
    }

    /// <summary>Reads until nothing is owed by the server.</summary>
    /// <param name="afterRead">Called after each read, to send on what has gathered.</param>
    /// <exception cref="EndOfStreamException">The server closed the connection.</exception>
    protected async ValueTask ReadAsync(Func<ValueTask> afterRead)
    {
        while (server.Owed.Count > 0)
        {
            var result = await server.Input.ReadAsync().ConfigureAwait(false);
            server.Input.AdvanceTo(Take(result.Buffer), result.Buffer.End);
            if (result.IsCompleted && server.Owed.Count > 0)
            {
                throw new EndOfStreamException("the server was lost");
            }

            await afterRead().ConfigureAwait(false);
        }
    }

    private SequencePosition Take(in ReadOnlySequence<byte> buffer)
    {
        var left = buffer;
        if (_rest > 0)
        {
            var take = (int)Math.Min(_rest, left.Length);
            _rest -= take;
            Pass(left.Slice(0, take), _restGoesTo);
            left = left.Slice(take);
        }

        while (FrameHeader.TryRead(left, MaxFrameBytes, out var header))
        {
            var isWhole = left.Length >= header.TotalBytes;
            var isTranslated = _translation?.NeedsWhole(server, server.Types!, header) == true;
            var isRow = !isTranslated && IsRow(header.Tag);
            if (!isWhole && !isRow && (isTranslated || header.PayloadBytes <= maxInspectedBytes))
            {
                break;
            }

            var payload = isWhole && !isRow ? left.Slice(FrameHeader.Bytes, header.PayloadBytes) : default;
            if (_translation?.TryTake(server, server.Types!, header.Tag, payload) == false)
            {
                Error ??= ClientReplies.Payload(Routing.RoutingErrors.TypeUnknown);
                _isUnknown = true;
            }

            Read(header.Tag, payload);
            _restGoesTo = _isUnknown && header.Tag is (BackendTag.RowDescription or BackendTag.DataRow) ? null : Route(header, payload);
            var taken = (int)Math.Min(header.TotalBytes, left.Length);
            _rest = header.TotalBytes - taken;
            Pass(left.Slice(0, taken), _restGoesTo);
            left = left.Slice(taken);
        }

        return left.Start;
    }

    private void Read(byte tag, in ReadOnlySequence<byte> payload)
    {
        switch (tag)
        {
            case BackendTag.ErrorResponse:
                Error ??= payload.IsEmpty ? throw new ProtocolException("08P01", "an error of a server is too long") : payload.ToArray();
                if (ErrorFields.Read(Error).Severity is "FATAL" or "PANIC")
                {
                    server.LastWords ??= Error;
                    throw new EndOfStreamException("the server ended the session");
                }

                break;
            case BackendTag.NotificationResponse when !payload.IsEmpty:
                server.Notifications.Add(payload.ToArray());
                break;
            case BackendTag.ParameterStatus when !payload.IsEmpty:
                server.Parameters = server.Parameters.With(payload.ToArray());
                break;
            case BackendTag.ReadyForQuery:
                server.Status = payload.FirstSpan[0];
                while (server.Owed.Count > 0 && server.Owed.Dequeue().Kind is not (ReplyKind.Query or ReplyKind.Sync))
                {
                    // Replies of the extended protocol before this Sync were read above.
                }

                break;
        }
    }

    private void Pass(in ReadOnlySequence<byte> bytes, IBufferWriter<byte>? to)
    {
        if (to is null)
        {
            return;
        }

        foreach (var segment in bytes)
        {
            to.Write(segment.Span);
        }

        Passed(to, bytes.Length, isEnd: _rest == 0);
    }
}
