using System.Text;
using ShardProxy.DataPath.Routing;
using ShardProxy.DataPath.Servers;
using ShardProxy.DataPath.Sessions;
using ShardProxy.Model.Topology;
using ShardProxy.Sql;
using ShardProxy.Wire.Messages;

namespace ShardProxy.DataPath.Execution;

/// <summary>
/// DECLARE, EXPLAIN and COPY (…) TO STDOUT of a SELECT over several nodes: the SELECT's rows are gathered, and the statement runs there on the SELECT that reads
/// those. A cursor stays open where it was declared (<see cref="OpenResults"/>).
/// </summary>
internal sealed class EnclosedQueryExecutor
{
    private readonly Session _session;
    private readonly Dispatch _dispatch;
    private readonly StatementShape _shape;
    private readonly NodeCommand _command;
    private readonly Range _place;

    private EnclosedQueryExecutor(Session session, Dispatch dispatch, StatementShape shape, NodeCommand command)
    {
        _session = session;
        _dispatch = dispatch;
        _shape = shape;
        _command = command;
        _place = shape.Enclosed!.In(command.Sql.Span);
    }

    private ReadOnlyMemory<byte> Before => _command.Sql[.._place.Start];

    private ReadOnlyMemory<byte> After => _command.Sql[_place.End..];

    /// <summary>Runs the statement. Writes its reply, no ReadyForQuery; a RowDescription only when <paramref name="describesRows"/>.</summary>
    public static async ValueTask RunAsync(Session session, Dispatch dispatch, StatementShape shape, NodeCommand command, bool describesRows)
    {
        if (shape.Enclosed is null)
        {
            // COPY of a table is that of its columns.
            command = command with { Sql = CopyText.WithQuery(command.Sql.Span, TableQuery(dispatch.Plan.Tables[0], shape.Copy!)) };
            shape = await session.Services.Analyzer.AnalyzeAsync(command.Sql, session.Connection.Closed).ConfigureAwait(false);
            if (shape is not { Enclosed: not null, Kind: StatementKind.Copy })
            {
                session.Fail(RoutingErrors.Unsupported);
                return;
            }
        }

        var executor = new EnclosedQueryExecutor(session, dispatch, shape, command);
        if (await executor.QueryAsync().ConfigureAwait(false) is not (var plan, var query, var text))
        {
            return;
        }

        switch (shape.Kind)
        {
            case StatementKind.DeclareCursor:
                // Combined parts have no names for their columns.
                await executor.DeclareAsync(plan with { IsPartial = false }, query, text).ConfigureAwait(false);
                break;
            case StatementKind.Copy:
                await executor.CopyAsync(plan with { IsPartial = false }, query, text).ConfigureAwait(false);
                break;
            default:
                await executor.ExplainAsync(plan, query, text, describesRows).ConfigureAwait(false);
                break;
        }
    }

    // Generated columns are not copied. All others by a star: that the server's idea of it is the proxy's is looked after when the rows are gathered.
    private static string TableQuery(PlacedTable table, CopySummary copy)
    {
        var columns = !copy.Columns.IsEmpty ? copy.Columns.Select(SqlIdentifier.Quote)
            : table.Columns.Any(c => c.IsGenerated) ? table.Columns.Where(c => !c.IsGenerated).Select(c => SqlIdentifier.Quote(c.Name))
            : ["*"];
        return $"SELECT {string.Join(", ", columns)} FROM ONLY {table.Name}";
    }

    // The SELECT as a statement of its own; null when the error has been written.
    private async ValueTask<(RoutePlan Plan, StatementShape Shape, ReadOnlyMemory<byte> Text)?> QueryAsync()
    {
        var text = _command.Sql[_place];
        var analyzer = _session.Services.Analyzer;
        var scan = analyzer.Scan(text.Span, 0, new LiteralList());
        if (scan.Outcome is ScanOutcome.Refused or ScanOutcome.Empty)
        {
            _session.Fail(scan.Error ?? RoutingErrors.Unsupported);
            return null;
        }

        text = text[scan.Start..scan.End];
        var shape = scan.Shape ?? await analyzer.AnalyzeAsync(text, _session.Connection.Closed).ConfigureAwait(false);
        var plan = RoutePlanner.PlanFor(shape, _dispatch.Table, _session.HasDefaultSearchPath);
        for (; plan is not { Kind: RouteKind.Gather }; plan = plan.Otherwise)
        {
            if (plan.Otherwise is null)
            {
                _session.Fail(RoutingErrors.NoKey);
                return null;
            }
        }

        return (plan, shape, text);
    }

