using System.Globalization;
using System.Text;
using ShardProxy.DataPath.Routing;
using ShardProxy.DataPath.Servers;
using ShardProxy.DataPath.Sessions;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Topology;
using ShardProxy.Sql;
using ShardProxy.Wire.Messages;

namespace ShardProxy.DataPath.Execution;

/// <summary>
/// A statement with writes in its WITH, of which not all parts are on one node, in one transaction: each write is run where its rows are, and the rows it returns take
/// its place in the text of what follows. What follows is then a statement without such parts (<see cref="WritingWithPlanner"/>).
/// </summary>
internal sealed class WritingWithExecutor
{
    // Of a message: its tag and its length.
    private const int HeaderBytes = 5;

    private readonly Session _session;
    private readonly RoutePlan _plan;
    private readonly RoutingTable _table;
    private readonly StatementShape _shape;
    private readonly WritingWith _with;
    private readonly WriteText _text;
    private readonly SuppliedRows?[] _rows;
    private readonly bool _describes;
    private NodeCommand _command;
    private byte[] _description = [];
    private ServerConnection _home = null!;

    private WritingWithExecutor(Session session, in Dispatch dispatch, StatementShape shape, NodeCommand command, bool describesRows)
    {
        (_session, _plan, _table, _shape, _command, _describes) = (session, dispatch.Plan, dispatch.Table, shape, command with { Sql = command.Sql.ToArray() }, describesRows);
        _with = shape.WritingWith!;
        _text = new WriteText(_command.Sql, shape);
        _rows = new SuppliedRows?[_with.Parts.Length];
    }

    /// <summary>Runs the statement. Writes its reply, no ReadyForQuery, and a RowDescription only when <paramref name="describesRows"/>.</summary>
    public static async ValueTask RunAsync(Session session, Dispatch dispatch, StatementShape shape, NodeCommand command, bool describesRows)
    {
        var executor = new WritingWithExecutor(session, dispatch, shape, command, describesRows);
        var isImplicit = session.Transaction.State == BlockState.Idle;
        if (isImplicit)
        {
            ImplicitBlock.Begin(session);
        }

        var errors = session.Errors;
        string? tag = null;
        try
        {
            tag = await executor.RunAsync().ConfigureAwait(false);
        }
        catch (EndOfStreamException)
        {
            var lost = session.Transaction.Participants.FirstOrDefault(s => s.IsBroken) ?? executor._home;
            ServerLoss.Report(session, lost, mayHaveWritten: false);
        }
        catch when (isImplicit)
        {
            await TransactionExecutor.RollbackBlockAsync(session).ConfigureAwait(false);
            throw;
        }

        var isDone = session.Errors == errors && session.Relay.Error is null;
        if (isImplicit && !isDone)
        {
            await TransactionExecutor.RollbackBlockAsync(session).ConfigureAwait(false);
        }
        else if (isDone && (!isImplicit || await TransactionExecutor.CommitBlockAsync(session).ConfigureAwait(false)) && tag is not null)
        {
            MessageWriter.CString(session.Output, BackendTag.CommandComplete, tag);
        }
    }

    // The command tag; null when it has been told already, or an error.
    private async ValueTask<string?> RunAsync()
    {
        _home = await SessionServers.GetAsync(_session, _table.HomeNode).ConfigureAwait(false);
        var whole = await StatementCheck.RunAsync(_home, _command.Sql, _command.Parameters?.TypeOids ?? []).ConfigureAwait(false);
        if (!Passed(whole))
        {
            return null;
        }

        if (_command.Parameters is null && whole.ParameterTypes.Length > 0)
        {
            _session.Fail("42P02", "there is no parameter $1");
            return null;
        }

        _description = whole.RowDescription ?? [];
        _command = _command.Parameters is null ? _command : _command with { ParameterTypes = whole.ParameterTypes };
        if (!await AreTablesPlainAsync().ConfigureAwait(false))
        {
            return null;
        }

        for (var part = 0; part < _rows.Length; part++)
        {
            if (_with.Parts[part].IsWrite && !await WriteAsync(part).ConfigureAwait(false))
            {
                return null;
            }
        }

        return await RunMainAsync().ConfigureAwait(false);
    }

