using System.Buffers;
using System.IO.Pipelines;
using ShardProxy.DataPath.Servers;
using ShardProxy.Wire.Framing;
using ShardProxy.Wire.Messages;

namespace ShardProxy.DataPath.Sessions;

/// <summary>
/// Waits for the next message of a client that holds a server of its own, and meanwhile passes on what that server says unasked:
/// notifications, notices and changed parameters (PostgreSQL documentation, "Asynchronous Operations").
/// </summary>
internal sealed class IdleListener(Session session)
{
    /// <summary>Reads the client's next message; false when it has left.</summary>
    public async ValueTask<bool> ReadClientAsync()
    {
        if (session.Pinned is not { IsBroken: false } server || server.Owed.Count > 0 || session.Input.HasArrived())
        {
            return await session.Input.ReadAsync(session.Connection.Closed).ConfigureAwait(false);
        }

        using var stop = CancellationTokenSource.CreateLinkedTokenSource(session.Connection.Closed);
        var client = session.Input.ReadAsync(stop.Token).AsTask();
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

            server.KeepLastWords();
            if (server.LastWords is { } words && !client.IsCompleted)
            {
                await stop.CancelAsync().ConfigureAwait(false);
                await client.ContinueWith(static _ => { }, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default).ConfigureAwait(false);
                throw new SessionEndedException(words);
            }

            break;
        }

        // A cancellation that came after the read had ended must not meet the next one.
        if (!server.IsBroken && server.Input.TryRead(out var rest))
        {
            server.Input.AdvanceTo(rest.Buffer.Start);
        }

        return await client.ConfigureAwait(false);
    }

    /// <summary>False when the server has said something that only the next statement can deal with: an error, its end.</summary>
    private async ValueTask<bool> PassOnAsync(ServerConnection server, Task<ReadResult> spoken)
    {
        ReadResult result;
        try
        {
            result = await spoken.ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or OperationCanceledException)
        {
            return false;
        }

        var left = result.Buffer;
        var isExpected = !result.IsCompleted;
        var passed = false;
        while (isExpected && FrameHeader.TryRead(left, session.Services.Options.MaxMessageBytes, out var header))
        {
            isExpected = header.Tag is BackendTag.NotificationResponse or BackendTag.NoticeResponse or BackendTag.ParameterStatus;
            if (!isExpected || left.Length < header.TotalBytes)
            {
                break;
            }

            foreach (var segment in left.Slice(0, header.TotalBytes))
            {
                session.Output.Write(segment.Span);
            }

            left = left.Slice(header.TotalBytes);
            passed = true;
        }

        // What is left stays for the reader of the next reply, unexamined.
        var isWhole = !isExpected || result.IsCanceled;
        server.Input.AdvanceTo(left.Start, isWhole ? left.Start : result.Buffer.End);
        if (passed)
        {
            await session.Relay.FlushClientAsync().ConfigureAwait(false);
        }

        return isExpected;
    }
}
