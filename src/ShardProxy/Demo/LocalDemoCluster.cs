using System.Collections.Immutable;
using System.Security.Cryptography;
using Npgsql;
using ShardProxy.Cli;
using ShardProxy.Composition;
using ShardProxy.Configuration;
using ShardProxy.LocalCluster;

namespace ShardProxy.Demo;

/// <summary>The real thing on this machine: PostgreSQL servers started here and the proxy composed as <c>dev</c> composes it.</summary>
internal sealed class LocalDemoCluster : IDemoCluster
{
    private const string User = "demo";
    private const string Database = "demo";

    private readonly LocalServerCluster _servers;
    private readonly Secret _password;
    private readonly Func<ProxyOptions, IProxyHost> _compose;
    private ProxyOptions _options;
    private IProxyHost _proxy;

    private LocalDemoCluster(LocalServerCluster servers, Func<ProxyOptions, IProxyHost> compose, ProxyOptions options, Secret password)
    {
        _password = password;
        _servers = servers;
        _compose = compose;
        _options = options;
        _proxy = compose(options);
        Nodes = [.. servers.Servers.Select(s => new DemoNode(s.Name, ConnectionString(s.Host, s.Port, Database)))];
    }

    public string ClientConnectionString => ConnectionString(_proxy.Listen.Address.ToString(), _proxy.Listen.Port, Database);

    public string ConsoleConnectionString => ConnectionString(_proxy.Listen.Address.ToString(), _proxy.Listen.Port, "shardproxy");

    public ImmutableArray<DemoNode> Nodes { get; }

    /// <summary>Starts servers and proxy. On failure or cancellation nothing is left running.</summary>
    public static async Task<IDemoCluster> StartAsync(
        DemoClusterRequest request, Func<ProxyOptions, IProxyHost> compose, CancellationToken cancellationToken)
    {
        var binaries = await Prerequisites.EnsureAsync(request.InstallMissing, request.Output, cancellationToken);
        var password = new Secret(Convert.ToHexString(RandomNumberGenerator.GetBytes(12)));
        var servers = await LocalServerCluster.StartAsync(
            new LocalClusterOptions
            {
                Nodes = request.Nodes,
                User = User,
                Password = password.Reveal(),
                Databases = [Database],
                Binaries = binaries,
                Output = request.Output,
            },
            cancellationToken);
        try
        {
            var cluster = new LocalDemoCluster(servers, compose, OptionsOf(request, servers, password), password);
            await cluster._proxy.StartAsync(cancellationToken);
            return cluster;
        }
        catch
        {
            await servers.DisposeAsync();
            throw;
        }
    }

    public async ValueTask SetCapacityAsync(double statementsPerSecond, CancellationToken cancellationToken)
    {
        await _proxy.StopAsync();
        _options = _options with { Nodes = [.. _options.Nodes.Select(n => n with { Capacity = statementsPerSecond })] };
        _proxy = _compose(_options);
        await _proxy.StartAsync(cancellationToken);
    }

    public async ValueTask DisposeAsync()
    {
        try
        {
            await _proxy.StopAsync();
        }
        finally
        {
            await _servers.DisposeAsync();
        }
    }

    private static ProxyOptions OptionsOf(DemoClusterRequest request, LocalServerCluster servers, Secret password)
    {
        var options = new DevOptions { RollbackWindow = TimeSpan.Zero, Nodes = request.Nodes, User = User, Password = password, Database = Database }.ToProxyOptions(servers.Servers);
        var nodes = options.Nodes.Select(node =>
        {
            var (host, port) = request.Front(node.Name, node.Address.Host, node.Address.Port);
            return node with { Address = node.Address with { Host = host, Port = port } };
        }).ToList();
        return options with
        {
            ProxyId = "demo",
            Nodes = nodes,
            Planner = request.Planner,
            Log = options.Log with { Level = Microsoft.Extensions.Logging.LogLevel.Error },
        };
    }

    private string ConnectionString(string host, int port, string database) => new NpgsqlConnectionStringBuilder
    {
        Host = host,
        Port = port,
        Username = User,
        Password = _password.Reveal(),
        Database = database,
        ApplicationName = "shardproxy-demo",
        GssEncryptionMode = GssEncryptionMode.Disable,
    }.ConnectionString;
}