    // What a view reads or a trigger writes is not in the statement's text.
    private async ValueTask<bool> AreTablesPlainAsync()
    {
        string Names(IEnumerable<RelationUse> uses) => string.Join(", ", uses.Select(u => SqlIdentifier.Literal(u.Schema is { } schema ? new QualifiedName(schema, u.Name).ToString() : SqlIdentifier.Quote(u.Name))));
        var found = await SideDialog.RunAsync(
            _home,
            $$"""
            SELECT 1 FROM pg_catalog.pg_class c
            WHERE (c.oid = ANY (ARRAY[{{Names(_shape.Relations)}}]::pg_catalog.regclass[]) AND (c.relkind <> 'r' OR c.relhasrules OR c.relhassubclass OR c.relispartition))
              OR (c.oid = ANY (ARRAY[{{Names(_shape.Relations.Where(r => r.Role != RelationRole.Read))}}]::pg_catalog.regclass[]) AND EXISTS (
                SELECT FROM pg_catalog.pg_trigger g JOIN pg_catalog.pg_proc p ON p.oid = g.tgfoid
                WHERE g.tgrelid = c.oid AND g.tgenabled <> 'D' AND NOT pg_catalog.starts_with(g.tgname::pg_catalog.text, '~~shardproxy') AND p.proname !~ '^RI_FKey_(check|noaction)_'))
            """).ConfigureAwait(false);
        if (!Passed(found))
        {
            return false;
        }

        if (found.Rows.Count > 0)
        {
            _session.Fail(_plan.Refusal!);
            return false;
        }

        return true;
    }

    private async ValueTask<bool> WriteAsync(int part)
    {
        var text = await ComposeAsync(part, _with.Parts[part].Body).ConfigureAwait(false);
        var described = await StatementCheck.RunAsync(_home, text, _command.ParameterTypes ?? []).ConfigureAwait(false);
        if (!Passed(described)
            || await RouteAsync(text, _command with { TextResults = true }, forRows: true).ConfigureAwait(false) is not { } routed
            || await TextsAsync(routed).ConfigureAwait(false) is not { } texts)
        {
            return false;
        }

        var rows = await SuppliedRows.ForReturnedAsync(_session, _home, described.RowDescription ?? [], _text.Part(_with.Parts[part].Body), routed.Shape).ConfigureAwait(false);
        if (rows is null)
        {
            return false;
        }

        foreach (var (server, sql) in texts)
        {
            server.HasWritten = true;
            SequenceTruth.AfterLease(_session, server, routed.Shape);
            (routed.Command with { Sql = sql }).Send(server);
            await server.Output.FlushAsync().ConfigureAwait(false);
            var kept = new List<byte[]>();
            var reply = new WriteReply(_session, server, describes: false, kept) { MaxKeptBytes = SuppliedRows.MaxBytes };
            await reply.ReadAsync().ConfigureAwait(false);
            if (reply.Error is { } error)
            {
                Fail(error);
                return false;
            }

            if (reply.IsOverfull)
            {
                _session.Fail(ExecutionErrors.TooManyPulledRows);
                return false;
            }

            if (!rows.Add(_session, [.. kept.Select(r => SideDialog.Values(r.AsSpan(HeaderBytes)))]))
            {
                return false;
            }
        }

        _rows[part] = rows;
        return true;
    }

    private async ValueTask<string?> RunMainAsync()
    {
        var text = await ComposeAsync(_rows.Length, new TokenSpan(_with.MainToken, _text.LastToken)).ConfigureAwait(false);
        if (await RouteAsync(text, _command, forRows: false).ConfigureAwait(false) is not { } routed)
        {
            return null;
        }

        if (_describes && _description.Length > 0)
        {
            MessageWriter.Raw(_session.Output, BackendTag.RowDescription, _description);
        }

        if (routed.Dispatch.Plan.Kind is not (RouteKind.Home or RouteKind.AnyNode or RouteKind.ByKey))
        {
            if (await SeveralNodesExecutor.RunAsync(_session, routed.Dispatch, routed.Shape, routed.Command, describesRows: false).ConfigureAwait(false))
            {
                _session.Fail(ExecutionErrors.FencedTooOften);
            }

            return null;
        }

        var server = await SessionServers.GetAsync(_session, _table.Node(routed.Dispatch.NodeId)).ConfigureAwait(false);
        server.HasWritten |= !routed.Shape.IsReadOnly;
        SequenceTruth.AfterLease(_session, server, routed.Shape);
        routed.Command.Send(server);
        await server.Output.FlushAsync().ConfigureAwait(false);
        var reply = new WriteReply(_session, server, describes: false, kept: null);
        await reply.ReadAsync().ConfigureAwait(false);
        if (reply.Error is { } error)
        {
            Fail(error);
            return null;
        }

        return string.Create(CultureInfo.InvariantCulture, $"{reply.Verb} {reply.Count}");
    }

