using ShardProxy.DataPath.Execution;
using ShardProxy.DataPath.Routing;
using ShardProxy.DataPath.Servers;
using ShardProxy.Model.Errors;
using ShardProxy.Sql;
using ShardProxy.Wire.Framing;
using ShardProxy.Wire.Messages;

namespace ShardProxy.DataPath.Sessions;

/// <summary>
/// The server side of a client's pipeline: the one server its requests go to now, what was executed there since the last Sync, and how its
/// replies are collected.
/// </summary>
internal sealed class ServerPipeline(Session session)
{
    private readonly List<Executed> _executed = [];
    private bool _changesSchema;

    /// <summary>The server requests go to; null until one is needed.</summary>
    public ServerConnection? Server { get; set; }

    /// <summary>Something was executed since the last Sync.</summary>
    public bool HasExecuted { get => session.IsMidway; set => session.IsMidway = value; }

    /// <summary>
    /// What was executed since the last Sync has begun a block on the server and not ended it: a Sync commits nothing, once it is known that
    /// none of it failed.
    /// </summary>
    public bool HasBegun { get; private set; }

    /// <summary>COPY data of an extended-protocol COPY is being passed on; the next messages belong to it.</summary>
    public ServerConnection? CopyServer { get; set; }

    /// <summary>A statement whose Parse no server has seen yet.</summary>
    public PreparedStatement? PendingParse { get; set; }

    /// <summary>An error of the proxy's own was told: everything up to the client's Sync is skipped.</summary>
    public bool SkipToSync { get; set; }

    /// <summary>The server ignores everything until the client's Sync.</summary>
    public bool SkipsToSync => Server is { SkipsToSync: true };

    /// <summary>Tells the control plane if what routing depends on may have been changed since this was last called.</summary>
    public ValueTask TellSchemaChangeAsync()
    {
        var changes = _changesSchema;
        _changesSchema = false;
        return changes ? SimpleQuery.SchemaChangedAsync(session) : ValueTask.CompletedTask;
    }

    /// <summary>Something executed since the last Sync may leave state that has to be looked for.</summary>
    public bool LeavesState { get; private set; }

    /// <summary>A portal was executed on the server. What it was then is remembered: the portal may be bound anew before Sync.</summary>
    public void Add(Portal portal, ServerConnection server)
    {
        _executed.Add(new Executed(portal.Statement, portal.Dispatch, server, portal.Started));
        if (server.Key.IsWorkspace)
        {
            // What runs there is no part of an implicit transaction, and leaves nothing.
            return;
        }

        HasExecuted = true;
        if (SimpleQuery.LeavesState(session, portal.Statement.Shape, portal.Statement.Sql))
        {
            session.CustomParameters.Note(portal.Parameters.Payload[..portal.Parameters.PayloadBytes]);
            LeavesState = true;
        }

        if (portal.Statement.Shape.Transaction is { } command)
        {
            HasBegun = command.Verb switch
            {
                TransactionVerb.Begin or TransactionVerb.StartTransaction => true,
                TransactionVerb.Commit or TransactionVerb.Rollback or TransactionVerb.Prepare => command.Chain,
                _ => HasBegun,
            };
        }
    }

    /// <summary>The server was lost with everything under way on it.</summary>
    public void Forget()
    {
        _executed.Clear();
        HasBegun = false;
        Server = null;
    }

    /// <summary>Keeps what is owed and what is unsent within bounds.</summary>
    public async ValueTask BoundAsync()
    {
        if (Server is { IsBroken: false } server)
        {
            if (server.Owed.Count >= ReplyQueue.Capacity)
            {
                await DrainAsync().ConfigureAwait(false);
                AccountExecuted();
            }
            else if (server.Output.UnflushedBytes >= session.MaxUnsentBytes)
            {
                await session.Relay.FlushServerAsync(server).ConfigureAwait(false);
            }
        }

        if (session.Output.UnflushedBytes >= session.MaxUnsentBytes)
        {
            await session.Relay.FlushClientAsync().ConfigureAwait(false);
        }
    }

    /// <summary>Accounts for everything executed since the last Sync, and follows the server's transaction status.</summary>
    public void EndStatements()
    {
        foreach (var (statement, dispatch, server, _) in _executed)
        {
            if (!server.IsBroken && server.Owed.Count == 0)
            {
                _changesSchema |= SimpleQuery.AfterAnswer(session, statement.Shape, statement.Text, server, dispatch.Plan);
            }
        }

        AccountExecuted();
        HasBegun = false;
        if (Server is { Status: (byte)'E' })
        {
            // A Parse or Bind can fail a block too.
            session.FailBlock();
        }
    }

