using System.Buffers;
using System.Collections.Immutable;
using System.Globalization;
using System.Text;
using ShardProxy.DataPath.Routing;
using ShardProxy.DataPath.Servers;
using ShardProxy.DataPath.Sessions;
using ShardProxy.Model.Errors;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Topology;
using ShardProxy.Sql;
using ShardProxy.Wire.Messages;

namespace ShardProxy.DataPath.Execution;

/// <summary>
/// INSERT … SELECT into a sharded table, in one transaction: cursors give the query's rows on the nodes that answer it, some hundred at a time, and COPY
/// takes each row to its owner. The home node reads the whole statement first: what PostgreSQL has against it is told, and the rows are given the types of
/// the table's columns as an INSERT does. A cursor does not see what is inserted after it was opened.
/// </summary>
internal sealed class PullInsertExecutor
{
    private const int FetchRows = 500;
    private const int SendBytes = 256 * 1024;
    private const string Cursor = "shardproxy_insert";

    private readonly Session _session;
    private readonly RoutePlan _plan;
    private readonly RoutingTable _table;
    private readonly StatementShape _shape;
    private readonly NodeCommand _command;
    private readonly Dictionary<int, ServerConnection> _servers = [];
    private readonly Dictionary<int, ArrayBufferWriter<byte>> _pending = [];
    private readonly PlacedTable _target;
    private string _copySql = "";
    private int _lastNode;
    private long _rows;

    private PullInsertExecutor(Session session, in Dispatch dispatch, StatementShape shape, NodeCommand command)
    {
        _session = session;
        (_plan, _table, _shape, _command) = (dispatch.Plan, dispatch.Table, shape, command);
        var use = shape.Relations[shape.Insert!.TargetRelation];
        RelationResolver.Resolve(_table, use.Schema, use.Name, session.HasDefaultSearchPath, out var target);
        _target = target!;
    }

    /// <summary>Runs the statement. Writes its reply, no ReadyForQuery.</summary>
    public static ValueTask RunAsync(Session session, Dispatch dispatch, StatementShape shape, NodeCommand command) =>
        FanOutExecutor.InBlockAsync(session, dispatch.Plan, new PullInsertExecutor(session, dispatch, shape, command).RunAsync);

    private async ValueTask<string?> RunAsync()
    {
        var query = new WriteText(_command.Sql, _shape).InsertedQuery();
        var (sources, error) = await SourcesAsync(query).ConfigureAwait(false);
        if (error is not null)
        {
            _session.Fail(error);
            return null;
        }

        var owners = _table.Group(_plan.GroupId).Ranges.Select(r => r.NodeId).ToHashSet();
        foreach (var node in _table.Nodes.Where(n => n.IsHome || owners.Contains(n.Id) || sources.Contains(n.Id)).OrderByDescending(n => n.IsHome).ThenBy(n => n.Id))
        {
            _servers[node.Id] = await SessionServers.GetAsync(_session, node).ConfigureAwait(false);
            _pending[node.Id] = new ArrayBufferWriter<byte>();
        }

        try
        {
            return await PullAsync(query, sources).ConfigureAwait(false);
        }
        catch (EndOfStreamException)
        {
            ServerLoss.Report(_session, _servers.Values.FirstOrDefault(s => s.IsBroken) ?? _servers.Values.First(), mayHaveWritten: false);
            return null;
        }
    }

    // The query is a statement of its own: where its rows are is planned as if it stood alone.
    private async ValueTask<(int[] Nodes, ShardProxyError? Error)> SourcesAsync(byte[] query)
    {
        var literals = new LiteralList();
        var scan = _session.Services.Analyzer.Scan(query, 0, literals);
        if (scan.Outcome is ScanOutcome.Refused or ScanOutcome.Empty)
        {
            return ([], scan.Error ?? RoutingErrors.Unsupported);
        }

        var shape = scan.Shape ?? await _session.Services.Analyzer.AnalyzeAsync(query.AsMemory(scan.Start, scan.End - scan.Start), _session.Connection.Closed).ConfigureAwait(false);
        if (shape is not { Kind: StatementKind.Select, IsReadOnly: true })
        {
            return ([], RoutingErrors.NoKey);
        }

        var plan = RoutePlanner.PlanFor(shape, _table, _session.HasDefaultSearchPath);
        if (plan.Kind == RouteKind.ByKey)
        {
            if (Router.Route(plan, new KeyInput(query, literals, _command.Parameters), _table, _session.Activity, new TouchSet(), out var node, out _, out var unrouted) == KeyRoute.Node)
            {
                return ([node], null);
            }

            if (plan.Otherwise is null)
            {
                return ([], unrouted ?? RoutingErrors.NoKey);
            }

            plan = plan.Otherwise;
        }

        return plan.Kind switch
        {
            RouteKind.Home or RouteKind.AnyNode => ([_table.HomeNode.Id], null),
            RouteKind.Scatter when !HasPresent(query) => ([.. _table.Group(plan.GroupId).Ranges.Select(r => r.NodeId).Distinct().Order()], null),
            RouteKind.Refuse => ([], plan.Refusal),
            _ => ([], RoutingErrors.NoKey),
        };
    }