    /// <summary>A part as a statement of its own: with the WITH queries before it, if it names one.</summary>
    private async ValueTask<byte[]> ComposeAsync(int part, TokenSpan span)
    {
        var body = _text.Part(span);
        var names = _with.Parts.Take(part).Select(p => p.Name).ToHashSet(StringComparer.Ordinal);
        if (!_text.Names(span, names))
        {
            return Encoding.UTF8.GetBytes(body);
        }

        var with = new StringBuilder();
        for (var i = 0; i < part; i++)
        {
            var first = i == 0 ? 1 : _with.Parts[i - 1].Body.Last + 3;
            with.Append(i == 0 ? "WITH " : ", ").Append(_text.Part(new TokenSpan(first, _with.Parts[i].Body.First - 1))).Append(_rows[i]?.Query() ?? _text.Part(_with.Parts[i].Body)).Append("\n)");
        }

        // The query of an INSERT is planned by what stands in it.
        var bytes = Encoding.UTF8.GetBytes(body);
        var shape = await OwnValues.AnalyzeAsync(_session, bytes, new LiteralList()).ConfigureAwait(false);
        if (shape.Insert is { QueryTokens: { } query })
        {
            var insert = new WriteText(bytes, shape);
            var word = insert.Part(new TokenSpan(query.First, query.First));
            if (!word.Equals("with", StringComparison.OrdinalIgnoreCase) && (query.Last == insert.LastToken || !insert.Names(new TokenSpan(query.Last + 1, insert.LastToken), names)))
            {
                return insert.With([insert.Replacing(new TokenSpan(query.First, query.First), $"{with}\n{word}")]);
            }
        }

        return Encoding.UTF8.GetBytes($"{with}\n{body}");
    }

    private sealed record Routed(StatementShape Shape, Dispatch Dispatch, NodeCommand Command);

    // As a statement of the client's would be, with the values that it needs from the proxy; null when the client has been told an error.
    private async ValueTask<Routed?> RouteAsync(byte[] text, NodeCommand command, bool forRows)
    {
        command = command with { Sql = text };
        var shape = await OwnValues.AnalyzeAsync(_session, text, _session.Literals).ConfigureAwait(false);
        if (DefaultKeyValues.PlanOf(_session, shape) is { } drawn)
        {
            if (await DefaultKeyValues.WithLiteralsAsync(_session, drawn, shape, command).ConfigureAwait(false) is not { } made)
            {
                return null;
            }

            command = command with { Sql = made.Text };
            shape = await OwnValues.AnalyzeAsync(_session, made.Text, _session.Literals).ConfigureAwait(false);
            _session.DrawnNumbers.Statement = shape;
        }

        if (TransactionMoment.MayConcern(_session, shape))
        {
            if (await TransactionMoment.PutInAsync(_session, shape, command.Sql, command.Sql, _session.Literals, command.Parameters).ConfigureAwait(false) is not { } timed)
            {
                return null;
            }

            command = command with { Sql = timed };
            shape = await OwnValues.AnalyzeAsync(_session, timed, _session.Literals).ConfigureAwait(false);
        }

        var dispatch = Place(shape, command);
        var isKnown = dispatch?.Plan.Kind is RouteKind.Home or RouteKind.ByKey or RouteKind.NodeWrites or RouteKind.SplitInsert or RouteKind.SuppliedWrite
            || (!forRows && dispatch?.Plan.Kind is RouteKind.AnyNode or RouteKind.Aggregate or RouteKind.Scatter or RouteKind.Gather or RouteKind.PullInsert or RouteKind.ReplicatedWrite);
        if (!isKnown)
        {
            _session.Fail(dispatch?.Plan.Refusal ?? _plan.Refusal!);
            return null;
        }

        return new Routed(shape, dispatch!.Value, command);
    }

