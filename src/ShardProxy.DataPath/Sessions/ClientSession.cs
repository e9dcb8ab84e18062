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
    private const string Active = "active";

    private static readonly SessionSettings Unnamed = SessionSettings.Empty.With("application_name", new SettingValue("", IsConfigText: true));

    private readonly SimpleQuery _simple = new(session);
    private ExtendedQuery? _extended;
    private readonly IdleListener _idle = new(session);

    /// <summary>
    /// Finishes the login (server parameters, the client's own start-up parameters, ReadyForQuery) and serves the client until it leaves.
    /// </summary>
    public async Task RunAsync()
    {
        if (!ExecutionContext.IsFlowSuppressed())
        {
            // As on the event loops: nothing ambient is carried from one message to the next.
            ExecutionContext.SuppressFlow();
        }

        try
        {
            if (!await BeginAsync().ConfigureAwait(false))
            {
                return;
            }

            session.IsReady = true;
            session.Input.Interrupted = session.ThrowIfAskedToEnd;
            while (true)
            {
                session.ThrowIfAskedToEnd();
                var read = _idle.ReadClientAsync();
                if (!read.IsCompleted && session.State == Active)
                {
                    // Not between the messages of a pipeline: a look at the clock costs as much as reading one of them.
                    session.SetState(session.Transaction.State == BlockState.Idle ? "idle" : "idle in transaction");
                }

                if (!await read.ConfigureAwait(false))
                {
                    return;
                }

                var tag = session.Input.Tag;
                if (tag == FrontendTag.Terminate)
                {
                    return;
                }

                if (session.IsReady || session.State != Active)
                {
                    session.SetState(Active);
                }

                await HandleAsync(tag).ConfigureAwait(false);
                if (session.HasBackslashEscapes && !session.IsTransparent)
                {
                    // A function has turned it off: from now on the lexer and the server would read strings in different ways.
                    ClientReplies.Error(session.Output, ExecutionErrors.ConformingStrings, "FATAL");
                    await session.Relay.FlushClientAsync().ConfigureAwait(false);
                    return;
                }

                if (session.IsDoomed)
                {
                    ClientReplies.Error(session.Output, SessionErrors.StateLost(session.HomeNode.Name), "FATAL");
                    await session.Relay.FlushClientAsync().ConfigureAwait(false);
                    return;
                }

                session.IsReady = tag is FrontendTag.Query or FrontendTag.Sync or FrontendTag.FunctionCall && _extended is null or { CopyServer: null, IsInBatch: false };
            }
        }
        catch (SessionEndedException e)
        {
            MessageWriter.Raw(session.Output, BackendTag.ErrorResponse, e.Words);
            await session.Output.FlushAsync().ConfigureAwait(false);
        }
        catch (SessionStoppedException e)
        {
            ClientReplies.Error(session.Output, e.Error, "FATAL");
            await session.Output.FlushAsync().ConfigureAwait(false);
        }
        finally
        {
            SessionServers.ReleaseAll(session);
            session.Activity.EndStatement(transactionEnded: true);
            session.Services.Board.Remove(session.Activity);
        }
    }

    // Every message passes here: no state machine of its own.
    private ValueTask HandleAsync(byte tag)
    {
        if (_extended is { CopyServer: not null })
        {
            return _extended.CopyAsync(tag, session.Input.Payload);
        }

        switch (tag)
        {
            case FrontendTag.Query or FrontendTag.FunctionCall when _extended is { IsInBatch: true } extended:
                return WithoutSyncAsync(extended, tag);
            case FrontendTag.Query:
                return _simple.RunAsync(session.Input.Payload);
            case FrontendTag.Parse or FrontendTag.Bind or FrontendTag.Describe or FrontendTag.Execute or FrontendTag.Close or FrontendTag.Flush or FrontendTag.Sync:
                return (_extended ??= new ExtendedQuery(session)).HandleAsync(tag, session.Input.Payload);
            case FrontendTag.FunctionCall:
                return FunctionCallAsync();
            case FrontendTag.CopyData or FrontendTag.CopyDone or FrontendTag.CopyFail:
                // After a failed COPY the client may still be sending: PostgreSQL ignores it too.
                return ValueTask.CompletedTask;
            default:
                throw new ProtocolException("08P01", $"invalid frontend message type {tag}");
        }
    }

    private async ValueTask WithoutSyncAsync(ExtendedQuery extended, byte tag)
    {
        await extended.HandleAsync(tag, session.Input.Payload).ConfigureAwait(false);
        if (!extended.IsInBatch)
        {
            await HandleAsync(tag).ConfigureAwait(false);
        }
    }

    // The fast-path interface (PostgreSQL documentation, "Function Call"): the home node's own functions.
    private async ValueTask FunctionCallAsync()
    {
        session.Relay.Reset(session.Transaction.State != BlockState.Idle);
        session.Relay.ForwardsReady = false;
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
                // Which function an OID stands for is not known here.
                VariableExecutor.Suspect(session, server, StateKinds.Anything);
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

        await SimpleQuery.SettleAsync(session).ConfigureAwait(false);
        MessageWriter.ReadyForQuery(session.Output, session.Transaction.StatusByte);
        await session.Relay.FlushClientAsync().ConfigureAwait(false);
    }

    // A server connection of the pool says what the database is like, and checks the client's start-up parameters.
    private async ValueTask<bool> BeginAsync()
    {
        try
        {
            session.Settings = StartupSettings(session.Identity.Startup);
            session.StartupSettings = session.Settings;
            var server = await LoginRight.ServerAsync(session).ConfigureAwait(false);
            if (session.Settings.SameAs(server.Settings))
            {
                // One map for all clients that log in alike, and compared by reference from here on.
                session.Settings = session.StartupSettings = server.Settings;
            }

            if (server.AssignedTo is null)
            {
                server.AssignedTo = session;
                session.Assigned = server;
            }

            foreach (var (name, value) in server.Parameters.All)
            {
                MessageWriter.ParameterStatus(session.Output, name, value);
            }

            session.Relay.Told = server.Parameters;
            if (session.HasBackslashEscapes && !session.IsTransparent)
            {
                throw new ServerUnavailableException(ExecutionErrors.ConformingStrings);
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
    // that is named there goes before the same one in options. A client that gives no name has none: it does not go by the name the proxy's
    // own connections have.
    private static SessionSettings StartupSettings(StartupRequest startup)
    {
        var settings = Unnamed;
        if (startup["options"] is { } options)
        {
            foreach (var (name, value) in StartupOptions.Parse(options))
            {
                settings = settings.With(name, new SettingValue(value, IsConfigText: true));
            }
        }

        foreach (var (name, value) in startup.Parameters)
        {
            switch (name)
            {
                case "user" or "database" or "replication" or "options":
                    break;
                case "client_encoding" when value.ToUpperInvariant() is "UTF8" or "UTF-8" or "UNICODE" or "'UTF8'":
                    settings = settings.Without(name);
                    break;
                default:
                    if (!name.StartsWith("_pq_.", StringComparison.Ordinal))
                    {
                        settings = settings.With(name.ToLowerInvariant(), new SettingValue(value, IsConfigText: true));
                    }

                    break;
            }
        }

        return settings;
    }
}
