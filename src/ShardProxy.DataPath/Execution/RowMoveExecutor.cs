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
/// An UPDATE of the shard key that takes rows to another node, in one transaction. Each node updates its rows, so that PostgreSQL casts and checks as ever;
/// what has changed its owner by that is deleted there and inserted on the new one. PostgreSQL does the same between partitions (documentation, "UPDATE", Notes).
/// </summary>
internal sealed class RowMoveExecutor
{
    private readonly Session _session;
    private readonly Dispatch _dispatch;
    private readonly RoutingTable _table;
    private readonly StatementShape _shape;
    private readonly PlacedTable _target;
    private readonly bool _isInBlock;
    private readonly bool _describes;
    private NodeCommand _command;
    private bool _hasForwarded;
    private bool _isFenced;

    private RowMoveExecutor(Session session, in Dispatch dispatch, StatementShape shape, NodeCommand command, bool describesRows)
    {
        _session = session;
        _dispatch = dispatch;
        _table = dispatch.Table;
        _shape = shape;
        _target = dispatch.Plan.Lookups[0].Table;
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
        var update = new RowMoveExecutor(session, dispatch, shape, command, describesRows);
        await FanOutExecutor.InBlockAsync(session, dispatch.Plan, update.RunAsync).ConfigureAwait(false);
        return update._isFenced;
    }

    private async ValueTask<string?> RunAsync()
    {
        var nodes = _dispatch.Owners.Append(_dispatch.RowNodes![0]).Distinct().Select(_table.Node).OrderByDescending(n => n.IsHome).ThenBy(n => n.Id).ToArray();
        var servers = new ServerConnection[nodes.Length];
        for (var i = 0; i < nodes.Length; i++)
        {
            servers[i] = await SessionServers.GetAsync(_session, nodes[i]).ConfigureAwait(false);
        }

        try
        {
            return await RunOnAsync(servers).ConfigureAwait(false);
        }
        catch (EndOfStreamException)
        {
            ServerLoss.Report(_session, servers.FirstOrDefault(s => s.IsBroken) ?? servers[0], mayHaveWritten: false);
            return null;
        }
    }

    private async ValueTask<string?> RunOnAsync(ServerConnection[] servers)
    {
        var destination = servers.Single(s => s.Node.Id == _dispatch.RowNodes![0]);
        if (!await CanMoveAsync(destination).ConfigureAwait(false)
            || await WritePreparation.RunAsync(_session, destination, _command, reads: false).ConfigureAwait(false) is not { } prepared)
        {
            return null;
        }

        _command = prepared.Command;
        if (prepared.Time is { } time)
        {
            _command = _command with { Sql = Encoding.UTF8.GetBytes(TransactionTimeText.Replace(Encoding.UTF8.GetString(_command.Sql.Span), time)) };
        }

        // The new owner's own rows first: those that come to it must not be updated again.
        if (await WriteAsync(destination, _command with { Sql = Restricted(destination) }, _describes).ConfigureAwait(false) is not { } count)
        {
            return null;
        }

        var rows = new List<byte[]?[]>();
        foreach (var server in servers)
        {
            if (server != destination && !await TakeAsync(server, rows).ConfigureAwait(false))
            {
                return null;
            }
        }

        if (rows.Count > 0)
        {
            if (await WriteAsync(destination, _command with { Sql = Insert(rows) }, describes: false).ConfigureAwait(false) is not { } stored)
            {
                return null;
            }

            count += stored;
        }

        return string.Create(CultureInfo.InvariantCulture, $"UPDATE {count}");
    }

    // Triggers would be told of a deletion and an insertion, and foreign keys would act on the former; a sharded parent of the new key is not where the row is updated.
    // Values travel as text.
    private async ValueTask<bool> CanMoveAsync(ServerConnection server)
    {
        var everywhere = string.Join(", ", _table.Tables.Where(t => t.Placement == TablePlacement.Replicated).Select(t => SqlIdentifier.Literal(t.Name.ToString())));
        var target = $"{SqlIdentifier.Literal(_target.Name.ToString())}::pg_catalog.regclass";
        var known = await SideDialog.RunAsync(
            server,
            $"""
            SELECT NOT EXISTS (SELECT FROM pg_catalog.pg_trigger t LEFT JOIN pg_catalog.pg_constraint c ON c.oid = t.tgconstraint
                   WHERE t.tgrelid IN (SELECT {target} UNION SELECT relid FROM pg_catalog.pg_partition_tree({target})) AND t.tgname NOT LIKE '~~shardproxy%'
                     AND (NOT t.tgisinternal OR c.confrelid = t.tgrelid OR (c.contype = 'f' AND NOT c.confrelid = ANY (ARRAY[{everywhere}]::pg_catalog.regclass[])))),
              {CopyLine.IsExactSql}
            """).ConfigureAwait(false);
        if (!known.IsOk)
        {
            _session.Fail(known.ErrorPayload!);
        }
        else if (known.Rows[0][0] is not [(byte)'t'])
        {
            _session.Fail(RoutingErrors.KeyUpdateWithTriggers);
        }
        else if (known.Rows[0][1] is not [(byte)'t'])
        {
            _session.Fail(ExecutionErrors.LossyText);
        }
        else
        {
            return true;
        }

        return false;
    }

