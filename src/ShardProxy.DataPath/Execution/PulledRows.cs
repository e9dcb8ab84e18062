using System.Buffers;
using System.Collections.Immutable;
using System.Globalization;
using System.Text;
using ShardProxy.DataPath.Servers;
using ShardProxy.DataPath.Sessions;
using ShardProxy.Model.Errors;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Topology;
using ShardProxy.Sql;
using ShardProxy.Wire.Messages;

namespace ShardProxy.DataPath.Execution;

/// <summary>Takes the rows of an INSERT … SELECT to their owners.</summary>
internal abstract class PulledRows
{
    private readonly ArrayBufferWriter<byte> _line = new();
    private readonly CopyTextSplitter _splitter;
    private byte[]?[]? _row;

    /// <param name="session">The session.</param>
    /// <param name="table">The routing table.</param>
    /// <param name="target">Where the rows go.</param>
    /// <param name="columns">Columns of the rows, in order.</param>
    /// <param name="servers">By node, in the order they are written to.</param>
    protected PulledRows(Session session, RoutingTable table, PlacedTable target, ImmutableArray<string> columns, IReadOnlyDictionary<int, ServerConnection> servers)
    {
        Session = session;
        Target = target;
        Columns = columns;
        Servers = servers;
        var options = new CopySummary(true, 0, columns, true, CopyFormat.Text, (byte)'\t', (byte)'"', (byte)'"', "\\N", false, false, null, false, false, false, false);
        _splitter = new CopyTextSplitter(options, target, table.Group(target.GroupId), session.Relay.Told?.IsUtc == true, table.HomeNode.Id, endsCsvAtMark: false);
    }

    /// <summary>Rows stored.</summary>
    public long Count { get; protected set; }

    protected Session Session { get; }

    protected PlacedTable Target { get; }

    protected ImmutableArray<string> Columns { get; }

    protected IReadOnlyDictionary<int, ServerConnection> Servers { get; }

    /// <summary>Takes rows, text values; some may be sent. Null, or why not: then the transaction has failed, or cannot go on.</summary>
    public async ValueTask<PulledFailure?> AddAsync(IEnumerable<byte[]?[]> rows)
    {
        foreach (var row in rows)
        {
            _line.ResetWrittenCount();
            CopyLine.Write(_line, row);
            _row = row;
            if (!_splitter.Add(_line.WrittenSpan, Place))
            {
                return new PulledFailure(_splitter.Refusal, null);
            }
        }

        return await SendAsync(isEnd: false).ConfigureAwait(false);
    }

    /// <summary>Sends what is left.</summary>
    public ValueTask<PulledFailure?> EndAsync() => SendAsync(isEnd: true);

    /// <summary>A row belongs to a node. <paramref name="line"/> is it as a line of COPY.</summary>
    protected abstract void Place(int nodeId, byte[]?[] row, ReadOnlySpan<byte> line);

    /// <summary>Sends what is worth it, or everything.</summary>
    protected abstract ValueTask<PulledFailure?> SendAsync(bool isEnd);

    private void Place(int nodeId, ReadOnlySpan<byte> line) => Place(nodeId, _row!, line);
}

/// <summary>Why rows could not be stored: an error of ours, or a server's.</summary>
internal sealed record PulledFailure(ShardProxyError? Error, byte[]? Payload);