    private bool HasPresent(byte[] query)
    {
        var text = Encoding.UTF8.GetString(query);
        return TransactionTimeText.HasTime(text) || TransactionTimeText.HasMovingLiteral(text) || ReplicatedWriteGuard.HasMovingParameter(_command.Parameters);
    }

    private async ValueTask<string?> PullAsync(byte[] query, int[] sources)
    {
        if (await ReadAsync(query).ConfigureAwait(false) is not { } select)
        {
            return null;
        }

        var splitter = new CopyTextSplitter(Options(select.Columns), _target, _table.Group(_plan.GroupId), _table.HomeNode.Id, endsCsvAtMark: false);
        foreach (var server in sources.Select(s => _servers[s]))
        {
            var declare = Encoding.UTF8.GetBytes($"DECLARE {Cursor} NO SCROLL CURSOR FOR {select.Sql}");
            if (!Passed(await SideDialog.RunAsync(server, _command with { Sql = declare, ParameterTypes = select.Types }).ConfigureAwait(false)))
            {
                return null;
            }

            if (StateRules.After(_shape) is not StateKinds.None and var kinds)
            {
                VariableExecutor.Suspect(_session, server, kinds);
            }

            for (var isOver = false; !isOver;)
            {
                var batch = await SideDialog.RunAsync(server, string.Create(CultureInfo.InvariantCulture, $"FETCH {FetchRows} FROM {Cursor}")).ConfigureAwait(false);
                if (!Passed(batch) || !Split(batch.Rows, splitter))
                {
                    return null;
                }

                isOver = batch.Rows.Count < FetchRows;
                if (!await SendAsync(SendBytes).ConfigureAwait(false))
                {
                    return null;
                }
            }

            if (!Passed(await SideDialog.RunAsync(server, $"CLOSE {Cursor}").ConfigureAwait(false)))
            {
                return null;
            }
        }

        return await SendAsync(1).ConfigureAwait(false) ? string.Create(CultureInfo.InvariantCulture, $"INSERT 0 {_rows}") : null;
    }

    // The statement as PostgreSQL reads it: the parameters' types, the columns that are written, and the query with their types. An explicit cast gives what
    // the assignment gives, as far as the assignment is allowed; lengths and scales are left to the assignment itself.
    private async ValueTask<(string Sql, ImmutableArray<string> Columns, uint[]? Types)?> ReadAsync(byte[] query)
    {
        var home = _servers[_table.HomeNode.Id];
        var whole = await StatementCheck.RunAsync(home, _command.Sql, _command.Parameters?.TypeOids ?? []).ConfigureAwait(false);
        if (!Passed(whole))
        {
            return null;
        }

        if (_command.Parameters is null && whole.ParameterTypes.Length > 0)
        {
            _session.Fail("42P02", "there is no parameter $1");
            return null;
        }

        var part = await StatementCheck.RunAsync(home, query, whole.ParameterTypes).ConfigureAwait(false);
        var known = await SideDialog.RunAsync(
            home,
            $"""
            SELECT a.attname, pg_catalog.format_type(a.atttypid, -1), a.atttypid,
              pg_catalog.current_setting('extra_float_digits')::pg_catalog.int4 > 0 AND pg_catalog.current_setting('DateStyle') LIKE 'ISO%' AND pg_catalog.current_setting('IntervalStyle') = 'postgres'
            FROM pg_catalog.pg_attribute a
            WHERE a.attrelid = {SqlIdentifier.Literal(_target.Name.ToString())}::pg_catalog.regclass AND a.attnum > 0 AND NOT a.attisdropped
            """).ConfigureAwait(false);
        if (!Passed(part) || !Passed(known))
        {
            return null;
        }

        if (known.Rows.Exists(r => r[3] is not [(byte)'t']))
        {
            _session.Fail(ExecutionErrors.LossyText);
            return null;
        }

        var types = RowShape.Types(part.RowDescription ?? []);
        ImmutableArray<string> columns = _shape.Insert!.Columns is { IsEmpty: false } named ? named : [.. _target.Columns.Take(types.Length).Select(c => c.Name)];
        if (types.Length == 0 || columns.Length != types.Length || !_target.KeyColumns.All(k => columns.Contains(_target.Columns[k].Name)))
        {
            _session.Fail(RoutingErrors.NoKey);
            return null;
        }

        var targets = known.Rows.ToDictionary(r => Encoding.UTF8.GetString(r[0]!), r => (Type: Encoding.UTF8.GetString(r[1]!), Oid: Encoding.UTF8.GetString(r[2]!)));
        var values = columns.Select((c, i) => targets[c].Oid == types[i].ToString(CultureInfo.InvariantCulture) ? $"q.c{i}" : $"q.c{i}::{targets[c].Type}");
        _copySql = $"COPY {_target.Name} ({string.Join(", ", columns.Select(SqlIdentifier.Quote))}) FROM STDIN";
        return (
            $"SELECT {string.Join(", ", values)} FROM ({Encoding.UTF8.GetString(query)}\n) AS q ({string.Join(", ", columns.Select((_, i) => $"c{i}"))})",
            columns,
            _command.Parameters is null ? null : whole.ParameterTypes);
    }