    private void AccountExecuted()
    {
        var left = _executed.Count;
        foreach (var (statement, dispatch, server, started) in _executed)
        {
            _changesSchema |= dispatch.Plan.ChangesSchema;
            StatementAccounting.Account(session, statement.Shape, dispatch, server.Node, started, started, isLast: --left == 0);
        }

        LeavesState = false;
        _executed.Clear();
    }

    /// <summary>The server takes COPY data from now on.</summary>
    public void BeginCopy(ServerConnection server)
    {
        // A Sync sent ahead is ignored by a server that takes COPY data: the client sends another after it.
        var owesExecute = server.Owed.Peek().Kind == ReplyKind.Execute;
        server.Owed.Clear();
        if (owesExecute)
        {
            server.Owed.Enqueue(ReplyKind.Execute, isHidden: false);
        }

        server.HasUnsynced = true;
        CopyServer = server;
    }

    /// <summary>
    /// Gets the server for the next requests; what another one still owes is collected first. With the table of a registered statement:
    /// null when that table is not current any more.
    /// </summary>
    /// <exception cref="PipelineSkippedException">The server at hand has told an error: nothing may be sent before the client's Sync.</exception>
    public async ValueTask<ServerConnection?> UseAsync(Model.Topology.Node node, Model.Routing.RoutingTable? table)
    {
        if (Server is { } current && (current.Node.Id != node.Id || current.Key.IsWorkspace))
        {
            await LeaveAsync().ConfigureAwait(false);
        }

        ThrowIfSkipped();
        return Server ??= table is null
            ? await SessionServers.GetAsync(session, node).ConfigureAwait(false)
            : await SessionServers.GetForStatementAsync(session, node, table).ConfigureAwait(false);
    }

    /// <summary>Goes back to a server on which the session has something: a portal, a cursor.</summary>
    public async ValueTask<ServerConnection> UseAsync(ServerConnection server)
    {
        if (!server.Key.IsWorkspace)
        {
            return (await UseAsync(server.Node, null).ConfigureAwait(false))!;
        }

        if (Server is { } current && !ReferenceEquals(current, server))
        {
            await LeaveAsync().ConfigureAwait(false);
        }

        ThrowIfSkipped();
        if (session.OpenResults?.Keeps(server) != true || server.IsBroken)
        {
            throw new ShardProxyException(PoolErrors.Lost(server.Node.Name));
        }

        return Server = server;
    }

    private async ValueTask LeaveAsync()
    {
        await DrainAsync().ConfigureAwait(false);
        ThrowIfSkipped();
        if (session.Transaction.State == BlockState.Idle && HasExecuted)
        {
            await ImplicitBlock.BeginBehindAsync(session, this).ConfigureAwait(false);
        }

        await SyncServerAsync().ConfigureAwait(false);
        Server = null;
    }

    // Whoever drained before may have met an error too.
    private void ThrowIfSkipped()
    {
        if (SkipToSync || SkipsToSync)
        {
            throw new PipelineSkippedException();
        }
    }

    /// <summary>Collects every reply the current server owes, so that the proxy's own next reply is in order.</summary>
    public async ValueTask DrainAsync()
    {
        if (Server is not { } server || server.Owed.Count == 0)
        {
            return;
        }

        MessageWriter.Empty(server.Output, FrontendTag.Flush);
        await session.Relay.FlushServerAsync(server).ConfigureAwait(false);
        switch (await session.Relay.RelayAsync(server).ConfigureAwait(false))
        {
            case RelayStop.ServerLost:
                throw new ServerLostException(server);
            case RelayStop.CopyIn:
                BeginCopy(server);
                break;
        }

        await session.Relay.FlushClientAsync().ConfigureAwait(false);

        if (server.SkipsToSync)
        {
            session.FailBlock();
        }
    }

    /// <summary>A Sync the client does not see: inside a block it commits nothing; outside one it is used only where nothing was executed.</summary>
    public async ValueTask SyncServerAsync()
    {
        if (Server is { HasUnsynced: true } server && !(session.Transaction.State == BlockState.Idle && HasExecuted))
        {
            await SyncNowAsync(server).ConfigureAwait(false);
        }
    }