/// <summary>By COPY, a few hundred kilobytes at a time.</summary>
internal sealed class CopiedRows(
    Session session, RoutingTable table, PlacedTable target, ImmutableArray<string> columns, IReadOnlyDictionary<int, ServerConnection> servers, StatementShape shape)
    : PulledRows(session, table, target, columns, servers)
{
    private const int SendBytes = 256 * 1024;

    private readonly Dictionary<int, ArrayBufferWriter<byte>> _pending = servers.ToDictionary(s => s.Key, _ => new ArrayBufferWriter<byte>());
    private readonly string _copySql = $"COPY {target.Name} ({string.Join(", ", columns.Select(SqlIdentifier.Quote))}) FROM STDIN";
    private int _lastNode;

    protected override void Place(int nodeId, byte[]?[] row, ReadOnlySpan<byte> line)
    {
        _pending[nodeId].Write(line);
        _lastNode = nodeId;
    }

    // One node after another, always in the same order.
    protected override async ValueTask<PulledFailure?> SendAsync(bool isEnd)
    {
        foreach (var (nodeId, server) in Servers)
        {
            var pending = _pending[nodeId];
            if (pending.WrittenCount < (isEnd ? 1 : SendBytes))
            {
                continue;
            }

            server.HasWritten = true;
            SequenceTruth.AfterLease(Session, server, shape);
            var result = await CopyLine.SendAsync(server, _copySql, pending.WrittenMemory).ConfigureAwait(false);
            pending.ResetWrittenCount();
            if (result.ErrorPayload is { } error)
            {
                return new PulledFailure(null, error);
            }

            result.WriteNotices(Session.Output);
            Count += long.Parse(result.Tag.AsSpan(result.Tag.LastIndexOf(' ') + 1), CultureInfo.InvariantCulture);
            if (Session.SequenceServer is not null && Servers.TryGetValue(_lastNode, out var last))
            {
                // lastval and currval mean the last row's.
                Session.SequenceServer = last;
            }
        }

        return null;
    }
}

/// <summary>
/// By one INSERT a node, for what COPY cannot do: ON CONFLICT, which looks at all rows of the statement, and RETURNING. They are kept until the last is known.
/// </summary>
internal sealed class InsertedRows(
    Session session, RoutingTable table, PlacedTable target, ImmutableArray<string> columns, IReadOnlyDictionary<int, ServerConnection> servers, StatementShape shape, NodeCommand command)
    : PulledRows(session, table, target, columns, servers)
{
    private const int MaxRows = 50_000;
    private const int MaxBytes = 32 * 1024 * 1024;

    private readonly Dictionary<int, StringBuilder> _rows = [];
    private long _kept;
    private long _bytes;

    protected override void Place(int nodeId, byte[]?[] row, ReadOnlySpan<byte> line)
    {
        if (!_rows.TryGetValue(nodeId, out var rows))
        {
            _rows[nodeId] = rows = new StringBuilder();
        }

        rows.Append(rows.Length == 0 ? "(" : ",\n(").AppendJoin(", ", row.Select(v => v is null ? "NULL" : SqlIdentifier.Literal(Encoding.UTF8.GetString(v)))).Append(')');
        _kept++;
        _bytes += line.Length;
    }

    protected override async ValueTask<PulledFailure?> SendAsync(bool isEnd)
    {
        if (_kept > MaxRows || _bytes > MaxBytes)
        {
            return new PulledFailure(ExecutionErrors.TooManyPulledRows, null);
        }

        if (!isEnd)
        {
            return null;
        }

        var alias = shape.Relations[shape.Insert!.TargetRelation] is var use && use.Alias is { } given ? $" AS {SqlIdentifier.Quote(given)}" : "";
        var tail = Encoding.UTF8.GetString(new WriteText(command.Sql, shape).BehindQuery).TrimEnd(';', ' ', '\n');
        foreach (var (nodeId, server) in Servers)
        {
            if (!_rows.TryGetValue(nodeId, out var rows))
            {
                continue;
            }

            server.HasWritten = true;
            SequenceTruth.AfterLease(Session, server, shape);
            var sql = $"INSERT INTO {Target.Name}{alias} ({string.Join(", ", Columns.Select(SqlIdentifier.Quote))}) OVERRIDING SYSTEM VALUE VALUES {rows} {tail}";
            (command with { Sql = Encoding.UTF8.GetBytes(sql) }).Send(server);
            await server.Output.FlushAsync().ConfigureAwait(false);
            var reply = new WriteReply(Session, server, describes: false, kept: null);
            await reply.ReadAsync().ConfigureAwait(false);
            if (reply.Error is { } error)
            {
                return new PulledFailure(null, error);
            }

            Count += reply.Count;
        }

        return null;
    }
}