    private static CopySummary Options(ImmutableArray<string> columns) => new(
        true, 0, columns, true, CopyFormat.Text, (byte)'\t', (byte)'"', (byte)'"', "\\N", false, false, null, false, false, false, false);

    // As lines of COPY (PostgreSQL documentation, COPY, "Text Format").
    private bool Split(List<byte[]?[]> rows, CopyTextSplitter splitter)
    {
        var line = new ArrayBufferWriter<byte>();
        foreach (var row in rows)
        {
            line.ResetWrittenCount();
            for (var i = 0; i < row.Length; i++)
            {
                line.Write(i > 0 ? "\t"u8 : default);
                if (row[i] is not { } value)
                {
                    line.Write("\\N"u8);
                    continue;
                }

                foreach (var b in value)
                {
                    switch (b)
                    {
                        case (byte)'\\':
                            line.Write("\\\\"u8);
                            break;
                        case (byte)'\n':
                            line.Write("\\n"u8);
                            break;
                        case (byte)'\r':
                            line.Write("\\r"u8);
                            break;
                        case (byte)'\t':
                            line.Write("\\t"u8);
                            break;
                        default:
                            line.Write([b]);
                            break;
                    }
                }
            }

            line.Write("\n"u8);
            if (!splitter.Add(line.WrittenSpan, Distribute))
            {
                _session.Fail(splitter.Refusal);
                return false;
            }
        }

        return true;
    }

    private void Distribute(int nodeId, ReadOnlySpan<byte> row)
    {
        _pending[nodeId].Write(row);
        _lastNode = nodeId;
    }

    // One node after another, always in the same order.
    private async ValueTask<bool> SendAsync(int fromBytes)
    {
        foreach (var (nodeId, server) in _servers)
        {
            var pending = _pending[nodeId];
            if (pending.WrittenCount < fromBytes)
            {
                continue;
            }

            server.HasWritten = true;
            SequenceTruth.AfterLease(_session, server, _shape);
            if (!Passed(await SideDialog.RunAsync(server, _copySql).ConfigureAwait(false)))
            {
                return false;
            }

            MessageWriter.Raw(server.Output, FrontendTag.CopyData, pending.WrittenSpan);
            MessageWriter.Empty(server.Output, FrontendTag.CopyDone);
            await server.Output.FlushAsync().ConfigureAwait(false);
            pending.ResetWrittenCount();
            var result = await SideDialog.CollectAsync(server).ConfigureAwait(false);
            if (!Passed(result))
            {
                return false;
            }

            result.WriteNotices(_session.Output);
            _rows += long.Parse(result.Tag.AsSpan(result.Tag.LastIndexOf(' ') + 1), CultureInfo.InvariantCulture);
            if (_session.SequenceServer is not null && _servers.TryGetValue(_lastNode, out var last))
            {
                // lastval and currval mean the last row's.
                _session.SequenceServer = last;
            }
        }

        return true;
    }

    private bool Passed(DialogResult result)
    {
        if (result.IsOk)
        {
            return true;
        }

        if (ReplyRelay.IsGateError(result.Error!))
        {
            _session.Fail(ExecutionErrors.FencedTooOften);
        }
        else
        {
            _session.Fail(result.ErrorPayload!);
        }

        return false;
    }
}
