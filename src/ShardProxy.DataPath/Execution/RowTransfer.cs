using System.Buffers;
using ShardProxy.DataPath.Servers;
using ShardProxy.DataPath.Sessions;
using ShardProxy.Wire.Framing;
using ShardProxy.Wire.Messages;

namespace ShardProxy.DataPath.Execution;

/// <summary>
/// Carries one server's DataRows to the client by header and byte count; everything else of its reply is read here. What is on its way is bounded by the
/// two connections' buffers.
/// </summary>
internal sealed class RowTransfer(Session session, ServerConnection server)
{
    private const int MaxFrameBytes = int.MaxValue - 16;
    private const int MaxInspectedBytes = 32 * 1024;
    private const int FlushBytes = 32 * 1024;

    // Bytes still to come of a frame whose header has passed, and whether the client gets them.
    private int _rest;
    private bool _restIsCarried;

    /// <summary>Payload of the server's error, or null.</summary>
    public byte[]? Error { get; private set; }

    /// <summary>DataRows carried.</summary>
    public long Rows { get; private set; }

    /// <summary>Payload of its RowDescription; null as long as none has come.</summary>
    public byte[]? Description { get; private set; }

    /// <summary>
    /// Reads to the server's ReadyForQuery. Rows are written to the client as they come, and sent when many have come; what is left is the caller's to send.
    /// </summary>
    /// <param name="describe">Called with the RowDescription before the first row.</param>
    /// <exception cref="EndOfStreamException">The server was lost; it is marked broken.</exception>
    public async ValueTask RunAsync(Action<byte[]> describe)
    {
        try
        {
            while (server.Owed.Count > 0)
            {
                var result = await server.Input.ReadAsync().ConfigureAwait(false);
                server.Input.AdvanceTo(Take(result.Buffer, describe), result.Buffer.End);
                if (result.IsCompleted && server.Owed.Count > 0)
                {
                    throw new EndOfStreamException("the server was lost");
                }

                if (session.Output.UnflushedBytes >= FlushBytes)
                {
                    await session.Relay.FlushClientAsync().ConfigureAwait(false);
                }
            }
        }
        catch (Exception e) when (ServerLoss.IsLoss(session, e) || e is ProtocolException)
        {
            server.GiveUp();
            if (_rest > 0 && _restIsCarried)
            {
                // A row has begun and cannot be ended.
                throw new ClientGoneException();
            }

            throw e as EndOfStreamException ?? new EndOfStreamException("the server was lost", e);
        }
    }

    private SequencePosition Take(in ReadOnlySequence<byte> buffer, Action<byte[]> describe)
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
            var isRow = header.Tag == BackendTag.DataRow;
            if (!isWhole && !isRow && header.PayloadBytes <= MaxInspectedBytes)
            {
                break;
            }

            if (isRow)
            {
                Rows++;
            }
            else
            {
                Handle(header.Tag, isWhole ? left.Slice(FrameHeader.Bytes, header.PayloadBytes) : default, describe);
            }

            var taken = (int)Math.Min(header.TotalBytes, left.Length);
            var isCarried = isRow || header.Tag == BackendTag.NoticeResponse;
            Pass(left.Slice(0, taken), isCarried);
            (_rest, _restIsCarried) = (header.TotalBytes - taken, isCarried);
            left = left.Slice(taken);
        }

        return left.Start;
    }

    private void Handle(byte tag, in ReadOnlySequence<byte> payload, Action<byte[]> describe)
    {
        switch (tag)
        {
            case BackendTag.RowDescription:
                Description = payload.IsEmpty ? throw new ProtocolException("08P01", "a row description of a server is too long") : payload.ToArray();
                describe(Description);
                break;
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
                session.Relay.TakeParameter(server, payload, isHidden: true);
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

    private void Pass(in ReadOnlySequence<byte> bytes, bool isCarried)
    {
        if (!isCarried)
        {
            return;
        }

        foreach (var segment in bytes)
        {
            session.Output.Write(segment.Span);
        }
    }
}
