using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Npgsql;
using ShardProxy.Stress.Tests.Host;
using ShardProxy.TestKit.Clusters;
using ShardProxy.TestKit.Wire;

namespace ShardProxy.Stress.Tests.Faults;

/// <summary>Where the catalog of a run is.</summary>
internal enum CatalogKind
{
    /// <summary>A PostgreSQL server of its own, so that it can die while every node lives.</summary>
    Postgres,

    Etcd,
}

/// <summary>How a cluster is set up.</summary>
internal sealed record FaultClusterOptions
{
    public CatalogKind Catalog { get; init; } = CatalogKind.Postgres;

    /// <summary>Nodes and catalog are reached through relays, whose connections can be cut and slowed down.</summary>
    public bool HasRelays { get; init; }

    /// <summary>Further arguments of the proxies' program.</summary>
    public string[] ProxyArguments { get; init; } = [];

    /// <summary>Whole sections of the proxies' configuration, in YAML.</summary>
    public string Sections { get; init; } = "";

    /// <summary>The major version of the servers, or null for the machine's.</summary>
    public int? PostgresVersion { get; init; }
}

/// <summary>What a fault run is done to: three nodes, a catalog and two proxies, each a process (or several) of its own.</summary>
internal sealed class FaultCluster : IAsyncDisposable
{
    public const int NodeCount = 3;
    private readonly TestCluster _servers;
    private readonly EtcdServer? _etcd;
    private readonly FaultRelay?[] _relays;
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("shardproxy-test-");

    private int[] _ports = [];

    private FaultCluster(TestCluster servers, EtcdServer? etcd, FaultRelay?[] relays)
    {
        _servers = servers;
        _etcd = etcd;
        _relays = relays;
    }

    /// <summary>The two proxies.</summary>
    public IReadOnlyList<HostedProxy> Proxies { get; private set; } = [];

    public static async Task<FaultCluster> StartAsync(FaultClusterOptions options)
    {
        var isEtcd = options.Catalog == CatalogKind.Etcd;

        // A killed server loses what it has not written, not what the kernel has: no disk is waited for.
        var settings = new Dictionary<string, string> { ["fsync"] = "off", ["max_connections"] = "200", ["wal_sender_timeout"] = "10s", ["wal_receiver_timeout"] = "10s" };
        var servers = await TestCluster.StartAsync(isEtcd ? NodeCount : NodeCount + 1, settings, options.PostgresVersion);
        var etcd = isEtcd ? await EtcdServer.StartAsync() : null;
        int[] ports = [.. servers.Nodes.Select(n => n.Port), .. isEtcd ? new[] { etcd!.Port } : []];
        FaultRelay?[] relays = options.HasRelays ? [.. ports.Select(p => new FaultRelay(p))] : new FaultRelay?[ports.Length];
        var cluster = new FaultCluster(servers, etcd, relays);
        try
        {
            cluster._ports = [.. ports.Select((p, i) => relays[i]?.Port ?? p)];
            cluster.Proxies = [.. new[] { "one", "two" }.Select(id => cluster.NewProxy(id, options))];
            foreach (var proxy in cluster.Proxies)
            {
                await proxy.StartAsync();
            }

            return cluster;
        }
        catch
        {
            await cluster.DisposeAsync();
            throw;
        }
    }

    /// <summary>Kills the proxies and starts others of the same names.</summary>
    public async Task StartProxiesAgainAsync(FaultClusterOptions options)
    {
        foreach (var proxy in Proxies)
        {
            await proxy.KillAsync();
            Write(proxy.Id, proxy.Port, options);
            proxy.Arguments = options.ProxyArguments;
        }

        await Task.WhenAll(Proxies.Select(p => p.StartAsync()));
    }

    /// <summary>Its major version.</summary>
    public async Task<int> PostgresVersionAsync() => int.Parse((await ScalarAsync<string>(0, "SHOW server_version_num"))!, CultureInfo.InvariantCulture) / 10_000;

    /// <summary>The proxy that leads, as soon as one does.</summary>
    public async Task<HostedProxy> FindLeaderAsync(TimeSpan deadline)
    {
        HostedProxy? leader = null;
        var open = await Patience.UntilAsync(
            async () =>
            {
                foreach (var proxy in Proxies.Where(p => p.IsRunning))
                {
                    if (await FaultConsole.LeadsAsync(proxy))
                    {
                        leader = proxy;
                        return [];
                    }
                }

                return ["nobody leads"];
            },
            deadline);
        return leader ?? throw new InvalidOperationException(string.Join(", ", open));
    }

    /// <summary>The relay before a node (from 0), or before the catalog.</summary>
    public FaultRelay Relay(int? node) => _relays[node ?? NodeCount]!;

