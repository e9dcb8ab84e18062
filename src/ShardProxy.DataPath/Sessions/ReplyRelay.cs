using System.Buffers;
using System.Buffers.Text;
using System.IO.Pipelines;
using System.Runtime.CompilerServices;
using ShardProxy.DataPath.Execution;
using ShardProxy.DataPath.Servers;
using ShardProxy.DataPath.Types;
using ShardProxy.Model.Fleet;
using ShardProxy.Wire.Framing;
using ShardProxy.Wire.Messages;

namespace ShardProxy.DataPath.Sessions;

/// <summary>
/// Forwards one server's replies to the client by header and byte count (law 7): a DataRow is never looked into, whole runs of
/// frames are copied in one piece, replies to hidden requests are left out. One per session; keeps counts of the current
/// statement.
/// </summary>
internal sealed class ReplyRelay(PipeWriter client)
{
    /// <summary>Frames whose content the relay must see are small; a larger one is forwarded unseen.</summary>
    private const int MaxInspectedBytes = 32 * 1024;

    private const int MaxFrameBytes = int.MaxValue - 16;

    // Bytes of a frame whose header has passed already and which are still to come, and whether the client sees them.
    private int _restBytes;
    private bool _restIsVisible;

    // An error of the proxy's own that the client gets in place of the server's at hand.
    private Model.Errors.ShardProxyError? _instead;

    private ReplyTranslation? _translation;

    // The server waits for COPY data, and the one who passes it on has not been told yet: the answer was read while something else was under way.
    private bool _isCopyIn;

    /// <summary>Rows of the current statement: the numbers in its command tags, or the DataRows.</summary>
    public long Rows { get; private set; }

    /// <summary>Bytes received from the server for the current statement.</summary>
    public long Bytes { get; private set; }

    /// <summary>The first error of the current statement, or null.</summary>
    public ErrorFields? Error { get; private set; }

    /// <summary>The server was given up because its reply has a type that the client cannot be told.</summary>
    public bool HasUnknownType { get; private set; }

    /// <summary>Anything was forwarded to the client since <see cref="Reset"/>.</summary>
    public bool HasForwarded { get; private set; }

    /// <summary>Whether the client sees a visible ReadyForQuery; off when the proxy sends its own.</summary>
    public bool ForwardsReady { get; set; } = true;

    /// <summary>Set to hold back an error reply of that SQLSTATE (the gate's) when nothing was forwarded: it stays in <see cref="Error"/>.</summary>
    public bool HoldsGateError { get; set; }

    /// <summary>The gate's error was held back: the statement had no effect and the client knows nothing of it.</summary>
    public bool GateErrorHeld { get; private set; }

    /// <summary>The client got 40001 in place of the error of a closed write gate: its range, 0 when it names none. Whoever counts the statement clears it.</summary>
    public int? FencedRange { get; set; }

    /// <summary>What the client was last told of its parameters; null before login is over.</summary>
    public ReportedParameters? Told { get; set; }

    /// <summary>Tells the client of parameters that are other than it was told last, and of notifications that came unseen by it.</summary>
    public void Tell(ServerConnection server)
    {
        foreach (var notification in server.Notifications)
        {
            MessageWriter.Raw(client, BackendTag.NotificationResponse, notification);
        }

        server.Notifications.Clear();
        if (Told is null || ReferenceEquals(Told, server.Parameters))
        {
            return;
        }

        foreach (var (name, value) in server.Parameters.All)
        {
            if (!IsOfNode(name) && !string.Equals(Told[name], value, StringComparison.Ordinal))
            {
                MessageWriter.ParameterStatus(client, name, value);
            }
        }

        Told = server.Parameters;
    }

    // Nodes may differ in these, and no statement changes them.
    private static bool IsOfNode(string name) => name is "server_version" or "server_encoding" or "integer_datetimes" or "in_hot_standby";

    /// <summary>Why the proxy has asked the server to cancel the statement: told in place of the server's "user request". Set from other threads.</summary>
    public Model.Errors.ShardProxyError? CancelReason { get; set; }

    /// <summary>Begins the counts of a new statement.</summary>
    /// <param name="inBlock">It is one of a block's.</param>
    public void Reset(bool inBlock)
    {
        Rows = 0;
        Bytes = 0;
        Error = null;
        HasForwarded = false;
        GateErrorHeld = false;
        FencedRange = null;
        HasUnknownType = false;

        // Within a block a request that comes too late meets the next statement.
        CancelReason = inBlock ? CancelReason : null;
        _isCopyIn = false;
    }

