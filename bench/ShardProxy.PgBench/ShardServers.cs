using System.Globalization;
using ShardProxy.LocalCluster;

namespace ShardProxy.PgBench;

/// <summary>
/// Nodes with a proxy in front and, beside them, one server with as much shared_buffers as all nodes together; both with the same rows. Data directories are
/// kept and found again where the options name one.
/// </summary>
internal sealed class ShardServers : IAsyncDisposable
{
    private const int SharedBuffersMegabytes = 1_536;

    private readonly List<IAsyncDisposable> _owned = [];
    private readonly string _directory = Directory.CreateTempSubdirectory("shardproxy-bench-").FullName;

    private ShardServers(ServerBinaries binaries)
    {
        PgBench = new PgBenchProgram(binaries.Program("pgbench"), binaries.Program("psql"), TimeProvider.System);
    }

    public PgBenchProgram PgBench { get; }

    /// <summary>The one server.</summary>
    public Target Direct { get; private set; } = null!;

    /// <summary>The proxy over the nodes.</summary>
    public Target Proxy { get; private set; } = null!;

    /// <summary>Ports of the nodes themselves.</summary>
    public IReadOnlyList<int> NodePorts { get; private set; } = [];

    /// <summary>Starts all of it.</summary>
    /// <param name="options">How many nodes and workers, where the data is.</param>
    /// <param name="hasDirect">Whether the one server is needed.</param>
    /// <param name="output">For progress.</param>
    /// <param name="cancellationToken">Ends the start.</param>
    public static async Task<ShardServers> StartAsync(BenchOptions options, bool hasDirect, Action<string> output, CancellationToken cancellationToken)
    {
        var binaries = await Prerequisites.EnsureAsync(options.InstallMissing, output, cancellationToken);
        var servers = new ShardServers(binaries);
        try
        {
            var nodes = await servers.StartClusterAsync(binaries, options, options.Nodes, "nodes", cancellationToken);
            servers.NodePorts = [.. nodes.Servers.Select(s => s.Port)];
            if (hasDirect)
            {
                var one = await servers.StartClusterAsync(binaries, options, 1, "one", cancellationToken);
                servers.Direct = new Target("one PostgreSQL", one.Servers[0].Port, null);
            }

            var proxy = await ProxyProgram.StartAsync(servers._directory, servers.NodePorts, options, null, cancellationToken);
            servers._owned.Add(proxy.Process);
            servers.Proxy = new Target("shardproxy", proxy.Port, proxy.Process);
            return servers;
        }
        catch
        {
            await servers.DisposeAsync();
            throw;
        }
    }

    /// <summary>True when the proxy's database has that table.</summary>
    public async Task<bool> HasTableAsync(string table, CancellationToken cancellationToken) =>
        await PgBench.AskAsync(Proxy.Port, Servers.Database, $"SELECT count(*) FROM pg_class WHERE relname = '{table}'", cancellationToken) == "1";

    /// <summary>Runs a statement on the console.</summary>
    public Task ConsoleAsync(string statement, CancellationToken cancellationToken) => PgBench.StatementAsync(Proxy.Port, "shardproxy", statement, cancellationToken);

    /// <summary>The ranges of a table's group of its own.</summary>
    public async Task<IReadOnlyList<string>> RangesOfAsync(string group, CancellationToken cancellationToken) =>
        [
            .. (await PgBench.AskAsync(Proxy.Port, "shardproxy", "SHOW RANGES", cancellationToken)).Split('\n')
                .Select(line => line.Split('|'))
                .Where(range => range[1] == group)
                .Select(range => range[0]),
        ];

    /// <summary>Runs a statement on the one server, if there is one, and through the proxy.</summary>
    public async Task OnBothAsync(string statement, CancellationToken cancellationToken)
    {
        foreach (var target in new[] { Direct, Proxy })
        {
            if (target is not null)
            {
                await PgBench.StatementAsync(target.Port, Servers.Database, statement, cancellationToken);
            }
        }
    }

    /// <summary>Settles a table: hint bits, visibility, statistics, and all that is dirty is written.</summary>
    public async Task SettleAsync(string table, CancellationToken cancellationToken)
    {
        foreach (var port in NodePorts.Concat(Direct is null ? [] : [Direct.Port]))
        {
            await PgBench.StatementAsync(port, Servers.Database, $"VACUUM (FREEZE, ANALYZE) {table}", cancellationToken);
            await PgBench.StatementAsync(port, Servers.Database, "CHECKPOINT", cancellationToken);
        }
    }

    /// <summary>A file in the run's own directory.</summary>
    public async Task<string> WriteAsync(string name, string text)
    {
        var path = Path.Combine(_directory, name);
        await File.WriteAllTextAsync(path, text);
        return path;
    }

    public async ValueTask DisposeAsync()
    {
        for (var i = _owned.Count - 1; i >= 0; i--)
        {
            await _owned[i].DisposeAsync();
        }

        Directory.Delete(_directory, recursive: true);
    }

    private async Task<LocalServerCluster> StartClusterAsync(ServerBinaries binaries, BenchOptions options, int count, string name, CancellationToken cancellationToken)
    {
        var cluster = await LocalServerCluster.StartAsync(
            new LocalClusterOptions
            {
                Nodes = count,
                User = Servers.User,
                Password = Servers.Password,
                Databases = [Servers.Database],
                Binaries = binaries,
                Directory = options.DataDirectory is { } data ? Path.Combine(data, name) : null,
                SharedBuffersMegabytes = SharedBuffersMegabytes / count,
                ServerSettings = new Dictionary<string, string>
                {
                    ["max_parallel_workers_per_gather"] = options.Workers.ToString(CultureInfo.InvariantCulture),
                    ["autovacuum"] = "off",
                    ["checkpoint_timeout"] = "30min",
                    ["max_wal_size"] = "4GB",
                },
            },
            cancellationToken);
        _owned.Add(cluster);
        return cluster;
    }
}