    /// <summary>A connection straight to a node, past all proxies.</summary>
    public async Task<NpgsqlConnection> OpenNodeAsync(int node)
    {
        var connection = new NpgsqlConnection(NodeConnectionString(node));
        await connection.OpenAsync();
        return connection;
    }

    public async Task<T?> ScalarAsync<T>(int node, string sql)
    {
        await using var connection = await OpenNodeAsync(node);
        await using var command = new NpgsqlCommand(sql, connection);
        return await command.ExecuteScalarAsync() is T value ? value : default;
    }

    public async Task ExecuteAsync(int node, string sql)
    {
        await using var connection = await OpenNodeAsync(node);
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync();
    }

    /// <summary>The same on the catalog's server, when that is PostgreSQL.</summary>
    public Task ExecuteOnCatalogAsync(string sql) => ExecuteAsync(NodeCount, sql);

    /// <summary>A connection to the catalog's server, when that is PostgreSQL.</summary>
    public Task<NpgsqlConnection> OpenCatalogAsync() => OpenNodeAsync(NodeCount);

    /// <summary>The process ids of a node's server processes of a kind, such as <c>walwriter</c>.</summary>
    public async Task<int> BackendAsync(int node, string type) => await ScalarAsync<int>(node, $"SELECT pid FROM pg_stat_activity WHERE backend_type = '{type}'");

    public bool IsNodeRunning(int node) => _servers.Nodes[node].IsRunning;

    /// <summary><c>kill -9</c> of a node, postmaster and all.</summary>
    public async Task KillNodeAsync(int node)
    {
        Processes.SignalTree(_servers.Nodes[node].ProcessId!.Value, Processes.Kill);
        await _servers.Nodes[node].StopAsync(LocalCluster.StopMode.Kill);
    }

    public Task StartNodeAsync(int node) => _servers.Nodes[node].StartAsync();

    public void SignalNode(int node, int signal) => Processes.SignalTree(_servers.Nodes[node].ProcessId!.Value, signal);

    public Task KillCatalogAsync() => _etcd?.KillAsync() ?? KillNodeAsync(NodeCount);

    public Task StartCatalogAsync() => _etcd?.StartAgainAsync() ?? StartNodeAsync(NodeCount);

    public void FreezeCatalog(bool isFrozen)
    {
        if (_etcd is null)
        {
            SignalNode(NodeCount, isFrozen ? Processes.Stop : Processes.Continue);
        }
        else if (isFrozen)
        {
            _etcd.Freeze();
        }
        else
        {
            _etcd.Thaw();
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var proxy in Proxies)
        {
            await proxy.DisposeAsync();
        }

        foreach (var relay in _relays)
        {
            relay?.Dispose();
        }

        if (_etcd is not null)
        {
            await _etcd.DisposeAsync();
        }

        await _servers.DisposeAsync();
        _directory.Delete(recursive: true);
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    // Unpooled: the servers come and go.
    private string NodeConnectionString(int node) =>
        new NpgsqlConnectionStringBuilder(_servers.ConnectionString(node)) { Pooling = false, Timeout = 30, CommandTimeout = 60, MaxPoolSize = 1 }.ConnectionString;

    private HostedProxy NewProxy(string id, FaultClusterOptions options)
    {
        var port = FreePort();
        return new HostedProxy(id, port, Write(id, port, options), options.ProxyArguments);
    }

    private string Write(string id, int port, FaultClusterOptions options)
    {
        var file = Path.Combine(_directory.FullName, id + ".yaml");
        var login = $"postgresql://{TestCluster.User}:{TestCluster.Password}@127.0.0.1";
        var nodes = _ports.Take(NodeCount).Select((p, i) => $"  - {{ name: node{i + 1}, uri: '{login}:{p}/{TestCluster.Database}' }}");
        var catalog = _etcd is not null
            ? $"{{ kind: etcd, endpoints: 'http://127.0.0.1:{_ports[NodeCount]}' }}"
            : $"{{ kind: postgres, uri: '{login}:{_ports[NodeCount]}/{TestCluster.Database}' }}";
        File.WriteAllText(
            file,
            $"""
            proxy_id: {id}
            database: {TestCluster.Database}
            log: {"{ level: information }"}
            listen: {"{"} port: {port} {"}"}
            admin: {"{"} port: {FreePort()} {"}"}
            catalog: {catalog}
            nodes:
            {string.Join('\n', nodes)}
            users:
              - {"{"} name: {TestCluster.User}, password: {TestCluster.Password}, admin: true {"}"}
            {options.Sections}

            """);
        return file;
    }
}
