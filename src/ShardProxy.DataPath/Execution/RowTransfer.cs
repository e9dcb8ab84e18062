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
/// <param name="session">The session whose client gets the rows.</param>
/// <param name="server">The server they come from.</param>
/// <param name="describe">Called with the payload of the RowDescription before the first row.</param>
internal sealed class RowTransfer(Session session, ServerConnection server, Action<byte[]> describe) : FrameTransfer(server, MaxInspectedBytes)
{
    private const int MaxInspectedBytes = 32 * 1024;
    private const int FlushBytes = 32 * 1024;

    private readonly ServerConnection _server = server;

    /// <summary>DataRows carried.</summary>
    public long Rows { get; private set; }

    /// <summary>
    /// Reads to the server's ReadyForQuery. Rows are written to the client as they come, and sent when many have come; what is left is the caller's to send.
    /// </summary>
    /// <exception cref="EndOfStreamException">The server was lost; it is marked broken.</exception>
    /// <exception cref="ClientGoneException">It was lost within a row, of which the client has a part: nothing can be told any more.</exception>
    public async ValueTask RunAsync()
    {
        try
        {
            await ReadAsync(FlushAsync).ConfigureAwait(false);
        }
        catch (Exception e) when (ServerLoss.IsLoss(session, e) || e is ProtocolException)
        {
            _server.GiveUp();
            throw IsCutIn(session.Output) ? new ClientGoneException() : e as EndOfStreamException ?? new EndOfStreamException("the server was lost", e);
        }
    }

    protected override bool IsRow(byte tag) => tag == BackendTag.DataRow;

    protected override IBufferWriter<byte>? Route(in FrameHeader header, in ReadOnlySequence<byte> payload)
    {
        switch (header.Tag)
        {
            case BackendTag.DataRow:
                Rows++;
                return session.Output;
            case BackendTag.NoticeResponse:
                return session.Output;
            case BackendTag.RowDescription:
                describe(payload.IsEmpty ? throw new ProtocolException("08P01", "a row description of a server is too long") : payload.ToArray());
                return null;
            default:
                return null;
        }
    }

    private ValueTask FlushAsync() => session.Output.UnflushedBytes >= FlushBytes ? session.Relay.FlushClientAsync() : ValueTask.CompletedTask;
}
