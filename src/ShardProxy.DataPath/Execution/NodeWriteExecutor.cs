using System.Buffers;
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
/// A write of a sharded table whose rows are on several nodes, in one transaction: of an INSERT each node gets the rows it owns, an UPDATE or DELETE
/// runs on each node on the rows it owns, perhaps with rows from elsewhere written into its text (<see cref="SuppliedWrite"/>). One node after another, always in the same order, so that two such statements cannot wait for each other.
/// </summary>
internal sealed class NodeWriteExecutor
{
    // Rows that are kept to be told in the order of the VALUES; above it they come node by node.
    private const int MaxKeptRows = 10_000;
    private const long MaxKeptBytes = 4 * 1024 * 1024;

    private readonly Session _session;
    private readonly RoutePlan _plan;
    private readonly RoutingTable _table;
    private readonly StatementShape _shape;

    // Of an INSERT the node of each row, else the nodes.
    private readonly int[] _nodes;
    private readonly bool _isInBlock;
    private NodeCommand _command;
    private string? _time;
    private SuppliedWrite? _supplied;
    private bool _describes;
    private bool _hasForwarded;
    private bool _isFenced;

    private NodeWriteExecutor(Session session, in Dispatch dispatch, StatementShape shape, NodeCommand command, bool describesRows)
    {
        _session = session;
        (_plan, _table) = (dispatch.Plan, dispatch.Table);
        _nodes = dispatch.RowNodes ?? [.. dispatch.Owners];
        _shape = shape;
        _command = command;
        _describes = describesRows;
        _isInBlock = session.Transaction.State != BlockState.Idle;
    }

    /// <summary>
    /// Runs the statement. Writes its reply, no ReadyForQuery, and a RowDescription only when <paramref name="describesRows"/>. True when a closed gate
    /// refused it before it had any effect, and nothing was written: route it again.
    /// </summary>
    public static async ValueTask<bool> RunAsync(Session session, Dispatch dispatch, StatementShape shape, NodeCommand command, bool describesRows)
    {
        var write = new NodeWriteExecutor(session, dispatch, shape, command, describesRows);
        await FanOutExecutor.InBlockAsync(session, dispatch.Plan, write.RunAsync).ConfigureAwait(false);
        return write._isFenced;
    }

    private async ValueTask<string?> RunAsync()
    {
        var nodes = _nodes.Distinct().Select(_table.Node).OrderByDescending(n => n.IsHome).ThenBy(n => n.Id).ToArray();
        var servers = new ServerConnection[nodes.Length];
        for (var i = 0; i < nodes.Length; i++)
        {
            servers[i] = await SessionServers.GetAsync(_session, nodes[i]).ConfigureAwait(false);
        }

        try
        {
            // Functions that a list of one row may call, and one of several rows may not: the statement is read as it is. The home node has every table.
            var isSupplied = _plan.Kind == RouteKind.SuppliedWrite;
            var reader = isSupplied ? await SessionServers.GetAsync(_session, _table.HomeNode).ConfigureAwait(false) : servers[0];
            var hasParts = isSupplied || (_plan.Kind == RouteKind.SplitInsert && !_shape.Functions.All(PureFunctions.Contains));
            if (await WritePreparation.RunAsync(_session, reader, _command, hasParts).ConfigureAwait(false) is not { } prepared)
            {
                return null;
            }

            (_command, _time) = prepared;
            return !isSupplied || await SupplyAsync(reader, servers[0]).ConfigureAwait(false) ? await RunOnAsync(servers).ConfigureAwait(false) : null;
        }
        catch (EndOfStreamException)
        {
            ServerLoss.Report(_session, servers.FirstOrDefault(s => s.IsBroken) ?? servers[0], mayHaveWritten: false);
            return null;
        }
    }

    // With the rows that it reads from elsewhere: what a server cannot read then is refused.
    private async ValueTask<bool> SupplyAsync(ServerConnection home, ServerConnection first)
    {
        _supplied = await SuppliedWrite.ReadAsync(_session, _table, _shape, _command, _time, home).ConfigureAwait(false);
        if (_supplied is null)
        {
            return false;
        }

        var read = await StatementCheck.RunAsync(first, Timed(_supplied.For(first.Node)), _command.ParameterTypes ?? []).ConfigureAwait(false);
        if (!read.IsOk)
        {
            _session.Fail(RoutingErrors.NoKey);
        }

        return read.IsOk;
    }

    private ReadOnlyMemory<byte> Timed(ReadOnlyMemory<byte> text) => _time is null ? text : Encoding.UTF8.GetBytes(TransactionTimeText.Replace(Encoding.UTF8.GetString(text.Span), _time));

