using System.Runtime.CompilerServices;
using ShardProxy.DataPath.Execution;
using ShardProxy.DataPath.Routing;
using ShardProxy.DataPath.Servers;
using ShardProxy.Model.Errors;
using ShardProxy.Sql;
using ShardProxy.Wire.Framing;
using ShardProxy.Wire.Messages;

namespace ShardProxy.DataPath.Sessions;

/// <summary>The simple query protocol: one Query message, its replies, ReadyForQuery (PostgreSQL documentation, "Simple Query").</summary>
internal sealed class SimpleQuery(Session session)
{
    // A closed gate opens within a cutover: milliseconds. More rounds than this mean something is stuck.
    private const int MaxFences = 50;

    /// <summary>Runs the Query message at hand.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    public async ValueTask RunAsync(ReadOnlyMemory<byte> payload)
    {
        session.Relay.Reset(session.Transaction.State != BlockState.Idle);
        session.Relay.ForwardsReady = true;
        if (payload.IsEmpty || payload.Span[^1] != 0)
        {
            throw new ProtocolException("08P01", "invalid string in message");
        }

        var text = payload[..^1];
        var scan = session.Services.Analyzer.Scan(text.Span, 0, session.Literals);
        var shape = scan.Shape;
        var readyWasSent = false;
        try
        {
            switch (scan.Outcome)
            {
                case ScanOutcome.Empty when session.IsTransparent && session.Services.Kills.IsRecent:
                    // Drivers ask so whether their backend is still there: it is the one to say.
                    readyWasSent = await RunOneAsync(StatementShape.Unread, payload, text, 0).ConfigureAwait(false);
                    break;
                case ScanOutcome.Empty:
                    MessageWriter.Empty(session.Output, BackendTag.EmptyQueryResponse);
                    break;
                case ScanOutcome.Refused when session.IsTransparent:
                    readyWasSent = await RunOneAsync(StatementShape.Unread, payload, text, 0).ConfigureAwait(false);
                    break;
                case ScanOutcome.Refused:
                    session.Fail(scan.Error!);
                    break;
                case var _ when TransparentCommands.IsMisread(session, text.Span):
                    readyWasSent = await RunOneAsync(StatementShape.Unread, payload, text, 0).ConfigureAwait(false);
                    break;
                default:
                    shape ??= await session.Services.Analyzer.AnalyzeAsync(text[scan.Start..scan.End], session.Connection.Closed).ConfigureAwait(false);
                    readyWasSent = scan.Next < text.Length && StatementBatch.HasMore(session, text, scan.Next)
                        ? await RunBatchAsync(payload).ConfigureAwait(false)
                        : await RunOneAsync(shape, payload, text[..scan.End], scan.Start).ConfigureAwait(false);
                    break;
            }
        }
        catch (ServerUnavailableException e)
        {
            ReportUnavailable(session, e);
        }
        catch (ShardProxyException e)
        {
            session.Fail(e.Error);
        }

        await SettleAsync(session).ConfigureAwait(false);
        if (!readyWasSent)
        {
            MessageWriter.ReadyForQuery(session.Output, session.Transaction.StatusByte);
        }

        await session.Relay.FlushClientAsync().ConfigureAwait(false);
    }

    /// <summary>Passes a failed lease on to the client: the server's own words where there are any.</summary>
    public static void ReportUnavailable(Session session, ServerUnavailableException e)
    {
        // A server that could not join the block is not part of it.
        foreach (var server in session.HeldServers())
        {
            if (server.IsBroken)
            {
                ServerLoss.Drop(session, server);
            }
        }

        if (e.ErrorPayload is not null)
        {
            session.Fail(e.ErrorPayload);
        }
        else
        {
            session.Fail(e.Error!);
        }
    }

    private async ValueTask<bool> RunBatchAsync(ReadOnlyMemory<byte> payload)
    {
        session.IsMidway = true;
        try
        {
            return await new StatementBatch(session, RunPartAsync).RunAsync(payload).ConfigureAwait(false);
        }
        finally
        {
            session.IsMidway = false;
        }
    }

    // One statement of several in a string.
    private async ValueTask RunPartAsync(StatementShape shape, ReadOnlyMemory<byte> payload, int start)
    {
        session.Relay.Reset(session.Transaction.State != BlockState.Idle);
        var text = payload[..^1];
        session.Services.Analyzer.Scan(text.Span, start, session.Literals);
        await RunOneAsync(shape, payload, text, start, isPart: true).ConfigureAwait(false);
        await SettleAsync(session).ConfigureAwait(false);
    }