    /// <summary>The server being relayed is lost. What it had begun to say cannot be ended.</summary>
    /// <exception cref="ClientGoneException">The client has got a part of a message: nothing can be told any more, its connection ends.</exception>
    public void LoseServer()
    {
        var isCut = _restBytes > 0 && _restIsVisible;
        _restBytes = 0;
        _isCopyIn = false;
        if (isCut)
        {
            throw new ClientGoneException();
        }
    }

    /// <summary>
    /// Sends what was written to the server. While the server does not take it, its replies are relayed, so that neither side can
    /// wait for the other for ever.
    /// </summary>
    public ValueTask FlushServerAsync(ServerConnection server)
    {
        var flush = server.Output.FlushAsync();
        return flush.IsCompletedSuccessfully ? ValueTask.CompletedTask : Slow(this, server, flush);

        static async ValueTask Slow(ReplyRelay relay, ServerConnection server, ValueTask<FlushResult> flush)
        {
            var flushed = flush.AsTask();
            while (!flushed.IsCompleted)
            {
                var read = relay.RelayOnceAsync(server).AsTask();
                if (await Task.WhenAny(flushed, read).ConfigureAwait(false) == flushed)
                {
                    server.Input.CancelPendingRead();
                }

                if (await read.ConfigureAwait(false) == RelayStop.ServerLost)
                {
                    break;
                }
            }

            await flushed.ConfigureAwait(false);
        }
    }

    /// <summary>
    /// Relays until nothing is owed, the server wants COPY data, or the connection is lost. When nothing is owed any more the last piece is
    /// written but not sent: the caller first brings the session's truth up to date, so that a client which has seen the end of its
    /// statement finds what it did (a pin, a free server), and then sends it.
    /// </summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<RelayStop> RelayAsync(ServerConnection server)
    {
        while (server.Owed.Count > 0 || _restBytes > 0)
        {
            if (_isCopyIn)
            {
                _isCopyIn = false;
                return RelayStop.CopyIn;
            }

            var result = await server.Input.ReadAsync().ConfigureAwait(false);
            var stop = Take(server, result);
            if (HasForwarded && (stop != RelayStop.Done || server.Owed.Count > 0 || _restBytes > 0))
            {
                await FlushClientAsync().ConfigureAwait(false);
            }

            if (stop == RelayStop.ServerLost)
            {
                return stop;
            }
        }

        return RelayStop.Done;
    }

    /// <summary>Relays what one read brings; used while something else is being waited for.</summary>
    public async ValueTask<RelayStop> RelayOnceAsync(ServerConnection server)
    {
        var result = await server.Input.ReadAsync().ConfigureAwait(false);
        var stop = Take(server, result);
        if (HasForwarded)
        {
            await FlushClientAsync().ConfigureAwait(false);
        }

        return stop;
    }

    /// <summary>Relays what has already arrived, without waiting.</summary>
    public RelayStop RelayArrived(ServerConnection server) =>
        server.Input.TryRead(out var result) ? Take(server, result) : RelayStop.Interrupted;

    /// <summary>Sends what was written to the client.</summary>
    /// <exception cref="ClientGoneException">The client does not read any more.</exception>
    public ValueTask FlushClientAsync()
    {
        var flush = client.FlushAsync();
        if (flush.IsCompletedSuccessfully)
        {
            return flush.Result.IsCompleted ? throw new ClientGoneException() : ValueTask.CompletedTask;
        }

        return Slow(flush);

        static async ValueTask Slow(ValueTask<FlushResult> flush)
        {
            if ((await flush.ConfigureAwait(false)).IsCompleted)
            {
                throw new ClientGoneException();
            }
        }
    }

    private RelayStop Take(ServerConnection server, ReadResult result)
    {
        var buffer = result.Buffer;
        var consumed = buffer.Start;
        var examined = buffer.End;
        var stop = RelayStop.Done;
        try
        {
            stop = Consume(server, buffer, out consumed);
            if (stop == RelayStop.CopyIn)
            {
                examined = consumed;
            }
        }
        finally
        {
            server.Input.AdvanceTo(consumed, examined);
        }

        if (result.IsCompleted && stop != RelayStop.CopyIn && server.Owed.Count > 0)
        {
            server.MarkBroken();
            return RelayStop.ServerLost;
        }

        return result.IsCanceled ? RelayStop.Interrupted : stop;
    }

