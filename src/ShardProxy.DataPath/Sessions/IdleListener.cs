using System.Buffers;
using System.IO.Pipelines;
using ShardProxy.DataPath.Servers;
using ShardProxy.Wire.Framing;
using ShardProxy.Wire.Messages;

namespace ShardProxy.DataPath.Sessions;

/// <summary>
/// Waits for the next message of a client that holds a server of its own, and meanwhile passes on what that server says unasked:
/// notifications, notices and changed parameters (PostgreSQL documentation, "Asynchronous Operations"). If that server ends, so does the
/// session, with the server's own words where it left any: what it held of the session cannot be had again.
/// </summary>
internal sealed class IdleListener(Session session)
{
    /// <summary>Reads the client's next message; false when it has left, or was told to.</summary>
    /// <exception cref="SessionEndedException">The server has ended with words of its own.</exception>
    public ValueTask<bool> ReadClientAsync() =>
        session.Pinned is not { IsBroken: false } server || server.Owed.Count > 0 || session.Input.HasArrived()
            ? session.Input.ReadAsync(CancellationToken.None, isRequest: true)
            : ReadBesideAsync(server);

    private async ValueTask<bool> ReadBesideAsync(ServerConnection server)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(session.Connection.Closed);
        var client = session.Input.ReadAsync(stop.Token, isRequest: true).AsTask();
        while (!client.IsCompleted)
        {
            var spoken = server.Input.ReadAsync(CancellationToken.None).AsTask();
            await Task.WhenAny(client, spoken).ConfigureAwait(false);
            if (!spoken.IsCompleted)
            {
                server.Input.CancelPendingRead();
            }

            if (await PassOnAsync(server, spoken).ConfigureAwait(false))
            {
                continue;
            }

            await stop.CancelAsync().ConfigureAwait(false);
            await client.ContinueWith(static _ => { }, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default).ConfigureAwait(false);
            if (server.LastWords is { } words)
            {
                throw new SessionEndedException(words);
            }

            ClientReplies.Error(session.Output, SessionErrors.StateLost(server.Node.Name), "FATAL");
            await session.Relay.FlushClientAsync().ConfigureAwait(false);
            return false;
        }

        // A cancellation that came after the read had ended must not meet the next one.
        if (server.Input.TryRead(out var rest))
        {
            server.Input.AdvanceTo(rest.Buffer.Start);
        }

        return await client.ConfigureAwait(false);
    }

    private static void Lose(ServerConnection server, ReadOnlySequence<byte> error)
    {
        server.MarkBroken();
        server.LastWords ??= error.IsEmpty ? null : error.ToArray();
    }

    /// <summary>False when the server has ended.</summary>
    private async ValueTask<bool> PassOnAsync(ServerConnection server, Task<ReadResult> spoken)
    {
        ReadResult result;
        try
        {
            result = await spoken.ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or OperationCanceledException)
        {
            Lose(server, default);
            return false;
        }

        var left = result.Buffer;
        var passed = false;
        while (FrameHeader.TryRead(left, session.Services.Options.MaxMessageBytes, out var header) && left.Length >= header.TotalBytes)
        {
            if (header.Tag is not (BackendTag.NotificationResponse or BackendTag.NoticeResponse or BackendTag.ParameterStatus))
            {
                Lose(server, header.Tag == BackendTag.ErrorResponse ? left.Slice(FrameHeader.Bytes, header.PayloadBytes) : default);
                break;
            }

            if (header.Tag == BackendTag.ParameterStatus)
            {
                session.Relay.TakeParameter(server, left.Slice(FrameHeader.Bytes, header.PayloadBytes), isHidden: false);
            }

            foreach (var segment in left.Slice(0, header.TotalBytes))
            {
                session.Output.Write(segment.Span);
            }

            left = left.Slice(header.TotalBytes);
            passed = true;
        }

        if (result.IsCompleted && !server.IsBroken)
        {
            Lose(server, default);
        }

        // What is left stays for the reader of the next reply, unexamined.
        server.Input.AdvanceTo(left.Start, result.IsCanceled ? left.Start : result.Buffer.End);
        if (passed)
        {
            await session.Relay.FlushClientAsync().ConfigureAwait(false);
        }

        return !server.IsBroken;
    }
}
