using System.Collections.Immutable;
using System.Globalization;
using System.Net;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;
using ShardProxy.DataPath;
using ShardProxy.DataPath.Servers;
using ShardProxy.Model.Console;
using ShardProxy.Model.Errors;
using ShardProxy.Model.Fleet;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Topology;
using ShardProxy.Sql;
using ShardProxy.TestKit.Clusters;
using ShardProxy.TestKit.Wire;
using ShardProxy.Wire.Transport;

namespace ShardProxy.Functional.Tests.DataPath;

/// <summary>
/// The data plane alone, in this process, in front of given nodes and with a routing table made by hand: no catalog, no control plane.
/// </summary>
internal sealed class ProxyUnderTest : IAsyncDisposable
{
    private readonly StatementAnalyzer _analyzer;
    private readonly ProxyTransport _transport;
    private readonly Observer _observer;
    private NpgsqlDataSource? _source;

    private ProxyUnderTest(DataPlane plane, StatementAnalyzer analyzer, ProxyTransport transport, Observer observer, string database)
    {
        Plane = plane;
        _analyzer = analyzer;
        _transport = transport;
        _observer = observer;
        Database = database;
    }

    public DataPlane Plane { get; }

    /// <summary>What it was started with.</summary>
    public DataPathOptions Options { get; private init; } = null!;

    public string Database { get; }

    public int Port => Plane.EndPoint!.Port;

    /// <summary>How often the data path said that the schema has changed.</summary>
    public int SchemaChanges => Volatile.Read(ref _observer.Changes);

    /// <summary>Npgsql through the proxy.</summary>
    public NpgsqlDataSource Source => _source ??= NpgsqlDataSource.Create(ConnectionString);

    public string ConnectionString => new NpgsqlConnectionStringBuilder
    {
        Host = "127.0.0.1",
        Port = Port,
        Username = TestCluster.User,
        Password = TestCluster.Password,
        Database = Database,
        IncludeErrorDetail = true,
        GssEncryptionMode = GssEncryptionMode.Disable,
    }.ConnectionString;

    public static async Task<ProxyUnderTest> StartAsync(
        IReadOnlyList<IPEndPoint> nodes, string database, Placement? placement = null, Func<DataPathOptions, DataPathOptions>? configure = null)
    {
        var options = new DataPathOptions
        {
            ProxyId = "t1",
            Listen = new IPEndPoint(IPAddress.Loopback, 0),
            Database = database,
            Users = [new UserCredential(TestCluster.User, TestCluster.Password, IsAdmin: true)],
        };
        options = configure?.Invoke(options) ?? options;
        var analyzer = new StatementAnalyzer(new SqlOptions());
        var kind = Enum.Parse<TransportKind>(Environment.GetEnvironmentVariable("SHARDPROXY_TEST_TRANSPORT") ?? nameof(TransportKind.Auto), ignoreCase: true);
        var transport = ProxyTransport.Create(kind, new SocketTransportOptions(), NullLoggerFactory.Instance);
        var observer = new Observer();
        var all = nodes.Select((n, i) => new Node(i + 1, string.Create(CultureInfo.InvariantCulture, $"node{i + 1}"), n.Address.ToString(), n.Port, 0, i == 0)).ToImmutableArray();
        var plane = new DataPlane(
            options, (placement ?? new Placement()).Build(all), analyzer, transport, new SystemNodeAddress(), new NoConsole(), observer, new NoSequences(), TimeProvider.System, NullLoggerFactory.Instance);
        await plane.StartAsync(CancellationToken.None);
        return new ProxyUnderTest(plane, analyzer, transport, observer, database) { Options = options };
    }

    /// <summary>In front of a cluster's first nodes.</summary>
    public static Task<ProxyUnderTest> StartAsync(
        TestCluster cluster, string database, Placement? placement = null, Func<DataPathOptions, DataPathOptions>? configure = null) =>
        StartAsync([.. cluster.Nodes.Select(n => new IPEndPoint(IPAddress.Loopback, n.Port))], database, placement, configure);

    public Task<ScriptedClient> LoginAsync(params (string Name, string Value)[] parameters) =>
        ScriptedClient.LoginAsync(Port, TestCluster.User, Database, TestCluster.Password, default, parameters);

    /// <summary>Swaps in a changed routing table and waits for its barrier.</summary>
    public async Task<EpochReport> PublishAsync(Func<RoutingTable, RoutingTable> change, DrainScope scope, TimeSpan deadline) =>
        (await Plane.PublishAsync(change(Plane.Current), scope, deadline, CancellationToken.None)).Single();

    public async ValueTask DisposeAsync()
    {
        if (_source is not null)
        {
            await _source.DisposeAsync();
        }

        await Plane.DisposeAsync();
        _analyzer.Dispose();
        _transport.Dispose();
    }

    private sealed class NoConsole : IConsole
    {
        public ValueTask<ConsoleReply> ExecuteAsync(string statement, string user, CancellationToken cancellationToken) =>
            new(ConsoleReply.Failed(new ShardProxyError("42601", "SHP-600", "there is no console here")));

        public ValueTask<ConsoleReply> ExecuteReadOnlyAsync(string statement, string user, CancellationToken cancellationToken) => ExecuteAsync(statement, user, cancellationToken);
    }

    private sealed class NoSequences : ISequenceSource
    {
        public ValueTask<long[]> DrawAsync(string sequence, string? role, int count, CancellationToken cancellationToken) =>
            throw new SequenceException("42P01", "there is no sequence here");
    }

    private sealed class Observer : ISchemaObserver
    {
        public int Changes;

        public ValueTask SchemaChangedAsync(CancellationToken cancellationToken)
        {
            Interlocked.Increment(ref Changes);
            return ValueTask.CompletedTask;
        }
    }
}