    private RelayStop Consume(ServerConnection server, in ReadOnlySequence<byte> buffer, out SequencePosition consumed)
    {
        var left = buffer;
        var runStart = buffer.Start; // first byte of the run that will be copied to the client
        var stop = RelayStop.Done;
        var types = server.Types;
        if (_restBytes > 0)
        {
            var take = (int)Math.Min(_restBytes, left.Length);
            _restBytes -= take;
            Bytes += take;
            left = left.Slice(take);
            if (!_restIsVisible)
            {
                runStart = left.Start;
            }
        }

        while (FrameHeader.TryRead(left, MaxFrameBytes, out var header))
        {
            var isWhole = left.Length >= header.TotalBytes;
            if (!isWhole && (NeedsWhole(header) || (types is not null && (_translation ??= new ReplyTranslation()).NeedsWhole(server, types, header))))
            {
                break;
            }

            var payload = isWhole ? left.Slice(FrameHeader.Bytes, header.PayloadBytes) : default;
            if (types is not null && !(_translation ??= new ReplyTranslation()).TryTake(server, types, header.Tag, payload))
            {
                // What the client has got so far is right; the rest of the reply is not for it.
                server.MarkBroken();
                HasUnknownType = true;
                stop = RelayStop.ServerLost;
                break;
            }

            var visible = Handle(server, header, payload, ref stop);
            var take = (int)Math.Min(header.TotalBytes, left.Length);
            Bytes += take;
            if (!visible)
            {
                Copy(buffer.Slice(runStart, left.Start));
                runStart = left.GetPosition(take);
                if (_instead is { } error)
                {
                    _instead = null;
                    ClientReplies.Error(client, error);
                    HasForwarded = true;
                }
            }

            left = left.Slice(take);
            if (take < header.TotalBytes)
            {
                _restBytes = header.TotalBytes - take;
                _restIsVisible = visible;
            }

            if (stop == RelayStop.CopyIn)
            {
                break;
            }
        }

        Copy(buffer.Slice(runStart, left.Start));
        consumed = left.Start;
        return stop;
    }

    // Frames that change the relay's state by their content; the rest passes by header and count.
    private static bool NeedsWhole(FrameHeader header) => header.PayloadBytes <= MaxInspectedBytes && header.Tag is
        BackendTag.ReadyForQuery or BackendTag.CommandComplete or BackendTag.ErrorResponse or BackendTag.ParameterStatus;

    /// <summary>Updates what is owed. True when the client sees the frame.</summary>
    private bool Handle(ServerConnection server, FrameHeader header, in ReadOnlySequence<byte> payload, ref RelayStop stop)
    {
        var owed = server.Owed;
        var hidden = owed.Count > 0 && owed.Peek().IsHidden;
        switch (header.Tag)
        {
            case BackendTag.DataRow:
                Rows++;
                return !hidden;
            case BackendTag.CopyData or BackendTag.CopyDone or BackendTag.ParameterDescription or BackendTag.CopyOutResponse
                or BackendTag.FunctionCallResponse:
                return !hidden;
            case BackendTag.NoticeResponse:
                return !hidden;
            case BackendTag.NotificationResponse:
                return true;
            case BackendTag.ParameterStatus:
                TakeParameter(server, payload, hidden);
                return !hidden;
            case BackendTag.CopyInResponse:
                stop = RelayStop.CopyIn;
                _isCopyIn = true;
                return !hidden;
            case BackendTag.RowDescription:
                if (Owes(owed, ReplyKind.Query))
                {
                    return !hidden;
                }

                return Answered(server, hidden, ReplyKind.DescribeStatement, ReplyKind.DescribePortal);
            case BackendTag.NoData:
                return Answered(server, hidden, ReplyKind.DescribeStatement, ReplyKind.DescribePortal);
            case BackendTag.ParseComplete:
                return Answered(server, hidden, ReplyKind.Parse, ReplyKind.Parse);
            case BackendTag.BindComplete:
                return Answered(server, hidden, ReplyKind.Bind, ReplyKind.Bind);
            case BackendTag.CloseComplete:
                return Answered(server, hidden, ReplyKind.Close, ReplyKind.Close);
            case BackendTag.CommandComplete or BackendTag.EmptyQueryResponse or BackendTag.PortalSuspended:
                if (header.Tag == BackendTag.CommandComplete && !payload.IsEmpty)
                {
                    TakeTag(payload);
                }

                return Owes(owed, ReplyKind.Query) ? !hidden : Answered(server, hidden, ReplyKind.Execute, ReplyKind.Execute);
            case BackendTag.ErrorResponse:
                return TakeError(server, payload);
            case BackendTag.ReadyForQuery:
                if (owed.Count == 0 || owed.Peek().Kind is not (ReplyKind.Query or ReplyKind.Sync or ReplyKind.FunctionCall))
                {
                    throw Desync(server);
                }

                server.Status = payload.FirstSpan[0];
                owed.Dequeue();
                return !hidden && ForwardsReady && !GateErrorHeld;
            default:
                throw Desync(server);
        }
    }