    // The ranges of all its tables are held for the whole statement: no part has to wait.
    private Dispatch? Place(StatementShape shape, NodeCommand command)
    {
        var input = new KeyInput(command.Sql.Span, _session.Literals, command.Parameters, _session.Relay.Told);
        var plan = RoutePlanner.PlanFor(shape, _table, _session.HasDefaultSearchPath);
        if (plan.Kind == RouteKind.ByKey)
        {
            if (Router.Route(plan, input, _table, null, new TouchSet(), out var node, out var hash, out _) != KeyRoute.Refused)
            {
                return new Dispatch(plan, _table, node, hash, null);
            }

            if (plan.Otherwise is not { } several)
            {
                return null;
            }

            plan = several;
        }

        var home = _table.HomeNode.Id;
        switch (plan.Kind)
        {
            case RouteKind.SplitInsert:
                return Router.RouteRows(plan, input, _table, new TouchSet()) is { } nodes ? new Dispatch(plan, _table, home, null, null) { RowNodes = nodes } : null;
            case RouteKind.SuppliedWrite when plan.GroupId == 0:
                return new Dispatch(plan, _table, home, null, null) { Owners = [home] };
            default:
                return new Dispatch(plan, _table, home, null, null);
        }
    }

    // The texts of a part that writes, for its servers in the order in which writes over several nodes take them.
    private async ValueTask<List<(ServerConnection Server, ReadOnlyMemory<byte> Sql)>?> TextsAsync(Routed routed)
    {
        var (plan, command) = (routed.Dispatch.Plan, routed.Command);
        int[] ids = plan.Kind is RouteKind.Home or RouteKind.ByKey ? [routed.Dispatch.NodeId] : routed.Dispatch.RowNodes ?? [.. routed.Dispatch.Owners];
        var servers = new List<ServerConnection>();
        foreach (var node in ids.Distinct().Select(_table.Node).OrderByDescending(n => n.IsHome).ThenBy(n => n.Id))
        {
            servers.Add(await SessionServers.GetAsync(_session, node).ConfigureAwait(false));
        }

        if (plan.Kind is RouteKind.Home or RouteKind.ByKey)
        {
            return [(servers[0], command.Sql)];
        }

        if (await WritePreparation.RunAsync(_session, _home, command, reads: false).ConfigureAwait(false) is not var (_, time))
        {
            return null;
        }

        SuppliedWrite? supplied = null;
        if (plan.Kind == RouteKind.SuppliedWrite)
        {
            supplied = await SuppliedWrite.ReadAsync(_session, _table, routed.Shape, command, time, _home).ConfigureAwait(false);
            if (supplied is null)
            {
                return null;
            }
        }

        var text = new WriteText(command.Sql, routed.Shape);
        return [.. servers.Select(s => (s, Timed(For(s.Node))))];

        ReadOnlyMemory<byte> Timed(ReadOnlyMemory<byte> sql) => time is null ? sql : Encoding.UTF8.GetBytes(TransactionTimeText.Replace(Encoding.UTF8.GetString(sql.Span), time));

        ReadOnlyMemory<byte> For(Node node)
        {
            if (supplied is not null)
            {
                return supplied.For(node);
            }

            if (routed.Dispatch.RowNodes is { } rows)
            {
                return text.WithRows(row => rows[row] == node.Id);
            }

            // While a range of the group moves, a node may have rows of it that it does not own.
            var target = routed.Shape.Relations[routed.Shape.RestrictableTarget];
            return _table.Moves.Any(m => m.GroupId == plan.GroupId)
                && RelationResolver.Resolve(_table, target.Schema, target.Name, _session.HasDefaultSearchPath, out var placed) == RelationClass.Placed
                ? text.WithPredicate(Router.OwnedPredicate(_table, placed!, node.Id, SqlIdentifier.Quote(target.Alias ?? target.Name)))
                : command.Sql;
        }
    }

    private void Fail(byte[] error)
    {
        var fields = ErrorFields.Read(error);
        if (FencedStatement.IsGateError(fields))
        {
            FencedStatement.Refuse(_session, _shape, fields, _table);
        }
        else
        {
            _session.Fail(error);
        }
    }

    private bool Passed(DialogResult result)
    {
        if (!result.IsOk)
        {
            _session.Fail(result.ErrorPayload!);
        }

        return result.IsOk;
    }
}
