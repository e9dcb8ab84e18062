using ShardProxy.DataPath.Execution;
using ShardProxy.DataPath.Servers;
using ShardProxy.Model.Topology;
using ShardProxy.Sql;
using ShardProxy.Wire.Framing;
using ShardProxy.Wire.Messages;

namespace ShardProxy.DataPath.Sessions;

/// <summary>One client from its first query to its last: takes its messages in order and hands each to the room for it.</summary>
internal sealed class ClientSession(Session session)
{
    private readonly SimpleQuery _simple = new(session);
    private readonly ExtendedQuery _extended = new(session);
    private readonly IdleListener _idle = new(session);

    /// <summary>
    /// Finishes the login (server parameters, the client's own start-up parameters, ReadyForQuery) and serves the client until it leaves.
    /// </summary>
    public async Task RunAsync()
    {
        try
        {
            if (!await BeginAsync().ConfigureAwait(false))
            {
                return;
            }

            while (await _idle.ReadClientAsync().ConfigureAwait(false))
            {
                var tag = session.Input.Tag;
                if (tag == FrontendTag.Terminate)
                {
                    return;
                }

                session.SetState("active");
                await HandleAsync(tag).ConfigureAwait(false);
                session.SetState(session.Transaction.State == BlockState.Idle ? "idle" : "idle in transaction");
            }
        }
        catch (SessionEndedException e)
        {
            MessageWriter.Raw(session.Output, BackendTag.ErrorResponse, e.Words);
            await session.Output.FlushAsync().ConfigureAwait(false);
        }
        finally
        {
            SessionServers.ReleaseAll(session);
            session.Activity.EndStatement(transactionEnded: true);
            session.Services.Board.Remove(session.Activity);
        }
    }

    private async ValueTask HandleAsync(byte tag)
    {
        if (_extended.CopyServer is not null)
        {
            await _extended.CopyAsync(tag, session.Input.Payload).ConfigureAwait(false);
            return;
        }

        switch (tag)
        {
            case FrontendTag.Query:
                await _simple.RunAsync(session.Input.Payload).ConfigureAwait(false);
                break;
            case FrontendTag.Parse or FrontendTag.Bind or FrontendTag.Describe or FrontendTag.Execute or FrontendTag.Close or FrontendTag.Flush or FrontendTag.Sync:
                await _extended.HandleAsync(tag, session.Input.Payload).ConfigureAwait(false);
                break;
            case FrontendTag.FunctionCall:
                await FunctionCallAsync().ConfigureAwait(false);
                break;
            case FrontendTag.CopyData or FrontendTag.CopyDone or FrontendTag.CopyFail:
                // After a failed COPY the client may still be sending: PostgreSQL ignores it too.
                break;
            default:
                throw new ProtocolException("08P01", $"invalid frontend message type {tag}");
        }
    }

    // The fast-path interface (PostgreSQL documentation, "Function Call"): the home node's own functions.
    private async ValueTask FunctionCallAsync()
    {
        session.Relay.Reset();
        session.Relay.ForwardsReady = true;
        var forwarded = false;
        try
        {
            var server = await SessionServers.GetAsync(session, session.HomeNode).ConfigureAwait(false);
            MessageWriter.Raw(server.Output, FrontendTag.FunctionCall, session.Input.Payload.Span);
            server.Owed.Enqueue(ReplyKind.FunctionCall, isHidden: false);
            server.HasWritten = true;
            await session.Relay.FlushServerAsync(server).ConfigureAwait(false);
            if (await session.Relay.RelayAsync(server).ConfigureAwait(false) == RelayStop.ServerLost)
            {
                ServerLoss.Report(session, server, mayHaveWritten: true);
            }
            else
            {
                forwarded = true;
                if (server.Status == (byte)'E')
                {
                    session.FailBlock();
                }
            }
        }
        catch (ServerUnavailableException e)
        {
            SimpleQuery.ReportUnavailable(session, e);
        }

        SessionServers.Release(session);
        if (!forwarded)
        {
            MessageWriter.ReadyForQuery(session.Output, session.Transaction.StatusByte);
        }

        await session.Relay.FlushClientAsync().ConfigureAwait(false);
    }

    // A server connection of the pool says what the database is like, and checks the client's start-up parameters.
    private async ValueTask<bool> BeginAsync()
    {
        try
        {
            session.Settings = StartupSettings(session.Identity.Startup);
            session.StartupSettings = session.Settings;
            var server = await SessionServers.GetAsync(session, session.HomeNode).ConfigureAwait(false);
            session.WantsAssignment = false;
            if (server.AssignedTo is null)
            {
                server.AssignedTo = session;
                session.Assigned = server;
            }

            foreach (var (name, value) in server.Parameters)
            {
                var shown = name switch
                {
                    "application_name" => session.Identity.Startup["application_name"] ?? "",
                    "session_authorization" => session.Identity.User,
                    _ => value,
                };
                session.ParameterReported(name, shown);
                MessageWriter.ParameterStatus(session.Output, name, shown);
            }
        }
        catch (ServerUnavailableException e)
        {
            WriteFatal(e);
            await session.Output.FlushAsync().ConfigureAwait(false);
            return false;
        }

        SessionServers.Release(session);
        // Above every process id of a system: no backend is ever ended or cancelled by mistake.
        session.KeyProcessId = session.Assigned?.ProcessId ?? 0x40000000 | (session.ProcessId & 0x3FFFFFFF);
        MessageWriter.BackendKeyData(session.Output, session.KeyProcessId, session.Secret);
        MessageWriter.ReadyForQuery(session.Output, (byte)'I');
        await session.Relay.FlushClientAsync().ConfigureAwait(false);
        return true;
    }

    private void WriteFatal(ServerUnavailableException e)
    {
        if (e.ErrorPayload is { } payload)
        {
            MessageWriter.Raw(session.Output, BackendTag.ErrorResponse, ErrorFields.WithSeverity(payload, "FATAL"));
        }
        else
        {
            ClientReplies.Error(session.Output, e.Error!, "FATAL");
        }
    }

    // Everything in the start-up packet that is neither addressing nor the protocol's own is a run-time parameter. As in PostgreSQL, one
    // that is named there goes before the same one in options.
    private static SessionSettings StartupSettings(StartupRequest startup)
    {
        var settings = SessionSettings.Empty;
        if (startup["options"] is { } options)
        {
            foreach (var (name, value) in StartupOptions.Parse(options))
            {
                settings = settings.With(name, SqlIdentifier.Literal(value));
            }
        }

        foreach (var (name, value) in startup.Parameters)
        {
            switch (name)
            {
                case "user" or "database" or "replication" or "application_name" or "options":
                    break;
                case "client_encoding" when value.ToUpperInvariant() is "UTF8" or "UTF-8" or "UNICODE" or "'UTF8'":
                    settings = settings.Without(name);
                    break;
                default:
                    if (!name.StartsWith("_pq_.", StringComparison.Ordinal))
                    {
                        settings = settings.With(name.ToLowerInvariant(), SqlIdentifier.Literal(value));
                    }

                    break;
            }
        }

        return settings;
    }
}