    private static bool Owes(ReplyQueue owed, ReplyKind kind) => owed.Count > 0 && owed.Peek().Kind == kind;

    private static bool Answered(ServerConnection server, bool hidden, ReplyKind kind, ReplyKind other)
    {
        var owed = server.Owed;
        if (owed.Count == 0 || (owed.Peek().Kind != kind && owed.Peek().Kind != other))
        {
            throw Desync(server);
        }

        owed.Dequeue();
        return !hidden;
    }

    private bool TakeError(ServerConnection server, in ReadOnlySequence<byte> payload)
    {
        var fields = payload.IsEmpty
            ? new ErrorFields("ERROR", "XX000", "", "")
            : ErrorFields.Read(payload.IsSingleSegment ? payload.FirstSpan : payload.ToArray());
        Error ??= fields;
        var owed = server.Owed;
        if (fields.Severity is "FATAL" or "PANIC")
        {
            // The server is going away: nothing else will be answered. The session tells the client, or turns it into an error of its own.
            server.LastWords = payload.ToArray();
            server.MarkBroken();
            return false;
        }

        if (CancelReason is { } reason && fields.SqlState == StopErrors.Cancelled && (owed.Count == 0 || !owed.Peek().IsHidden))
        {
            // Said by the proxy, in its place behind what came before: the server knows only that somebody asked.
            CancelReason = null;
            SkipToSync(server, owed);
            _instead = reason;
            return false;
        }

        if (FencedStatement.IsGateError(fields) && (owed.Count == 0 || !owed.Peek().IsHidden))
        {
            // Planned again where nothing has happened yet, else the client's to repeat.
            GateErrorHeld = HoldsGateError && !HasForwarded;
            FencedRange = GateErrorHeld ? null : GateMarker.RangeOf(fields.Constraint);
            _instead = GateErrorHeld ? null : ExecutionErrors.Fenced;
            SkipToSync(server, owed);
            return false;
        }

        SkipToSync(server, owed);
        return true;
    }

    private static void SkipToSync(ServerConnection server, ReplyQueue owed)
    {
        if (owed.Count > 0 && owed.Peek().Kind is not (ReplyKind.Query or ReplyKind.FunctionCall or ReplyKind.Sync) && !server.SkipToSync())
        {
            server.SkipsToSync = true;
        }
    }

    /// <summary>Notes a ParameterStatus.</summary>
    public void TakeParameter(ServerConnection server, in ReadOnlySequence<byte> payload, bool isHidden)
    {
        var message = payload.IsSingleSegment ? payload.FirstSpan : payload.ToArray();
        server.Parameters = server.Parameters.With(message);
        if (!isHidden)
        {
            Told = Told?.With(message);
        }
    }

    // "INSERT 0 5", "UPDATE 3", "SELECT 7", "COPY 9": the rows are the last number.
    private void TakeTag(in ReadOnlySequence<byte> payload)
    {
        var tag = payload.FirstSpan;
        if (!payload.IsSingleSegment || tag.Length < 2)
        {
            return;
        }

        tag = tag[..^1];
        var space = tag.LastIndexOf((byte)' ');
        if (space > 0 && !tag.StartsWith("SELECT"u8) && Utf8Parser.TryParse(tag[(space + 1)..], out long rows, out var used, 'D') && used == tag.Length - space - 1)
        {
            Rows += rows;
        }
    }

    private void Copy(in ReadOnlySequence<byte> run)
    {
        if (run.IsEmpty)
        {
            return;
        }

        HasForwarded = true;
        foreach (var segment in run)
        {
            client.Write(segment.Span);
        }
    }

    private static ProtocolException Desync(ServerConnection server)
    {
        server.MarkBroken();
        return new ProtocolException("08P01", "a server broke the protocol");
    }
}