    /// <summary>A Sync the client does not see, whatever it commits.</summary>
    public async ValueTask SyncNowAsync(ServerConnection server)
    {
        MessageWriter.Empty(server.Output, FrontendTag.Sync);
        server.Owed.Enqueue(ReplyKind.Sync, isHidden: true);
        server.HasUnsynced = false;
        await session.Relay.FlushServerAsync(server).ConfigureAwait(false);
        if (await session.Relay.RelayAsync(server).ConfigureAwait(false) == RelayStop.ServerLost)
        {
            throw new ServerLostException(server);
        }

        EndStatements();
    }

    /// <summary>For requests that any node can answer: the one at hand, one of the transaction's, or the home node.</summary>
    public async ValueTask<ServerConnection> UseAnyAsync()
    {
        var node = Server?.Node ?? (session.Transaction.Participants.Count > 0 ? session.Transaction.Participants[0].Node : session.Pinned?.Node ?? session.HomeNode);
        return (await UseAsync(node, null).ConfigureAwait(false))!;
    }

    /// <summary>
    /// A portal the client has not bound may be a cursor that SQL has declared: passes the request on to the server that would have it. False when
    /// tables are placed and it may be anywhere.
    /// </summary>
    public async ValueTask<bool> TryForwardAsync(byte tag, ReadOnlyMemory<byte> payload, ReplyKind kind, string name)
    {
        if (!session.IsTransparent && session.Transaction.State != BlockState.InBlock && session.Pinned is null)
        {
            return false;
        }

        await SettleParseAsync().ConfigureAwait(false);
        var kept = session.OpenResults?.FindCursor(name) ?? session.OpenResults?.FindCursor(Model.Topology.SqlIdentifier.Quote(name));
        var server = kept is null ? await UseAnyAsync().ConfigureAwait(false) : await UseAsync(kept).ConfigureAwait(false);
        MessageWriter.Raw(server.Output, tag, payload.Span);
        server.Owed.Enqueue(kind, isHidden: false);
        server.HasUnsynced = true;
        HasExecuted |= tag == FrontendTag.Execute && kept is null;
        session.OpenResults?.CloseOn(tag == FrontendTag.Close ? kept : null);
        return true;
    }

    /// <summary>Makes sure the server has the statement; a Parse the client waits for is answered by the server itself.</summary>
    public void Provide(ServerConnection server, PreparedStatement statement)
    {
        var isPending = PendingParse == statement;
        StatementProvision.Provide(server, statement, isPending);
        PendingParse = isPending ? null : PendingParse;
    }

    /// <summary>Gives the server the protocol's statement that a SQL statement names: <see cref="StatementNames"/>.</summary>
    public async ValueTask LendAsync(ServerConnection server, StatementShape shape)
    {
        if (StatementNames.Lend(session, server, shape) && shape.Kind == StatementKind.Prepare)
        {
            await DrainAsync().ConfigureAwait(false);
            if (!SkipsToSync)
            {
                StatementNames.Settled(server, shape);
            }
        }
    }

    /// <summary>The server that has, or may have, a statement of that name that SQL has prepared; null for none.</summary>
    public ServerConnection? HolderOfSql(string name) => StatementNames.Holder(session, name)
        ?? (name.Length > 0 && _executed.Exists(static e => e.Statement.Shape.Kind == StatementKind.Prepare) ? Server : null);

    /// <summary>What stands for a statement that SQL has prepared, or null.</summary>
    public async ValueTask<PreparedStatement?> FindSqlAsync(string name) =>
        HolderOfSql(name) is null ? null : await StatementNames.StandInAsync(session, name).ConfigureAwait(false);

    /// <summary>A Parse nobody has bound yet is checked by a server now.</summary>
    public ValueTask SettleParseAsync(PreparedStatement? except = null) =>
        PendingParse is { } pending && pending != except ? SettleAsync(pending) : ValueTask.CompletedTask;

    private async ValueTask SettleAsync(PreparedStatement statement)
    {
        if (statement.IsLocalIn(session))
        {
            await DrainAsync().ConfigureAwait(false);
            if (!SkipsToSync)
            {
                AnswerParse();
            }

            return;
        }

        var server = await DescribeRequest.UseServerAsync(session, this, statement.Shape).ConfigureAwait(false);
        await LendAsync(server, statement.Shape).ConfigureAwait(false);
        Provide(server, statement);
    }

    /// <summary>The client will not hear of its Parse: for it the statement does not exist.</summary>
    public void AbandonParse()
    {
        if (PendingParse is { } statement)
        {
            statement.IsGone = true;
            PendingParse = null;
        }
    }

