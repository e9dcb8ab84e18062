using System.Collections.Immutable;
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
/// INSERT … SELECT into a sharded table, in one transaction: cursors give the query's rows, some hundred at a time, on the nodes that answer it or on what was
/// gathered for it, and each row goes to its owner. The home node reads the whole statement first: what PostgreSQL has against it is told, and the rows are
/// given the types of the table's columns as an INSERT does. A cursor does not see what is inserted after it was opened.
/// </summary>
internal sealed class PullInsertExecutor
{
    private readonly Session _session;
    private readonly RoutePlan _plan;
    private readonly RoutingTable _table;
    private readonly StatementShape _shape;
    private readonly NodeCommand _command;
    private readonly bool _describes;

    // In the order they are written to.
    private readonly Dictionary<int, ServerConnection> _servers = [];
    private readonly PlacedTable _target;

    private PullInsertExecutor(Session session, in Dispatch dispatch, StatementShape shape, NodeCommand command, bool describesRows)
    {
        _session = session;
        (_plan, _table, _shape, _command, _describes) = (dispatch.Plan, dispatch.Table, shape, command, describesRows);
        var use = shape.Relations[shape.Insert!.TargetRelation];
        RelationResolver.Resolve(_table, use.Schema, use.Name, session.HasDefaultSearchPath, out var target);
        _target = target!;
    }

    /// <summary>Runs the statement. Writes its reply, no ReadyForQuery, and a RowDescription only when <paramref name="describesRows"/>.</summary>
    public static ValueTask RunAsync(Session session, Dispatch dispatch, StatementShape shape, NodeCommand command, bool describesRows) =>
        FanOutExecutor.InBlockAsync(session, dispatch.Plan, new PullInsertExecutor(session, dispatch, shape, command, describesRows).RunAsync);

    private async ValueTask<string?> RunAsync()
    {
        var query = new WriteText(_command.Sql, _shape).InsertedQuery();
        var (source, refusal) = await PullInsertQuery.SourceAsync(_session, _table, _command, query).ConfigureAwait(false);
        if (source is null)
        {
            _session.Fail(refusal!);
            return null;
        }

        var owners = _table.Group(_plan.GroupId).Ranges.Select(r => r.NodeId).ToHashSet();
        foreach (var node in _table.Nodes.Where(n => n.IsHome || owners.Contains(n.Id) || source.Nodes.Contains(n.Id)).OrderByDescending(n => n.IsHome).ThenBy(n => n.Id))
        {
            _servers[node.Id] = await SessionServers.GetAsync(_session, node).ConfigureAwait(false);
        }

        GatheredStatement? gathered = null;
        try
        {
            if (await PullInsertQuery.ReadAsync(
                _session, _servers[_table.HomeNode.Id], _target.Name.ToString(), _target, _shape, _command, query).ConfigureAwait(false) is not { } columns)
            {
                return null;
            }

            if (source.Gather is { } gather
                && (gathered = await GatherExecutor.KeepAsync(_session, gather, _table, source.Shape, _command with { Sql = query, ParameterTypes = columns.Types }).ConfigureAwait(false)) is null)
            {
                return null;
            }

            return await PullAsync(query, source, gathered, columns).ConfigureAwait(false);
        }
        catch (EndOfStreamException)
        {
            ServerLoss.Report(_session, gathered?.Workspace is { IsBroken: true } lost ? lost : _servers.Values.FirstOrDefault(s => s.IsBroken) ?? _servers.Values.First(), mayHaveWritten: false);
            return null;
        }
        finally
        {
            if (gathered is not null)
            {
                await gathered.EndAsync(_session).ConfigureAwait(false);
            }
        }
    }

    private async ValueTask<string?> PullAsync(byte[] query, PullSource source, GatheredStatement? gathered, PullColumns columns)
    {
        var all = columns.All;
        var insert = _shape.Insert!;
        PulledRows rows = insert.HasOnConflict || insert.HasReturning
            ? new InsertedRows(_session, _table, _target, all, _servers, _shape, _command with { ParameterTypes = columns.Types })
            : new CopiedRows(_session, _table, _target, all, _servers, _shape);
        if (_describes && columns.RowDescription is { } description)
        {
            MessageWriter.Raw(_session.Output, BackendTag.RowDescription, description);
        }

        var select = columns.Select(Encoding.UTF8.GetString(gathered?.Sql ?? query));
        if (TransactionTimeText.HasTime(select))
        {
            var (moment, failure) = await TransactionMoment.OfAsync(_session, _servers[_table.HomeNode.Id]).ConfigureAwait(false);
            if (moment is null)
            {
                Fail(failure!);
                return null;
            }

            select = TransactionTimeText.Replace(select, moment);
        }

        var (isDone, error) = await PulledCursor.ReadAsync(
            _session,
            gathered is null ? source.Nodes.Select(s => _servers[s]) : [gathered.Workspace],
            _command with { Sql = Encoding.UTF8.GetBytes(select), ParameterTypes = columns.Types },
            _shape,
            async batch => await WithDrawnAsync(batch, columns.Drawn).ConfigureAwait(false) is { } complete && await PassedAsync(rows.AddAsync(complete)).ConfigureAwait(false)).ConfigureAwait(false);
        if (error is not null)
        {
            Fail(error);
        }

        return isDone && await PassedAsync(rows.EndAsync()).ConfigureAwait(false) ? string.Create(CultureInfo.InvariantCulture, $"INSERT 0 {rows.Count}") : null;
    }

    // Each row with the keys that its INSERT leaves to their defaults.
    private async ValueTask<IEnumerable<byte[]?[]>?> WithDrawnAsync(List<byte[]?[]> rows, ImmutableArray<TableColumn> drawn)
    {
        if (drawn.IsEmpty || rows.Count == 0)
        {
            return rows;
        }

        var values = new List<string[]>();
        foreach (var column in drawn)
        {
            if (await DefaultKeyValues.DrawAsync(_session, column.Default!, rows.Count).ConfigureAwait(false) is not { } made)
            {
                return null;
            }

            values.Add(made);
        }

        return rows.Select((row, i) => (byte[]?[])[.. row, .. values.Select(v => Encoding.UTF8.GetBytes(v[i]))]);
    }

    private async ValueTask<bool> PassedAsync(ValueTask<PulledFailure?> sending)
    {
        var failure = await sending.ConfigureAwait(false);
        if (failure?.Error is { } error)
        {
            _session.Fail(error);
        }
        else if (failure?.Payload is { } payload)
        {
            Fail(payload);
        }

        return failure is null;
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
}