    /// <summary>Runs one statement; true when ReadyForQuery has been forwarded already.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<bool> RunOneAsync(StatementShape shape, ReadOnlyMemory<byte> payload, ReadOnlyMemory<byte> text, int start, bool isPart = false)
    {
        var isTransparent = session.IsTransparent;
        if (!isTransparent && session.Transaction.State == BlockState.Failed && !SessionTransaction.LeavesFailedBlock(shape))
        {
            session.Fail("25P02", "current transaction is aborted, commands ignored until end of transaction block");
            return false;
        }

        if (isTransparent && TransparentCommands.Handles(shape))
        {
            // The home node's to answer, as any other statement of its.
        }
        else if (shape.Transaction is { } transaction)
        {
            var touched = session.Transaction.State != BlockState.Idle;
            await TransactionExecutor.RunAsync(session, transaction).ConfigureAwait(false);
            if (touched && (session.Transaction.State == BlockState.Idle || transaction.Chain))
            {
                session.Activity.EndStatement(transactionEnded: true);
            }

            return false;
        }
        else if (SessionCommands.Handles(shape))
        {
            await SessionCommands.RunAsync(session, shape, text[start..]).ConfigureAwait(false);
            return false;
        }

        if (ExecuteExpansion.Concerns(session, shape) && await ExecuteExpansion.ExpandAsync(session, shape, text[start..]).ConfigureAwait(false) is { } executed)
        {
            if (executed.Query is not { } query)
            {
                return false;
            }

            var terminated = (byte[])[.. query, 0];
            (payload, text, start) = (terminated, terminated.AsMemory(0, terminated.Length - 1), 0);
            shape = await OwnValues.AnalyzeAsync(session, text, session.Literals).ConfigureAwait(false);
        }

        if (ViewExpansion.Concerns(session, shape)
            && await ViewExpansion.ExpandAsync(session, shape, text[start..], session.Literals).ConfigureAwait(false) is { } expanded)
        {
            var terminated = (byte[])[.. expanded.Text, 0];
            (shape, payload, text, start) = (expanded.Shape, terminated, terminated.AsMemory(0, terminated.Length - 1), 0);
        }

        if (!isTransparent && OwnValues.MayConcern(session, shape))
        {
            if (await OwnValues.OfSimpleAsync(session, shape, text[start..]).ConfigureAwait(false) is not { } own)
            {
                return false;
            }

            (shape, payload, text, start) = own.Terminated is { } made ? (own.Shape, made, made.AsMemory(0, made.Length - 1), 0) : (shape, payload, text, start);
        }

        session.Relay.ForwardsReady = !LeavesState(session, shape, text.Span) && !isPart;
        for (var fences = 0; ; fences++)
        {
            var started = fences == 0 ? session.StateSince : session.Services.Time.GetTimestamp();
            var dispatch = await StatementDispatch.DispatchAsync(session, shape, text, session.Literals, null).ConfigureAwait(false);
            FencedStatement.Release(session, shape, dispatch);
            if (dispatch.Error is not null)
            {
                await RefusedStatement.TellAsync(session, dispatch.Error, dispatch.Table, shape, text[start..]).ConfigureAwait(false);
                return false;
            }

            try
            {
                if (fences > MaxFences)
                {
                    session.Fail(ExecutionErrors.FencedTooOften);
                    return false;
                }

                switch (dispatch.Plan.Kind)
                {
                    case RouteKind.Home or RouteKind.AnyNode or RouteKind.ByKey:
                        var outcome = await RunOnNodeAsync(shape, dispatch, payload, text[start..], started).ConfigureAwait(false);
                        if (outcome != SingleOutcome.Fenced)
                        {
                            return outcome == SingleOutcome.Answered && session.Relay.ForwardsReady;
                        }

                        break;
                    default:
                        if (!await SeveralNodesExecutor.RunAsync(session, dispatch, shape, new NodeCommand(text[start..], null), describesRows: true).ConfigureAwait(false))
                        {
                            return false;
                        }

                        break;
                }
            }
            finally
            {
                session.Activity.EndStatement(session.Transaction.State == BlockState.Idle);
            }

            session.Services.Counters.AddReplanned();
            await FencedStatement.WaitForNewTableAsync(session, dispatch).ConfigureAwait(false);
        }
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<SingleOutcome> RunOnNodeAsync(StatementShape shape, Dispatch dispatch, ReadOnlyMemory<byte> payload, ReadOnlyMemory<byte> text, long started)
    {
        var node = session.NodeFor(shape, dispatch.Table.Node(dispatch.NodeId));
        SequenceTruth.BeforeLease(session, node, shape);
        var server = session.OpenResults?.ServerFor(shape) ?? await SessionServers.GetForStatementAsync(session, node, dispatch.Table).ConfigureAwait(false);
        if (server is null)
        {
            // The table changed while it waited for a connection: the one it got may be the wrong node's.
            SessionServers.Release(session);
            return SingleOutcome.Fenced;
        }

        if (!SequenceTruth.AfterLease(session, server, shape))
        {
            session.Fail(SessionErrors.SequenceGone);
            return SingleOutcome.Lost;
        }

        if (shape.Prepared is not null && !await StatementNames.LendAsync(session, server, shape).ConfigureAwait(false))
        {
            return SingleOutcome.Lost;
        }

        if (CursorNodes.IsCloseAll(shape))
        {
            await CursorNodes.CloseElsewhereAsync(session, server).ConfigureAwait(false);
        }

        if (server.Types is not null && shape.Kind == StatementKind.Copy && !await TypedStatements.MayCopyAsync(session, server, shape, text).ConfigureAwait(false))
        {
            return SingleOutcome.Lost;
        }

        var relay = session.Relay;
        relay.HoldsGateError = session.Transaction.State == BlockState.Idle && dispatch.Plan.Kind == RouteKind.ByKey && dispatch.Plan.IsWrite;
        var restores = TransparentCommands.Restores(session, shape);
        relay.ForwardsReady &= !restores && !server.Key.IsWorkspace;
        SessionEnd.Note(session, shape);
        MakeWay(session, shape);
        var mayWrite = MayWrite(shape);
        var sent = session.Services.Time.GetTimestamp();
        var outcome = await SingleNodeExecutor.RunAsync(session, server, payload, mayWrite).ConfigureAwait(false);
        relay.HoldsGateError = false;
        if (outcome == SingleOutcome.Fenced)
        {
            FencedStatement.Stop(session, relay.Error!, dispatch.Table);
            relay.Reset(session.Transaction.State != BlockState.Idle);
            return outcome;
        }

        StatementAccounting.Account(session, shape, dispatch, server.Node, started, sent);
        if (outcome == SingleOutcome.Answered)
        {
            var changedSchema = AfterAnswer(session, shape, text, server, dispatch.Plan);
            if ((changedSchema || dispatch.Plan.ChangesSchema) && relay.Error is null)
            {
                await SchemaChangedAsync(session).ConfigureAwait(false);
            }

            if (restores && relay.Error is null)
            {
                await SessionServers.GetAsync(session, server.Node).ConfigureAwait(false);
            }
        }

        return outcome;
    }

    /// <summary>
    /// Brings the session's truth up to date with what a server just answered; <paramref name="text"/> is the statement's. True when the block that
    /// ended with it had changed what routing depends on.
    /// </summary>
    public static bool AfterAnswer(Session session, StatementShape shape, ReadOnlyMemory<byte> text, ServerConnection server, RoutePlan plan)
    {
        if (server.Key.IsWorkspace)
        {
            // Its transaction is not the client's.
            session.OpenResults?.Follow(shape, server);
            if (session.Relay.Error is not null)
            {
                session.NoteServerError();
            }

            return false;
        }

        if (shape.Utility is { Object: UtilityObject.Role })
        {
            session.Services.RoleChanges.Note();
        }

        TransparentCommands.Follow(session, shape, text, server);
        var changedSchema = false;
        var transaction = session.Transaction;
        switch ((char)server.Status)
        {
            case 'I' when transaction.State != BlockState.Idle && !transaction.IsImplicit:
                // The text ended the block itself. Whether what was set in it stays, the server knows.
                if (transaction.SettingCount > 0 || !session.Settings.SameAs(transaction.SettingsAtBegin))
                {
                    VariableExecutor.Suspect(session, server, StateKinds.Settings);
                }

                changedSchema = transaction.ChangesSchema;
                transaction.Leave(server);
                transaction.End();
                break;
            case 'T' when transaction.State == BlockState.Idle:
                transaction.Begin(session.Settings, null, isImplicit: false);
                transaction.Join(server);
                break;
            case 'E':
                if (transaction.State == BlockState.Idle)
                {
                    transaction.Begin(session.Settings, null, isImplicit: false);
                    transaction.Join(server);
                }

                transaction.State = BlockState.Failed;
                break;
        }

        if (session.Relay.Error is { } error)
        {
            session.Services.Counters.AddClientError();
            if (CanonicalStatements.IsOutdated(error))
            {
                session.Services.Canonical.Forget();
            }
        }
        else if (CanonicalStatements.MayChangeMeaning(shape.Kind))
        {
            // Now for this client, and for the others when it has committed.
            session.Services.Canonical.Forget();
            session.ChangesMeaning = transaction.State != BlockState.Idle;
        }

        if (session.Relay.Error is not null)
        {
            // The schema is as it was.
        }
        else if (plan.ChangesSchema && transaction.State == BlockState.InBlock)
        {
            transaction.ChangesSchema = true;
        }

        StatementNames.Follow(session, shape, text, server);
        session.Services.Sequences.Follow(shape);

        // What could not be read did nothing.
        var didNothing = shape.Kind == StatementKind.Unparsable && session.Relay.Error is { SqlState: "42601" };
        if (!didNothing && StateRules.After(shape) is not StateKinds.None and var kinds)
        {
            VariableExecutor.Suspect(session, server, kinds);
            if (StateRules.Meant(shape) is not StateKinds.None and var meant && session.Relay.Error is null)
            {
                session.Pin(server, meant);
            }
        }

        if (shape.Kind == StatementKind.DeclareCursor && session.Relay.Error is null)
        {
            (session.Cursors ??= new CursorNodes()).Note(session, shape, server);
        }

        if (shape.Kind == StatementKind.Close && session.Relay.Error is null)
        {
            session.Cursors?.Forget(shape);
        }

        if (shape.Kind == StatementKind.Discard && session.Relay.Error is null && shape.Text.EndsWith("sequences", StringComparison.OrdinalIgnoreCase))
        {
            SequenceTruth.Forget(session, server);
        }

        if (shape.Kind == StatementKind.OtherDdl && session.IsSharded)
        {
            session.Services.SearchPath.NoteDdl(session.Identity.User, shape);
        }

        return changedSchema;
    }

    /// <summary>
    /// What has to be known before the client may send its next statement, once the servers' replies are in: called before ReadyForQuery
    /// where <see cref="LeavesState"/> says so.
    /// </summary>
    public static async ValueTask SettleAsync(Session session)
    {
        if (session.Transaction is { HasUnreadSettings: true, State: BlockState.InBlock, SettingsSource.IsBroken: false } transaction && !session.IsTransparent)
        {
            // Routing has to know the search_path. Where nothing is routed the block is left alone: a question would take its snapshot too early.
            try
            {
                await StateProbe.ReadBlockAsync(session).ConfigureAwait(false);
            }
            catch (EndOfStreamException)
            {
                ServerLoss.Drop(session, transaction.SettingsSource!);
            }
        }

        if (session.OpenResults is { } open)
        {
            await open.SweepAsync().ConfigureAwait(false);
        }

        await SessionServers.ReleaseAsync(session).ConfigureAwait(false);
    }

    /// <summary>
    /// The statement may leave state that has to be looked for before its ReadyForQuery. <paramref name="text"/> is where the names of custom
    /// parameters may stand.
    /// </summary>
    public static bool LeavesState(Session session, StatementShape shape, ReadOnlySpan<byte> text)
    {
        var kinds = StateRules.After(shape);
        if ((kinds & StateKinds.Settings) != 0)
        {
            session.CustomParameters.Note(text);
        }

        return kinds != StateKinds.None;
    }

    /// <summary>Tells the control plane about DDL that is committed already; inside a block the commit does it.</summary>
    public static async ValueTask SchemaChangedAsync(Session session)
    {
        if (session.Transaction.State == BlockState.Idle)
        {
            // The client has its answer meanwhile.
            await session.Relay.FlushClientAsync().ConfigureAwait(false);
            await session.Services.SchemaObserver.SchemaChangedAsync(CancellationToken.None).ConfigureAwait(false);
        }
    }

    /// <summary>DROP DATABASE, CREATE DATABASE from a template and some of ALTER DATABASE fail while anybody is connected to it: called before they run.</summary>
    public static void MakeWay(Session session, StatementShape shape)
    {
        if (shape.Kind == StatementKind.OtherDdl && shape.Utility is { Object: UtilityObject.Database })
        {
            session.Services.Pools.MakeWay();
        }
    }

    /// <summary>True unless the statement provably only reads.</summary>
    public static bool MayWrite(StatementShape shape)
    {
        if (!shape.IsReadOnly)
        {
            return true;
        }

        foreach (var function in shape.Functions)
        {
            if (!PureFunctions.Contains(function) && !PureFunctions.IsCombinedAggregate(function))
            {
                return true;
            }
        }

        return false;
    }
}