    /// <summary>Answers a Parse of a statement that the proxy carries out itself.</summary>
    public void AnswerParse()
    {
        if (PendingParse is not null)
        {
            PendingParse = null;
            MessageWriter.Empty(session.Output, BackendTag.ParseComplete);
        }
    }

    /// <summary>
    /// An error of the proxy's own: replies that are due come first, then the error, then everything up to Sync is skipped. What an
    /// implicit transaction has done so far is undone, as PostgreSQL would.
    /// </summary>
    public async ValueTask FailAsync(Action writeError)
    {
        try
        {
            await DrainAsync().ConfigureAwait(false);
            if (Server is { HasUnsynced: true, SkipsToSync: false } server && session.Transaction.State == BlockState.Idle && HasExecuted)
            {
                await TransactionExecutor.UndoAsync(server).ConfigureAwait(false);
            }
        }
        catch (Exception e) when (e is IOException or ServerLostException)
        {
            ServerLoss.Drop(session, Server!);
            Server = null;
        }

        AbandonParse();
        if (!SkipsToSync)
        {
            writeError();
        }

        SkipToSync = true;
    }

    /// <summary>The request at hand came behind an error that has been told.</summary>
    public void Skip()
    {
        AbandonParse();
        SkipToSync = true;
    }

    /// <summary>The server was lost: tells the client, and skips to its Sync.</summary>
    public async ValueTask LostAsync(ServerConnection server)
    {
        ServerLoss.Report(session, server, server.HasWritten);
        Forget();
        AbandonParse();
        SkipToSync = true;
        await session.Relay.FlushClientAsync().ConfigureAwait(false);
    }

    /// <summary>Passes a COPY message on to the server that asked for it; false when the server has refused the data: the message is an ordinary one then.</summary>
    public async ValueTask<bool> CopyAsync(byte tag, ReadOnlyMemory<byte> payload)
    {
        var server = CopyServer!;
        if (server.SkipsToSync)
        {
            // The server has refused the data: whatever else the client had under way, its Sync ends it.
            CopyServer = null;
            return false;
        }

        if (tag is FrontendTag.Flush or FrontendTag.Sync)
        {
            return true;
        }

        if (tag is not (FrontendTag.CopyData or FrontendTag.CopyDone or FrontendTag.CopyFail))
        {
            throw new ProtocolException("08P01", $"unexpected message type 0x{tag:X2} during COPY from stdin");
        }

        MessageWriter.Raw(server.Output, tag, payload.Span);
        if (tag != FrontendTag.CopyData)
        {
            CopyServer = null;
        }

        if (tag == FrontendTag.CopyData && session.Input.HasArrived() && server.Output.UnflushedBytes < session.MaxUnsentBytes)
        {
            return true;
        }

        await session.Relay.FlushServerAsync(server).ConfigureAwait(false);
        if (tag == FrontendTag.CopyData && session.Relay.RelayArrived(server) == RelayStop.ServerLost)
        {
            CopyServer = null;
            await LostAsync(server).ConfigureAwait(false);
        }
        else if (session.Relay.HasForwarded)
        {
            await session.Relay.FlushClientAsync().ConfigureAwait(false);
        }

        return true;
    }

    /// <summary>Carries a transaction command out in its place in the pipeline; its reply has been written then.</summary>
    public async ValueTask TransactionCommandAsync(TransactionSummary command)
    {
        if (session.Transaction.State == BlockState.Idle && HasExecuted && Server is { HasUnsynced: true } server)
        {
            // What was executed since the last Sync is an implicit transaction: COMMIT and ROLLBACK end it; PostgreSQL would make it part of
            // a block that begins here, which cannot be done on several nodes.
            switch (command.Verb)
            {
                case TransactionVerb.Commit:
                    await SyncNowAsync(server).ConfigureAwait(false);
                    break;
                case TransactionVerb.Rollback:
                    await TransactionExecutor.UndoAsync(server).ConfigureAwait(false);
                    break;
                default:
                    await FailAsync(() => session.Fail(RoutingErrors.PipelineNodes)).ConfigureAwait(false);
                    return;
            }

            HasExecuted = false;
        }

        await SyncServerAsync().ConfigureAwait(false);
        await TransactionExecutor.RunAsync(session, command).ConfigureAwait(false);
        Server = null;
    }

    private readonly record struct Executed(PreparedStatement Statement, Dispatch Dispatch, ServerConnection Server, long Started);
}