    // Updates a node's rows and takes them away from it.
    private async ValueTask<bool> TakeAsync(ServerConnection server, List<byte[]?[]> rows)
    {
        server.HasWritten = true;
        var tail = _command.Sql.Length - new WriteText(_command.Sql, _shape).ReturningStart;
        var returning = $" RETURNING {Alias()}.ctid, {Alias()}.tableoid, {string.Join(", ", Written().Select(c => $"{Alias()}.{c}"))}";
        var updated = await SideDialog.RunAsync(server, _command with { Sql = Concat(Restricted(server)[..^tail], returning), TextResults = true }).ConfigureAwait(false);
        if (!Passed(updated))
        {
            return false;
        }

        if (updated.IsTruncated)
        {
            _session.Fail(ExecutionErrors.TooManyRows);
            return false;
        }

        if (updated.Rows.Count == 0)
        {
            return true;
        }

        // A place is one of a partition's, if the table has partitions.
        var places = string.Join(", ", updated.Rows.Select(r => $"'{Encoding.ASCII.GetString(r[0]!)}'"));
        var partitions = string.Join(", ", updated.Rows.Select(r => Encoding.ASCII.GetString(r[1]!)));
        var which = _target.IsPartitioned
            ? $" AND (tableoid, ctid) IN (SELECT * FROM ROWS FROM (pg_catalog.unnest(ARRAY[{partitions}]::pg_catalog.oid[]), pg_catalog.unnest(ARRAY[{places}]::pg_catalog.tid[])))"
            : "";
        var deleted = await SideDialog.RunAsync(server, $"DELETE FROM {_target.Name} WHERE ctid = ANY (ARRAY[{places}]::pg_catalog.tid[]){which}").ConfigureAwait(false);
        rows.AddRange(updated.Rows);
        return Passed(deleted)
            && (deleted.Tag == string.Create(CultureInfo.InvariantCulture, $"DELETE {updated.Rows.Count}") ? true : throw new InvalidOperationException("a row that was just updated could not be deleted"));
    }

    private byte[] Insert(List<byte[]?[]> rows)
    {
        var sql = new StringBuilder($"INSERT INTO {_target.Name} AS {Alias()} ({string.Join(", ", Written())}) OVERRIDING SYSTEM VALUE VALUES ");
        for (var i = 0; i < rows.Count; i++)
        {
            sql.Append(i == 0 ? "(" : ", (").AppendJoin(", ", rows[i].Skip(2).Select(v => v is null ? "NULL" : SqlIdentifier.Literal(Encoding.UTF8.GetString(v)))).Append(')');
        }

        return Concat(Encoding.UTF8.GetBytes(sql.ToString()), Encoding.UTF8.GetString(_command.Sql.Span[new WriteText(_command.Sql, _shape).ReturningStart..]));
    }

    private IEnumerable<string> Written() => _target.Columns.Where(c => !c.IsGenerated).Select(c => SqlIdentifier.Quote(c.Name));

    private string Alias()
    {
        var target = _shape.Relations[_shape.RestrictableTarget];
        return SqlIdentifier.Quote(target.Alias ?? target.Name);
    }

    // While a range of the group moves, a node may have rows of it that it does not own.
    private ReadOnlyMemory<byte> Restricted(ServerConnection server) =>
        _table.Moves.Any(m => m.GroupId == _dispatch.Plan.GroupId)
            ? new WriteText(_command.Sql, _shape).WithPredicate(Router.OwnedPredicate(_table, _target, server.Node.Id, Alias()))
            : _command.Sql;

    private async ValueTask<long?> WriteAsync(ServerConnection server, NodeCommand command, bool describes)
    {
        server.HasWritten = true;
        command.Send(server);
        await server.Output.FlushAsync().ConfigureAwait(false);
        var reply = new WriteReply(_session, server, describes, kept: null);
        await reply.ReadAsync().ConfigureAwait(false);
        _hasForwarded |= reply.HasForwarded;
        if (reply.Error is { } error)
        {
            Fail(error);
            return null;
        }

        return reply.Count;
    }

    private bool Passed(DialogResult result)
    {
        if (result.ErrorPayload is { } error)
        {
            Fail(error);
        }

        return result.IsOk;
    }

    // A closed gate: outside a block nothing of it is left and it can be routed again.
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

    private static byte[] Concat(ReadOnlyMemory<byte> text, string more) => [.. text.Span, .. Encoding.UTF8.GetBytes(more)];
}