    private async ValueTask DeclareAsync(RoutePlan plan, StatementShape query, ReadOnlyMemory<byte> text)
    {
        if (_session.Transaction.State != BlockState.InBlock)
        {
            _session.Fail("25P01", "DECLARE CURSOR can only be used in transaction blocks");
            return;
        }

        var open = _session.OpenResults ??= new OpenResults(_session);
        await open.SweepAsync().ConfigureAwait(false);
        var name = CursorNodes.NameIn(_shape);
        if (!open.HasRoom || _session.Cursors?.IsOpen(_session, name) == true)
        {
            _session.Fail(open.HasRoom ? SessionErrors.CursorExists : SessionErrors.TooManyOpenResults);
            return;
        }

        if (await GatherExecutor.KeepAsync(_session, plan, _dispatch.Table, query, new NodeCommand(text, _command.Parameters)).ConfigureAwait(false) is not { } statement)
        {
            return;
        }

        var isKept = false;
        try
        {
            var result = await SideDialog.RunAsync(statement.Workspace, _command with { Sql = Around(statement.Sql) }).ConfigureAwait(false);
            if (!result.IsOk)
            {
                _session.Fail(result.ErrorPayload!);
                return;
            }

            open.Add(statement, name);
            isKept = true;
            MessageWriter.CString(_session.Output, BackendTag.CommandComplete, result.Tag);
        }
        catch (EndOfStreamException)
        {
            ServerLoss.Report(_session, statement.Workspace, mayHaveWritten: false);
        }
        finally
        {
            if (!isKept)
            {
                await statement.EndAsync(_session).ConfigureAwait(false);
            }
        }
    }

    private async ValueTask CopyAsync(RoutePlan plan, StatementShape query, ReadOnlyMemory<byte> text)
    {
        if (await GatherExecutor.KeepAsync(_session, plan, _dispatch.Table, query, new NodeCommand(text, null)).ConfigureAwait(false) is not { } statement)
        {
            return;
        }

        var workspace = statement.Workspace;
        var relay = _session.Relay;
        try
        {
            MessageWriter.CString(workspace.Output, FrontendTag.Query, Around(statement.Sql));
            workspace.UnnamedStatement = null;
            workspace.Owed.Enqueue(ReplyKind.Query, isHidden: false);
            relay.ForwardsReady = false;
            await relay.FlushServerAsync(workspace).ConfigureAwait(false);
            if (await relay.RelayAsync(workspace).ConfigureAwait(false) == RelayStop.ServerLost)
            {
                ServerLoss.Report(_session, workspace, mayHaveWritten: false);
            }
            else if (relay.Error is not null)
            {
                _session.NoteServerError();
            }
        }
        catch (Exception e) when (ServerLoss.IsLoss(_session, e))
        {
            ServerLoss.Report(_session, workspace, mayHaveWritten: false);
        }
        finally
        {
            await statement.EndAsync(_session).ConfigureAwait(false);
        }
    }

    private async ValueTask ExplainAsync(RoutePlan plan, StatementShape query, ReadOnlyMemory<byte> text, bool describesRows)
    {
        var lines = new List<string>();
        var isDone = await GatherExecutor.ExplainAsync(
            _session, plan, _dispatch.Table, query, new NodeCommand(text, _command.Parameters), fills: _shape.Enclosed!.IsAnalyzed, TellAsync).ConfigureAwait(false);
        if (!isDone)
        {
            return;
        }

        if (describesRows)
        {
            MessageWriter.Raw(_session.Output, BackendTag.RowDescription, PlanColumn);
        }

        foreach (var line in lines)
        {
            RowWriter.Write(_session.Output, [Encoding.UTF8.GetBytes(line)]);
        }

        MessageWriter.CString(_session.Output, BackendTag.CommandComplete, "EXPLAIN");

        async ValueTask<bool> TellAsync(GatheredPlan gathered)
        {
            lines.Add($"ShardProxy: {(gathered.IsPartial ? "each node answers for its own rows, combined" : "rows gathered from the nodes, the statement finished")} on {gathered.Workspace.Node.Name}");
            if (!await AddAsync(gathered.Workspace, _command with { Sql = Around(gathered.Final), TextResults = true }, "  ").ConfigureAwait(false))
            {
                return false;
            }

            foreach (var (server, relation, sql) in gathered.Parts)
            {
                lines.Add($"  {relation} from {server.Node.Name}");
                if (!await AddAsync(server, new NodeCommand(Around(Encoding.UTF8.GetBytes(sql)), null), "    ").ConfigureAwait(false))
                {
                    return false;
                }
            }

            return true;
        }

        async ValueTask<bool> AddAsync(ServerConnection server, NodeCommand explain, string indent)
        {
            var result = await SideDialog.RunAsync(server, explain).ConfigureAwait(false);
            if (!result.IsOk)
            {
                _session.Fail(result.ErrorPayload!);
                return false;
            }

            lines.AddRange(result.Rows.Select(r => indent + Encoding.UTF8.GetString(r[0] ?? [])));
            return true;
        }
    }

    // One column "QUERY PLAN" of type text, as of no table (PostgreSQL documentation, "Message Formats": RowDescription).
    private static byte[] PlanColumn => [0, 1, .. "QUERY PLAN\0"u8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 25, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0];

    private byte[] Around(byte[] query) => [.. Before.Span, .. query, .. "\n"u8, .. After.Span];
}

/// <summary>How a SELECT over several nodes is finished, for EXPLAIN.</summary>
/// <param name="Workspace">Where it is finished; the tables for the rows are there.</param>
/// <param name="IsPartial">Each node answers for its own rows.</param>
/// <param name="Final">What is run there.</param>
/// <param name="Parts">What each node is asked for, and for which relation of the temporary ones.</param>
internal sealed record GatheredPlan(ServerConnection Workspace, bool IsPartial, byte[] Final, IReadOnlyList<(ServerConnection Server, string Relation, string Sql)> Parts);
