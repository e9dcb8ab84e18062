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
        while (true)
        {
            if (!session.Input.HasArrived())
            {
                unflushed = 0;
                await relay.FlushServerAsync(server).ConfigureAwait(false);
                var meanwhile = await WaitAsync(session, server).ConfigureAwait(false);
                if (meanwhile == RelayStop.ServerLost || server.Owed.Count == 0)
                {
                    return meanwhile;
                }
            }

            if (!await session.Input.ReadAsync(session.Connection.Closed).ConfigureAwait(false))
            {
                throw new ClientGoneException();
            }

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
    }

    // Waits for the client, and passes on what the server says meanwhile: it may refuse the data, or end. Then what the client still sends of it is
    // ignored, and nobody waits for that.
    private static async ValueTask<RelayStop> WaitAsync(Session session, ServerConnection server)
    {
        using var over = CancellationTokenSource.CreateLinkedTokenSource(session.Connection.Closed);
        var client = session.Input.PeekAsync(over.Token).AsTask();
        while (!client.IsCompleted)
        {
            var relay = session.Relay.RelayOnceAsync(server).AsTask();
            if (await Task.WhenAny(client, relay).ConfigureAwait(false) == client)
            {
                server.Input.CancelPendingRead();
            }

            var stop = await relay.ConfigureAwait(false);
            if (stop == RelayStop.ServerLost || server.Owed.Count == 0)
            {
                await over.CancelAsync().ConfigureAwait(false);
                await ((Task)client).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                return stop;
            }
        }

        await client.ConfigureAwait(false);
        return RelayStop.Done;
    }
}
