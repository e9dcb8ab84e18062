using ShardProxy.DataPath.Servers;
using ShardProxy.DataPath.Sessions;
using ShardProxy.Wire.Framing;
using ShardProxy.Wire.Messages;

namespace ShardProxy.DataPath.Execution;

/// <summary>
/// COPY FROM STDIN to one server: data messages pass on as they come, in bounded memory, while what the server says meanwhile goes to the
/// client (PostgreSQL documentation, "COPY Operations").
/// </summary>
internal static class CopyInRelay
{
    private const int FlushBytes = 32 * 1024;

    /// <summary>Passes data until CopyDone or CopyFail, then relays the rest of the simple query.</summary>
    public static async ValueTask<RelayStop> RunAsync(Session session, ServerConnection server)
    {
        var relay = session.Relay;
        await relay.FlushClientAsync().ConfigureAwait(false);
        while (true)
        {
            var stop = await PassDataAsync(session, server).ConfigureAwait(false);
            if (stop == RelayStop.ServerLost)
            {
                return stop;
            }

            // A query string may hold several COPY commands.
            stop = await relay.RelayAsync(server).ConfigureAwait(false);
            if (stop != RelayStop.CopyIn)
            {
                return stop;
            }

            await relay.FlushClientAsync().ConfigureAwait(false);
        }
    }

    private static async ValueTask<RelayStop> PassDataAsync(Session session, ServerConnection server)
    {
        var relay = session.Relay;
        var unflushed = 0;
        while (await session.Input.ReadAsync(session.Connection.Closed).ConfigureAwait(false))
        {
            var tag = session.Input.Tag;
            switch (tag)
            {
                case FrontendTag.CopyData or FrontendTag.CopyDone or FrontendTag.CopyFail:
                    MessageWriter.Raw(server.Output, tag, session.Input.Payload.Span);
                    unflushed += session.Input.Payload.Length + FrameHeader.Bytes;
                    break;
                case FrontendTag.Flush or FrontendTag.Sync:
                    continue;
                case FrontendTag.Terminate:
                    throw new ClientGoneException();
                default:
                    throw new ProtocolException("08P01", $"unexpected message type 0x{tag:X2} during COPY from stdin");
            }

            if (tag != FrontendTag.CopyData)
            {
                await relay.FlushServerAsync(server).ConfigureAwait(false);
                return RelayStop.Done;
            }

            if (unflushed >= FlushBytes)
            {
                unflushed = 0;
                await relay.FlushServerAsync(server).ConfigureAwait(false);
                var stop = relay.RelayArrived(server);
                if (relay.HasForwarded)
                {
                    await relay.FlushClientAsync().ConfigureAwait(false);
                }

                if (stop == RelayStop.ServerLost || server.Owed.Count == 0)
                {
                    // Lost, or it has refused the data and said so: what the client still sends of it is ignored.
                    return stop;
                }
            }
        }

        throw new ClientGoneException();
    }
}
