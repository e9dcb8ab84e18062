using System.Buffers;
using System.Collections.Immutable;
using System.IO.Pipelines;
using System.Net;
using System.Text;
using BenchmarkDotNet.Attributes;
using ShardProxy.DataPath.Routing;
using ShardProxy.DataPath.Servers;
using ShardProxy.DataPath.Sessions;
using ShardProxy.Micro.Checking;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Topology;
using ShardProxy.Sql;
using ShardProxy.Wire.Messages;
using ShardProxy.Wire.Transport;

namespace ShardProxy.Micro;

/// <summary>
/// A warm statement's way through the proxy without its sockets: shape lookup, routing by literal and by parameter, and the relay of a
/// typical reply (RowDescription, one row, CommandComplete, ReadyForQuery). Law 7: none of it allocates.
/// </summary>
[MemoryDiagnoser]
public class QueryPathBenchmarks : IDisposable
{
    private readonly byte[] _sql = Encoding.UTF8.GetBytes("SELECT abalance FROM pgbench_accounts WHERE aid = 4711;");
    private readonly byte[] _preparedSql = Encoding.UTF8.GetBytes("SELECT abalance FROM pgbench_accounts WHERE aid = $1;");
    private readonly StatementAnalyzer _analyzer = new(new SqlOptions());
    private readonly LiteralList _literals = new();
    private readonly LiteralList _noLiterals = new();
    private readonly TouchSet _touches = new();
    private readonly BoundParameters _parameters = new();
    private readonly RoutingTable _table = Table();
    private readonly Pipe _fromServer = new(new PipeOptions(useSynchronizationContext: false));
    private readonly Pipe _toClient = new(new PipeOptions(useSynchronizationContext: false));
    private readonly byte[] _reply = Reply();
    private readonly byte[] _bind = [0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 4, (byte)'4', (byte)'7', (byte)'1', (byte)'1', 0, 0];
    private readonly uint[] _types = [23];
    private StatementShape _prepared = null!;
    private ServerConnection _server = null!;
    private ReplyRelay _relay = null!;

    [GlobalSetup]
    public void Setup()
    {
        _analyzer.AnalyzeAsync(_sql, CancellationToken.None).AsTask().GetAwaiter().GetResult();
        _prepared = _analyzer.AnalyzeAsync(_preparedSql, CancellationToken.None).AsTask().GetAwaiter().GetResult();
        _server = new ServerConnection(new PipeConnection(_fromServer), _table.HomeNode, new PoolKey(1, "app", "app"), 1, 1, ReportedParameters.NewFamily(), 0);
        _relay = new ReplyRelay(_toClient.Writer);
    }

    [Benchmark]
    [ExpectedAllocatedBytes(0)]
    public int ScanWarmStatement() => _analyzer.Scan(_sql, 0, _literals).End;

    [Benchmark]
    [ExpectedAllocatedBytes(0)]
    public int RouteByLiteral()
    {
        var scan = _analyzer.Scan(_sql, 0, _literals);
        var plan = RoutePlanner.PlanFor(scan.Shape!, _table, defaultSearchPath: true);
        _touches.Clear();
        Router.Route(plan, new KeyInput(_sql, _literals, null, null), _table, null, _touches, out var nodeId, out _, out _);
        return nodeId;
    }

    [Benchmark]
    [ExpectedAllocatedBytes(0)]
    public int RouteByParameter()
    {
        _parameters.Read(_bind, _types);
        var plan = RoutePlanner.PlanFor(_prepared, _table, defaultSearchPath: true);
        _touches.Clear();
        Router.Route(plan, new KeyInput(_preparedSql, _noLiterals, _parameters, null), _table, null, _touches, out var nodeId, out _, out _);
        return nodeId;
    }

    [Benchmark]
    [ExpectedAllocatedBytes(0)]
    public long RelayReply()
    {
        _fromServer.Writer.Write(_reply);
        Completed(_fromServer.Writer.FlushAsync());
        _relay.Reset(inBlock: false);
        _server.Owed.Enqueue(ReplyKind.Query, isHidden: false);
        _relay.RelayArrived(_server);
        Completed(_toClient.Writer.FlushAsync());
        if (!_toClient.Reader.TryRead(out var result) || _server.Owed.Count != 0)
        {
            throw new InvalidOperationException("the relay did not pass the reply on");
        }

        var bytes = result.Buffer.Length;
        _toClient.Reader.AdvanceTo(result.Buffer.End);
        return bytes;
    }

    [GlobalCleanup]
    public void Dispose()
    {
        GC.SuppressFinalize(this);
        _analyzer.Dispose();
        _server?.Abort();
    }

    private static void Completed(ValueTask<FlushResult> flush)
    {
        if (!flush.IsCompletedSuccessfully || flush.Result.IsCompleted)
        {
            throw new InvalidOperationException("a pipe of the benchmark did not take its bytes");
        }
    }

    private static RoutingTable Table()
    {
        ImmutableArray<Node> nodes = [new(1, "node1", "127.0.0.1", 1, 0, true), new(2, "node2", "127.0.0.1", 2, 0, false)];
        var group = new TableGroup(1, "pgbench_accounts", ShardingMethod.Hash, [KeyType.Int4], [new(1, 1, long.MinValue, 0, 1), new(2, 1, 0, null, 2)]);
        var table = new PlacedTable
        {
            Name = new QualifiedName("public", "pgbench_accounts"),
            Placement = TablePlacement.Sharded,
            GroupId = 1,
            KeyColumns = [0],
            Columns = [new("aid", 23, -1, true, false), new("bid", 23, -1, false, false), new("abalance", 23, -1, false, false)],
        };
        return new RoutingTable(1, 1, nodes, [group], [table], [], [], []);
    }

    private static byte[] Reply()
    {
        var to = new ArrayBufferWriter<byte>();
        MessageWriter.Raw(to, BackendTag.RowDescription, [0, 1, (byte)'a', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 23, 0, 4, 255, 255, 255, 255, 0, 0]);
        MessageWriter.Raw(to, BackendTag.DataRow, [0, 1, 0, 0, 0, 2, (byte)'4', (byte)'2']);
        MessageWriter.CString(to, BackendTag.CommandComplete, "SELECT 1"u8);
        MessageWriter.ReadyForQuery(to, (byte)'I');
        return to.WrittenSpan.ToArray();
    }

    private sealed class PipeConnection(Pipe fromServer) : ITransportConnection
    {
        public PipeReader Input => fromServer.Reader;

        public PipeWriter Output { get; } = PipeWriter.Create(Stream.Null);

        public EndPoint? RemoteEndPoint => null;

        public CancellationToken Closed => CancellationToken.None;

        public bool IsClosed => false;

        public void Abort()
        {
        }

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
