using System.Runtime.CompilerServices;
using System.Text;
using ShardProxy.DataPath.Execution;
using ShardProxy.DataPath.Routing;
using ShardProxy.DataPath.Servers;
using ShardProxy.Model.Errors;
using ShardProxy.Sql;
using ShardProxy.Wire.Framing;
using ShardProxy.Wire.Messages;

namespace ShardProxy.DataPath.Sessions;

/// <summary>
/// The extended query protocol (PostgreSQL documentation, "Extended Query"). A Parse waits until it is known which server needs it; Bind
/// routes by its parameters; what follows goes to that server until Sync. Requests are passed on as they come, their replies are
/// relayed at Flush and Sync, so a pipeline costs one round trip.
/// </summary>
internal sealed class ExtendedQuery(Session session)
{
    private readonly ClientStatements _names = new(session);
    private readonly ServerPipeline _pipeline = new(session);
    private DescribeRequest? _describe;
    private OwnPortals? _own;
    private bool _inBatch;

    /// <summary>COPY data of an extended-protocol COPY is being passed on; the next messages belong to it.</summary>
    public ServerConnection? CopyServer => _pipeline.CopyServer;

    /// <summary>Messages have come for which there was no Sync yet.</summary>
    public bool IsInBatch => _inBatch;

    private ReplyRelay Relay => session.Relay;

    /// <summary>
    /// Takes one message of the extended protocol; or announces a simple query or function call that comes without a Sync before it. That one may
    /// be run if <see cref="IsInBatch"/> is false afterwards; else it is done with: skipped behind an error as PostgreSQL does, or refused.
    /// </summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    public async ValueTask HandleAsync(byte tag, ReadOnlyMemory<byte> payload)
    {
        if (!_inBatch)
        {
            _inBatch = true;
            Relay.Reset(session.Transaction.State != BlockState.Idle);
            Relay.ForwardsReady = true;
        }

        if ((_pipeline.SkipToSync || _pipeline.SkipsToSync) && tag != FrontendTag.Sync)
        {
            return;
        }

        try
        {
            switch (tag)
            {
                case FrontendTag.Parse:
                    await ParseAsync(payload).ConfigureAwait(false);
                    break;
                case FrontendTag.Bind:
                    await BindAsync(payload).ConfigureAwait(false);
                    break;
                case FrontendTag.Describe:
                    await (_describe ??= new DescribeRequest(session, _names, _pipeline)).RunAsync(payload).ConfigureAwait(false);
                    break;
                case FrontendTag.Execute:
                    await ExecuteAsync(payload).ConfigureAwait(false);
                    break;
                case FrontendTag.Close:
                    await CloseAsync(payload).ConfigureAwait(false);
                    break;
                case FrontendTag.Flush:
                    await FlushAsync().ConfigureAwait(false);
                    break;
                case FrontendTag.Query or FrontendTag.FunctionCall:
                    await EndBatchAsync().ConfigureAwait(false);
                    return;
                default:
                    await SyncAsync().ConfigureAwait(false);
                    break;
            }

            if (tag != FrontendTag.Sync)
            {
                await _pipeline.BoundAsync().ConfigureAwait(false);
            }
        }
        catch (PipelineSkippedException)
        {
            _pipeline.Skip();
        }
        catch (ServerUnavailableException e)
        {
            await _pipeline.FailAsync(() => SimpleQuery.ReportUnavailable(session, e)).ConfigureAwait(false);
        }
        catch (ShardProxyException e)
        {
            await _pipeline.FailAsync(() => session.Fail(e.Error)).ConfigureAwait(false);
        }
        catch (Exception e) when (e is ServerLostException || (_pipeline.Server is not null && ServerLoss.IsLoss(session, e)))
        {
            await _pipeline.LostAsync((e as ServerLostException)?.Server ?? _pipeline.Server!).ConfigureAwait(false);
        }

        if (tag == FrontendTag.Sync && _pipeline.SkipToSync)
        {
            // What failed in the Sync itself: the client still waits for its end.
            await SyncAsync().ConfigureAwait(false);
        }
        _inBatch &= tag != FrontendTag.Sync || CopyServer is not null;
    }

