using System.Globalization;
using System.Net;
using System.Net.Sockets;
using ShardProxy.LocalCluster;

namespace ShardProxy.PgBench;

/// <summary>
/// Everything the measurements need, started and ended together: one PostgreSQL server (<c>shardproxy dev</c>'s own node, so that all
/// targets share one), pgbouncer and ShardProxy in front of it.
/// </summary>
internal sealed class Servers : IAsyncDisposable
{
    public const string User = "bench";
    public const string Password = "bench";
    public const string Database = "bench";

    private readonly List<IAsyncDisposable> _owned = [];
    private readonly string _directory = Directory.CreateTempSubdirectory("shardproxy-bench-").FullName;

    private Servers(ServerBinaries binaries) => Binaries = binaries;

    public ServerBinaries Binaries { get; }

    public List<Target> Targets { get; } = [];

    /// <summary>Port of the admin console; it is the proxy's.</summary>
    public int ConsolePort { get; private set; }

    public static async Task<Servers> StartAsync(BenchOptions options, Action<string> output, CancellationToken cancellationToken)
    {
        var binaries = await Prerequisites.EnsureAsync(options.InstallMissing, output, cancellationToken);
        var servers = new Servers(binaries);
        try
        {
            var direct = options.Targets.Contains("shardproxy")
                ? await servers.StartDevAsync(options, cancellationToken)
                : await servers.StartServerAloneAsync(cancellationToken);
            servers.Targets.Insert(0, new Target("direct", direct, null));
            if (options.Targets.Contains("pgbouncer"))
            {
                await servers.StartPgBouncerAsync(direct, options, output, cancellationToken);
            }

            servers.Targets.Sort((a, b) => BenchOptions.AllTargets.IndexOf(a.Name) - BenchOptions.AllTargets.IndexOf(b.Name));
            return servers;
        }
        catch
        {
            await servers.DisposeAsync();
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        for (var i = _owned.Count - 1; i >= 0; i--)
        {
            await _owned[i].DisposeAsync();
        }

        Directory.Delete(_directory, recursive: true);
    }

    private async Task<int> StartServerAloneAsync(CancellationToken cancellationToken)
    {
        var cluster = await LocalServerCluster.StartAsync(
            new LocalClusterOptions { Nodes = 1, User = User, Password = Password, Databases = [Database], Binaries = Binaries }, cancellationToken);
        _owned.Add(cluster);
        return cluster.Servers[0].Port;
    }

    /// <summary>Starts the proxy with one node; returns the node's port.</summary>
    private async Task<int> StartDevAsync(BenchOptions options, CancellationToken cancellationToken)
    {
        var ports = new Dictionary<string, int>(StringComparer.Ordinal);
        var ready = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        string[] arguments =
        [
            Path.Combine(AppContext.BaseDirectory, "shardproxy.dll"), "dev", "--nodes", "1", "--port", "0", "--admin-port", "0",
            "--user", User, "--password", Password, "--database", Database,
        ];
        Environment.SetEnvironmentVariable("SHARDPROXY_POOL_SIZE", options.PoolSize.ToString(CultureInfo.InvariantCulture));
        var dev = ChildProcess.Start("dotnet", arguments, line =>
        {
            var words = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            if (line == "ready")
            {
                ready.TrySetResult();
            }
            else if (words.Length == 2 && Uri.TryCreate(words[1], UriKind.Absolute, out var address))
            {
                ports[words[0]] = address.Port;
            }
        });
        _owned.Add(dev);
        var first = await Task.WhenAny(ready.Task, dev.Ended, Task.Delay(TimeSpan.FromSeconds(120), cancellationToken));
        if (first != ready.Task)
        {
            throw new InvalidOperationException($"shardproxy dev did not get ready:\n{dev.LastLines}");
        }

        ConsolePort = ports["console"];
        Targets.Add(new Target("shardproxy", ports["proxy"], dev));
        return ports["node1"];
    }

    private async Task StartPgBouncerAsync(int serverPort, BenchOptions options, Action<string> output, CancellationToken cancellationToken)
    {
        var program = await SystemProgram.EnsureAsync("pgbouncer", "pgbouncer", options.InstallMissing, output, cancellationToken);
        var port = FreePort();
        var users = Path.Combine(_directory, "users.txt");
        var configuration = Path.Combine(_directory, "pgbouncer.ini");

        // pgbouncer refuses to stay root; its own setting changes the account after the start.
        var account = Environment.UserName == "root" ? "user = postgres" : "";
        await File.WriteAllTextAsync(users, $"\"{User}\" \"{Password}\"\n", cancellationToken);
        await File.WriteAllTextAsync(
            configuration,
            $"""
             [databases]
             {Database} = host=127.0.0.1 port={serverPort} dbname={Database}
             [pgbouncer]
             listen_addr = 127.0.0.1
             listen_port = {port}
             unix_socket_dir =
             auth_type = scram-sha-256
             auth_file = {users}
             pool_mode = transaction
             default_pool_size = {options.PoolSize}
             max_client_conn = 1000
             log_connections = 0
             log_disconnections = 0
             {account}

             """,
            cancellationToken);
        Open(_directory);
        var pgbouncer = ChildProcess.Start(program, ["-q", configuration]);
        _owned.Add(pgbouncer);
        await AcceptsAsync(port, pgbouncer, cancellationToken);
        Targets.Add(new Target("pgbouncer", port, pgbouncer));
    }

    /// <summary>The other account has to be able to read the files. They hold a password that lives as long as this run, on loopback.</summary>
    private static void Open(string directory)
    {
        const UnixFileMode Readable = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.OtherRead;
        File.SetUnixFileMode(directory, Readable | UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute);
        foreach (var file in Directory.EnumerateFiles(directory))
        {
            File.SetUnixFileMode(file, Readable);
        }
    }

    private static async Task AcceptsAsync(int port, ChildProcess process, CancellationToken cancellationToken)
    {
        for (var attempt = 0; attempt < 200; attempt++)
        {
            using var socket = new TcpClient();
            try
            {
                await socket.ConnectAsync(IPAddress.Loopback, port, cancellationToken);
                return;
            }
            catch (SocketException) when (!process.Ended.IsCompleted)
            {
                await Task.Delay(25, cancellationToken);
            }
        }

        throw new InvalidOperationException($"pgbouncer did not start:\n{process.LastLines}");
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
