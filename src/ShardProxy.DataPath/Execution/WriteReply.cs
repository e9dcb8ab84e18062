using System.Buffers;
using System.Globalization;
using System.Text;
using ShardProxy.DataPath.Servers;
using ShardProxy.DataPath.Sessions;
using ShardProxy.Wire.Framing;
using ShardProxy.Wire.Messages;

namespace ShardProxy.DataPath.Execution;

/// <summary>
/// Reads one node's reply to its part of a write. Rows (RETURNING) and notices go on to the client as they come, by header and byte count, or are kept;
/// the command tag and errors are the caller's to tell.
/// </summary>
internal sealed class WriteReply(Session session, ServerConnection server, bool describes, List<byte[]>? kept)
{
    private const int MaxFrameBytes = int.MaxValue - 16;
    private const int MaxInspectedBytes = 1024 * 1024;
    private const int FlushBytes = 32 * 1024;

    // A row that is being kept, and bytes still to come of a frame whose header has passed.
    private readonly ArrayBufferWriter<byte> _row = new();
    private int _rest;
    private Target _restGoesTo;
    private int _unflushed;

    private enum Target
    {
        Nowhere,
        Client,
        Kept,
    }

    /// <summary>Payload of the first error, or null.</summary>
    public byte[]? Error { get; private set; }

    /// <summary>The command tag without its number: <c>UPDATE</c>, <c>INSERT 0</c>.</summary>
    public string Verb { get; private set; } = "";

    /// <summary>The number in the command tag.</summary>
    public long Count { get; private set; }

    /// <summary>Bytes of the rows kept.</summary>
    public long KeptBytes { get; private set; }

    /// <summary>Something went to the client.</summary>
    public bool HasForwarded { get; private set; }

    /// <summary>Reads until nothing is owed by the server.</summary>
    /// <exception cref="EndOfStreamException">The server was lost; it is marked broken.</exception>
    public async ValueTask ReadAsync()
    {
        try
        {
            while (server.Owed.Count > 0)
            {
                var result = await server.Input.ReadAsync().ConfigureAwait(false);
                server.Input.AdvanceTo(Take(result.Buffer), result.Buffer.End);
                if (result.IsCompleted && server.Owed.Count > 0)
                {
                    throw new EndOfStreamException("the server was lost");
                }

                if (_unflushed >= FlushBytes)
                {
                    _unflushed = 0;
                    await session.Relay.FlushClientAsync().ConfigureAwait(false);
                }
            }
        }
        catch (Exception e) when (e is IOException or InvalidOperationException or OperationCanceledException or ProtocolException)
        {
            server.GiveUp();
            throw e as EndOfStreamException ?? new EndOfStreamException("the server was lost", e);
        }
        catch (ClientGoneException)
        {
            // It would go on sending rows that nobody wants.
            server.MarkBroken();
            throw;
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
            var isRow = header.Tag == BackendTag.DataRow;
            if (!isWhole && !isRow && header.PayloadBytes <= MaxInspectedBytes)
            {
                break;
            }

            var target = isRow ? kept is null ? Target.Client : Target.Kept : Handle(header.Tag, isWhole ? left.Slice(FrameHeader.Bytes, header.PayloadBytes) : default);
            var taken = (int)Math.Min(header.TotalBytes, left.Length);
            _rest = header.TotalBytes - taken;
            _restGoesTo = target;
            Pass(left.Slice(0, taken), target);
            left = left.Slice(taken);
        }

        return left.Start;
    }

    private Target Handle(byte tag, in ReadOnlySequence<byte> payload)
    {
        switch (tag)
        {
            case BackendTag.RowDescription:
                return describes ? Target.Client : Target.Nowhere;
            case BackendTag.NoticeResponse:
                return Target.Client;
            case BackendTag.CommandComplete:
                var text = Encoding.UTF8.GetString(payload.ToArray().AsSpan(0, (int)payload.Length - 1));
                var space = text.LastIndexOf(' ');
                if (space > 0 && long.TryParse(text.AsSpan(space + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var count))
                {
                    (Verb, Count) = (text[..space], count);
                }

                return Target.Nowhere;
            case BackendTag.ErrorResponse:
                Error ??= payload.IsEmpty ? throw new ProtocolException("08P01", "an error of a server is too long") : payload.ToArray();
                if (ErrorFields.Read(Error).Severity is "FATAL" or "PANIC")
                {
                    server.LastWords ??= Error;
                    throw new EndOfStreamException("the server ended the session");
                }

                return Target.Nowhere;
            case BackendTag.NotificationResponse when !payload.IsEmpty:
                server.Notifications.Add(payload.ToArray());
                return Target.Nowhere;
            case BackendTag.ParameterStatus:
                server.Parameters = server.Parameters.With(payload.ToArray());
                return Target.Nowhere;
            case BackendTag.ReadyForQuery:
                server.Status = payload.FirstSpan[0];
                while (server.Owed.Count > 0 && server.Owed.Dequeue().Kind is not (ReplyKind.Query or ReplyKind.Sync))
                {
                    // Replies of the extended protocol before this Sync were read above.
                }

                return Target.Nowhere;
            default:
                return Target.Nowhere;
        }
    }

    private void Pass(in ReadOnlySequence<byte> bytes, Target target)
    {
        if (target == Target.Nowhere)
        {
            return;
        }

        IBufferWriter<byte> to = target == Target.Client ? session.Output : _row;
        foreach (var segment in bytes)
        {
            to.Write(segment.Span);
        }

        if (target == Target.Client)
        {
            _unflushed += (int)bytes.Length;
            HasForwarded = true;
        }
        else if (_rest == 0)
        {
            kept!.Add(_row.WrittenSpan.ToArray());
            KeptBytes += _row.WrittenCount;
            _row.ResetWrittenCount();
        }
    }
}