    private async ValueTask<string?> RunOnAsync(ServerConnection[] servers)
    {
        var texts = Texts(servers);
        NoteSequences(servers);
        var keeps = _shape.Insert is { HasReturning: true, HasOnConflict: false } && _nodes.Length <= MaxKeptRows;
        var kept = new List<List<byte[]>>();
        var (verb, count, keptBytes) = ("", 0L, 0L);
        for (var i = 0; i < servers.Length; i++)
        {
            var server = servers[i];
            server.HasWritten = true;
            (_command with { Sql = Timed(texts[i]) }).Send(server);
            await server.Output.FlushAsync().ConfigureAwait(false);
            if (keeps)
            {
                kept.Add([]);
            }

            var reply = new WriteReply(_session, server, _describes, keeps ? kept[i] : null);
            await reply.ReadAsync().ConfigureAwait(false);
            _describes = false;
            _hasForwarded |= reply.HasForwarded;
            if (reply.Error is { } error)
            {
                Fail(error);
                return null;
            }

            verb = reply.Verb;
            count += reply.Count;
            keptBytes += reply.KeptBytes;
            if (keptBytes > MaxKeptBytes)
            {
                Write(kept.SelectMany(rows => rows));
                (keeps, keptBytes) = (false, 0);
                kept.Clear();
            }
        }

        if (StateRules.After(_shape) is not StateKinds.None and var kinds)
        {
            // A function of the statement may have left something on any of them.
            foreach (var server in servers)
            {
                VariableExecutor.Suspect(_session, server, kinds);
            }
        }

        if (keeps)
        {
            Write(InOrder(servers, kept));
        }

        return string.Create(CultureInfo.InvariantCulture, $"{verb} {count}");
    }

    // The values drawn on these servers are this session's; the last row's, that lastval and currval mean, on the last server.
    private void NoteSequences(ServerConnection[] servers)
    {
        if (_plan.Kind == RouteKind.SplitInsert || (_supplied is not null && SequenceTruth.MayDraw(_shape, StateKinds.None)))
        {
            foreach (var server in servers.OrderBy(s => s.Node.Id == _nodes[^1]))
            {
                SequenceTruth.AfterLease(_session, server, _shape);
            }
        }
    }

    private ReadOnlyMemory<byte>[] Texts(ServerConnection[] servers)
    {
        var text = new WriteText(_command.Sql, _shape);
        if (_plan.Kind == RouteKind.SplitInsert)
        {
            return [.. servers.Select(s => new ReadOnlyMemory<byte>(servers.Length == 1 ? _command.Sql.ToArray() : text.WithRows(row => _nodes[row] == s.Node.Id)))];
        }

        if (_supplied is not null)
        {
            return [.. servers.Select(s => new ReadOnlyMemory<byte>(_supplied.For(s.Node)))];
        }

        // While a range of the group moves, a node may have rows of it that it does not own.
        if (!_table.Moves.Any(m => m.GroupId == _plan.GroupId))
        {
            return [.. servers.Select(_ => _command.Sql)];
        }

        var target = _shape.Relations[_shape.RestrictableTarget];
        RelationResolver.Resolve(_table, target.Schema, target.Name, _session.HasDefaultSearchPath, out var placed);
        return [.. servers.Select(s => new ReadOnlyMemory<byte>(text.WithPredicate(Router.OwnedPredicate(_table, placed!, s.Node.Id, SqlIdentifier.Quote(target.Alias ?? target.Name)))))];
    }

    // As the rows stand in the statement, if each of them has given one.
    private IEnumerable<byte[]> InOrder(ServerConnection[] servers, List<List<byte[]>> kept)
    {
        if (kept.Sum(rows => rows.Count) != _nodes.Length)
        {
            return kept.SelectMany(rows => rows);
        }

        var next = servers.Select((s, i) => (s.Node.Id, Rows: new Queue<byte[]>(kept[i]))).ToDictionary(p => p.Id, p => p.Rows);
        return _nodes.GroupBy(n => n).All(g => next[g.Key].Count == g.Count())
            ? _nodes.Select(n => next[n].Dequeue())
            : kept.SelectMany(rows => rows);
    }

    private void Write(IEnumerable<byte[]> rows)
    {
        foreach (var row in rows)
        {
            _session.Output.Write(row);
            _hasForwarded = true;
        }
    }

    // A closed gate: the statement has met a range that is being cut over. Outside a block nothing of it is left and it can be routed again.
    private void Fail(byte[] error)
    {
        var fields = ErrorFields.Read(error);
        if (!FencedStatement.IsGateError(fields))
        {
            _session.Fail(error);
        }
        else if (_isInBlock || _hasForwarded)
        {
            FencedStatement.Refuse(_session, _shape, fields, _table);
        }
        else
        {
            _isFenced = true;
            FencedStatement.Stop(_session, fields, _table);
        }
    }
}