    /// <summary>Takes one message of the client while a server takes COPY data.</summary>
    public async ValueTask CopyAsync(byte tag, ReadOnlyMemory<byte> payload)
    {
        if (!await _pipeline.CopyAsync(tag, payload).ConfigureAwait(false))
        {
            await HandleAsync(tag, payload).ConfigureAwait(false);
        }
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask ParseAsync(ReadOnlyMemory<byte> payload)
    {
        await _pipeline.SettleParseAsync().ConfigureAwait(false);
        var (name, sql, types, encoded) = FrontendReader.Parse(payload.Span);
        if (name.Length > 0 && _names.Find(name) is not null)
        {
            // It may be the one whose Parse is still under way, and fails.
            await _pipeline.DrainAsync().ConfigureAwait(false);
        }

        if (_pipeline.SkipToSync || _pipeline.SkipsToSync)
        {
            return;
        }

        if (name.Length > 0 && (_names.Find(name) is not null || StatementNames.HasSql(session, name)))
        {
            await _pipeline.FailAsync(() => session.Fail("42P05", $"prepared statement \"{name}\" already exists")).ConfigureAwait(false);
            return;
        }

        if (_names.Refusal(name, sql.Length) is { } full)
        {
            await _pipeline.FailAsync(() => session.Fail(full)).ConfigureAwait(false);
            return;
        }

        var literals = new LiteralList();
        var scan = session.Services.Analyzer.Scan(sql, 0, literals);
        var isUnread = (scan.Outcome == ScanOutcome.Refused && session.IsTransparent) || TransparentCommands.IsMisread(session, sql);
        if (scan.Outcome == ScanOutcome.Refused && !isUnread)
        {
            await _pipeline.FailAsync(() => session.Fail(scan.Error!)).ConfigureAwait(false);
            return;
        }

        var shape = isUnread ? StatementShape.Unread : scan.Shape;
        if (shape is null)
        {
            // An empty text and one with several statements are the server's to answer.
            shape = await session.Services.Analyzer.AnalyzeAsync(sql.AsMemory(scan.Start, Math.Max(0, scan.End - scan.Start)), session.Connection.Closed).ConfigureAwait(false);
        }

        if (session.Transaction.State == BlockState.Failed && !session.IsTransparent && !SessionTransaction.LeavesFailedBlock(shape) && scan.Outcome != ScanOutcome.Empty)
        {
            await _pipeline.FailAsync(FailedBlock).ConfigureAwait(false);
            return;
        }

        // What an EXECUTE returns is settled when it is parsed, by the client's own statement of that name: it is nobody else's.
        var id = name.Length == 0 ? 0 : shape.Prepared is not null ? session.Services.Canonical.OwnId() : session.Services.Canonical.IdOf(sql, encoded, session.Settings.Meaning);
        var statement = new PreparedStatement(name, sql, encoded, types, shape, literals, scan.Start, Math.Max(scan.Start, scan.End), id) { IsEmpty = scan.Outcome == ScanOutcome.Empty };
        _names.Add(statement);
        _pipeline.PendingParse = statement;
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask BindAsync(ReadOnlyMemory<byte> payload)
    {
        var (portalName, statementName) = FrontendReader.BindNames(payload.Span);
        if ((_names.Find(statementName) ?? await _pipeline.FindSqlAsync(statementName).ConfigureAwait(false)) is not { } statement)
        {
            await _pipeline.FailAsync(() => _names.NoStatement(statementName)).ConfigureAwait(false);
            return;
        }

        await _pipeline.SettleParseAsync(except: statement).ConfigureAwait(false);
        if (session.Transaction.State == BlockState.Failed && !session.IsTransparent && !statement.IsTransaction)
        {
            await _pipeline.FailAsync(FailedBlock).ConfigureAwait(false);
            return;
        }

        if (portalName.Length > 0 && _names.PortalCount >= session.Services.Options.MaxPreparedPerClient)
        {
            await _pipeline.FailAsync(() => session.Fail(SessionErrors.TooManyStatements)).ConfigureAwait(false);
            return;
        }

        var portal = _names.PortalFor(portalName);
        portal.Statement = statement;
        portal.TransactionNumber = session.Transaction.Number;
        portal.Open?.IsClosed = true;
        portal.Open = null;
        portal.Parameters.Read(payload.Span, statement.TypeOids);
        portal.Server = null;
        portal.Dispatch = default;
        portal.HasRun = portal.IsDescribedByRun = false;
        portal.Started = session.Services.Time.GetTimestamp();
        if (statement.IsLocalIn(session))
        {
            await _pipeline.DrainAsync().ConfigureAwait(false);
            if (!_pipeline.SkipToSync && !_pipeline.SkipsToSync)
            {
                _pipeline.AnswerParse();
                MessageWriter.Empty(session.Output, BackendTag.BindComplete);
            }

            return;
        }

        if ((ViewExpansion.Concerns(session, statement) && !await ViewExpansion.GiveAsync(session, _pipeline, portal).ConfigureAwait(false))
            || (OwnValues.Concerns(session, portal.Statement) && !await OwnValues.GiveAsync(session, _pipeline, portal).ConfigureAwait(false)))
        {
            return;
        }

        statement = portal.Statement;
        while (true)
        {
            await DispatchAsync(portal).ConfigureAwait(false);
            if (portal.Dispatch.Error is { } error)
            {
                // What PostgreSQL has against the statement comes first.
                await _pipeline.SettleParseAsync().ConfigureAwait(false);
                await _pipeline.DrainAsync().ConfigureAwait(false);
                if (_pipeline.SkipToSync || _pipeline.SkipsToSync)
                {
                    return;
                }

                await _pipeline.FailAsync(() => session.Fail(error)).ConfigureAwait(false);
                return;
            }

            if (portal.Dispatch.Plan.Kind is not (RouteKind.Home or RouteKind.AnyNode or RouteKind.ByKey))
            {
                await BindSeveralAsync().ConfigureAwait(false);
                return;
            }

            var node = session.NodeFor(statement.Shape, portal.Dispatch.Table.Node(portal.Dispatch.NodeId));
            SequenceTruth.BeforeLease(session, node, statement.Shape);
            var opened = session.OpenResults?.ServerFor(statement.Shape);
            if ((opened is null ? await _pipeline.UseAsync(node, portal.Dispatch.Table).ConfigureAwait(false) : await _pipeline.UseAsync(opened).ConfigureAwait(false)) is { } server)
            {
                SessionEnd.Note(session, statement.Shape);
                if (!SequenceTruth.AfterLease(session, server, statement.Shape))
                {
                    await _pipeline.FailAsync(() => session.Fail(SessionErrors.SequenceGone)).ConfigureAwait(false);
                    return;
                }

                if (statement.Shape.Prepared is not null)
                {
                    await _pipeline.LendAsync(server, statement.Shape).ConfigureAwait(false);
                }

                await TypedStatements.BindAsync(_pipeline, server, portal, portalName).ConfigureAwait(false);
                portal.Server = server;
                return;
            }

            // The routing table changed while it waited for a connection: that one may be the wrong node's.
            SessionServers.Release(session);
        }
    }

    private async ValueTask DispatchAsync(Portal portal)
    {
        var statement = portal.Statement;
        if (StatementDispatch.TryDispatch(session, statement.Shape, new KeyInput(statement.Prefix.Span, statement.Literals, portal.Parameters, session.Relay.Told), out var dispatch, out _))
        {
            portal.Dispatch = dispatch;
            return;
        }

        // It will be held: the replies so far must not wait with it.
        await _pipeline.DrainAsync().ConfigureAwait(false);
        portal.Dispatch = await StatementDispatch.DispatchAsync(session, statement.Shape, statement.Prefix, statement.Literals, portal.Parameters).ConfigureAwait(false);
    }

    // The proxy carries it out over several nodes; the home node checks the statement for it.
    private async ValueTask BindSeveralAsync()
    {
        await _pipeline.SettleParseAsync().ConfigureAwait(false);
        await _pipeline.DrainAsync().ConfigureAwait(false);
        if (!_pipeline.SkipToSync && !_pipeline.SkipsToSync)
        {
            MessageWriter.Empty(session.Output, BackendTag.BindComplete);
        }
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask ExecuteAsync(ReadOnlyMemory<byte> payload)
    {
        var name = FrontendReader.ExecuteName(payload.Span);
        if (_names.FindPortal(name) is not { } portal)
        {
            if (!await _pipeline.TryForwardAsync(FrontendTag.Execute, payload, ReplyKind.Execute, name).ConfigureAwait(false))
            {
                await _pipeline.FailAsync(() => _names.NotThere((byte)'P', name)).ConfigureAwait(false);
            }

            return;
        }

        await _pipeline.SettleParseAsync().ConfigureAwait(false);
        if (portal.Server is { } server)
        {
            // A portal of an earlier pipeline may be on another server than the last request.
            await _pipeline.UseAsync(server).ConfigureAwait(false);
            SimpleQuery.MakeWay(session, portal.Statement.Shape);
            if (CursorNodes.IsCloseAll(portal.Statement.Shape))
            {
                await CursorNodes.CloseElsewhereAsync(session, server).ConfigureAwait(false);
            }

            TypedStatements.WriteExecute(server, portal, name, payload.Span);
            server.HasWritten |= !server.Key.IsWorkspace && SimpleQuery.MayWrite(portal.Statement.Shape);
            _pipeline.Add(portal, server);
            if (portal.Statement.Shape.Kind == StatementKind.Copy)
            {
                await _pipeline.DrainAsync().ConfigureAwait(false);
            }

            return;
        }

        await _pipeline.DrainAsync().ConfigureAwait(false);
        if (_pipeline.SkipToSync || _pipeline.SkipsToSync)
        {
            return;
        }

        await (_own ??= new OwnPortals(session, _pipeline)).RunAsync(portal, name, payload).ConfigureAwait(false);
    }

    private async ValueTask CloseAsync(ReadOnlyMemory<byte> payload)
    {
        var (kind, name) = FrontendReader.Target(payload.Span);
        await _pipeline.SettleParseAsync().ConfigureAwait(false);
        if (kind == (byte)'S' && _names.Find(name) is null && _pipeline.HolderOfSql(name) is { } holder)
        {
            await _pipeline.UseAsync(holder.Node, null).ConfigureAwait(false);
            MessageWriter.Raw(holder.Output, FrontendTag.Close, payload.Span);
            holder.Owed.Enqueue(ReplyKind.Close, isHidden: false);
            holder.HasUnsynced = true;
            holder.SqlStatements?.Remove(name);
            VariableExecutor.Suspect(session, holder, StateKinds.Prepared);
            return;
        }

        if (kind == (byte)'S')
        {
            // The servers keep the canonical statement for others; only the client's name ends.
            _names.Remove(name);
        }
        else if (_names.FindPortal(name) is { } portal)
        {
            _names.RemovePortal(name);
            if (portal.Server is { IsBroken: false } server)
            {
                portal.Open?.IsClosed = true;
                await _pipeline.UseAsync(server).ConfigureAwait(false);
                MessageWriter.Raw(server.Output, FrontendTag.Close, payload.Span);
                server.Owed.Enqueue(ReplyKind.Close, isHidden: false);
                server.HasUnsynced = true;
                return;
            }
        }
        else if (await _pipeline.TryForwardAsync(FrontendTag.Close, payload, ReplyKind.Close, name).ConfigureAwait(false))
        {
            return;
        }

        await _pipeline.DrainAsync().ConfigureAwait(false);
        if (!_pipeline.SkipsToSync)
        {
            MessageWriter.Empty(session.Output, BackendTag.CloseComplete);
        }
    }

    private async ValueTask FlushAsync()
    {
        await _pipeline.SettleParseAsync().ConfigureAwait(false);
        await _pipeline.DrainAsync().ConfigureAwait(false);
        await Relay.FlushClientAsync().ConfigureAwait(false);
    }

    private async ValueTask EndBatchAsync()
    {
        await FlushAsync().ConfigureAwait(false);
        if (CopyServer is not null)
        {
            throw new ProtocolException("08P01", "unexpected simple query or function call during COPY from stdin");
        }

        if (_pipeline.SkipToSync || _pipeline.SkipsToSync)
        {
            return;
        }

        if (_pipeline is { HasBegun: true, Server: { } begun })
        {
            // pgjdbc sends its SAVEPOINT so behind the BEGIN of a block: the session has to know of it.
            await _pipeline.SyncNowAsync(begun).ConfigureAwait(false);
        }

        if (session.Transaction.IsImplicit || (session.Transaction.State == BlockState.Idle && _pipeline.HasExecuted))
        {
            // It would be part of the implicit transaction of what was executed, whichever node it is for.
            await _pipeline.FailAsync(() => session.Fail(RoutingErrors.QueryWithoutSync)).ConfigureAwait(false);
            return;
        }

        await _pipeline.SyncServerAsync().ConfigureAwait(false);
        _pipeline.Server = null;
        _pipeline.HasExecuted = false;
        _inBatch = false;
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask SyncAsync()
    {
        if (!_pipeline.SkipToSync)
        {
            await _pipeline.SettleParseAsync().ConfigureAwait(false);
        }

        _pipeline.AbandonParse();
        var forwarded = false;
        if (_pipeline.Server is { IsBroken: false } server && (server.HasUnsynced || server.Owed.Count > 0))
        {
            MessageWriter.Empty(server.Output, FrontendTag.Sync);
            server.Owed.Enqueue(ReplyKind.Sync, isHidden: _pipeline.SkipToSync);
            server.SkipsToSync = false;
            server.HasUnsynced = false;
            Relay.ForwardsReady = !session.HasSuspicion && !_pipeline.LeavesState && !server.Key.IsWorkspace && !session.Transaction.IsImplicit;
            forwarded = !_pipeline.SkipToSync && Relay.ForwardsReady;
            await Relay.FlushServerAsync(server).ConfigureAwait(false);
            var stop = await Relay.RelayAsync(server).ConfigureAwait(false);
            if (stop == RelayStop.CopyIn)
            {
                _pipeline.BeginCopy(server);
                return;
            }

            _pipeline.EndStatements();
            if (stop == RelayStop.ServerLost)
            {
                ServerLoss.Report(session, server, server.HasWritten);
                forwarded = false;
            }
        }

        _pipeline.Server = null;
        _pipeline.SkipToSync = false;
        _pipeline.HasExecuted = false;
        if (session.Transaction.IsImplicit)
        {
            await ImplicitBlock.EndAsync(session).ConfigureAwait(false);
        }

        session.Activity.EndStatement(session.Transaction.State == BlockState.Idle);
        if (session.Transaction.State == BlockState.Idle)
        {
            // Portals end with their transaction.
            session.Transaction.EndImplicit();
            _names.ClearPortals();
        }
        await SimpleQuery.SettleAsync(session).ConfigureAwait(false);
        if (!forwarded)
        {
            MessageWriter.ReadyForQuery(session.Output, session.Transaction.StatusByte);
        }

        await Relay.FlushClientAsync().ConfigureAwait(false);
        await _pipeline.TellSchemaChangeAsync().ConfigureAwait(false);
    }

    private void FailedBlock() => session.Fail("25P02", "current transaction is aborted, commands ignored until end of transaction block");
}
