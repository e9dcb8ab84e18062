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
internal sealed class WriteReply(Session session, ServerConnection server, bool describes, List<byte[]>? kept) : FrameTransfer(server, MaxInspectedBytes)
{
    private const int MaxInspectedBytes = 1024 * 1024;
    private const int FlushBytes = 32 * 1024;

    private readonly ServerConnection _server = server;

    // A row that is being kept.
    private readonly ArrayBufferWriter<byte> _row = new();
    private long _unflushed;

    /// <summary>The command tag without its number: <c>UPDATE</c>, <c>INSERT 0</c>.</summary>
    public string Verb { get; private set; } = "";

    /// <summary>The number in the command tag.</summary>
    public long Count { get; private set; }

    /// <summary>Bytes of the rows kept.</summary>
    public long KeptBytes { get; private set; }

    /// <summary>Bound on the bytes of the rows kept; those above it are lost.</summary>
    public long MaxKeptBytes { get; init; } = long.MaxValue;

    /// <summary>There were more.</summary>
    public bool IsOverfull { get; private set; }

    /// <summary>Something went to the client.</summary>
    public bool HasForwarded { get; private set; }

    /// <summary>Reads until nothing is owed by the server.</summary>
    /// <exception cref="EndOfStreamException">The server was lost; it is marked broken.</exception>
    /// <exception cref="ClientGoneException">The client does not read any more, or the server was lost within a row of which the client has a part.</exception>
    public async ValueTask ReadAsync()
    {
        try
        {
            await ReadAsync(FlushAsync).ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or InvalidOperationException or OperationCanceledException or ProtocolException)
        {
            _server.GiveUp();
            throw IsCutIn(session.Output) ? new ClientGoneException() : e as EndOfStreamException ?? new EndOfStreamException("the server was lost", e);
        }
        catch (ClientGoneException)
        {
            // It would go on sending rows that nobody wants.
            _server.MarkBroken();
            throw;
        }
    }

    protected override bool IsRow(byte tag) => tag == BackendTag.DataRow;

    protected override IBufferWriter<byte>? Route(in FrameHeader header, in ReadOnlySequence<byte> payload)
    {
        switch (header.Tag)
        {
            case BackendTag.DataRow:
                return kept is null ? session.Output : _row;
            case BackendTag.RowDescription:
                return describes ? session.Output : null;
            case BackendTag.NoticeResponse:
                return session.Output;
            case BackendTag.CommandComplete:
                TakeTag(payload);
                return null;
            default:
                return null;
        }
    }

    protected override void Passed(IBufferWriter<byte> to, long bytes, bool isEnd)
    {
        if (!ReferenceEquals(to, _row))
        {
            _unflushed += bytes;
            HasForwarded = true;
        }
        else if (isEnd)
        {
            IsOverfull |= KeptBytes + _row.WrittenCount > MaxKeptBytes;
            if (!IsOverfull)
            {
                kept!.Add(_row.WrittenSpan.ToArray());
                KeptBytes += _row.WrittenCount;
            }

            _row.ResetWrittenCount();
        }
    }

    private void TakeTag(in ReadOnlySequence<byte> payload)
    {
        var text = Encoding.UTF8.GetString(payload.ToArray().AsSpan(0, (int)payload.Length - 1));
        var space = text.LastIndexOf(' ');
        if (space > 0 && long.TryParse(text.AsSpan(space + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var count))
        {
            (Verb, Count) = (text[..space], count);
        }
    }

    private ValueTask FlushAsync()
    {
        if (_unflushed < FlushBytes)
        {
            return ValueTask.CompletedTask;
        }

        _unflushed = 0;
        return session.Relay.FlushClientAsync();
    }
}
