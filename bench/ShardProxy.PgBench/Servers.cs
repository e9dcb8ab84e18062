using System.Globalization;
using System.Net;
using System.Net.Sockets;
using ShardProxy.LocalCluster;

namespace ShardProxy.PgBench;

/// <summary>
/// Everything the measurements need, started and ended together: one PostgreSQL server, shared by all targets, pgbouncer and ShardProxy in
/// front of it.
/// </summary>
internal sealed class Servers : IAsyncDisposable
{
    public const string User = "bench";
    public const string Password = "bench";
    public const string Database = "bench";

    private readonly List<IAsyncDisposable> _owned = [];
    private readonly string _directory = Directory.CreateTempSubdirectory("shardproxy-bench-").FullName;

    private ChildProcess? _proxy;
    private int _adminPort;
    private volatile Action<string>? _onCollected;

    private Servers(ServerBinaries binaries)
    {
        Binaries = binaries;
        PgBench = new PgBenchProgram(binaries.Program("pgbench"), binaries.Program("psql"), TimeProvider.System);
    }

    public ServerBinaries Binaries { get; }

    public PgBenchProgram PgBench { get; }

    public List<Target> Targets { get; } = [];

    /// <summary>Port of the admin console; it is the proxy's.</summary>
    public int ConsolePort { get; private set; }

    /// <summary>Starts what the options name and fills pgbench's tables.</summary>
    public static async Task<Servers> StartAsync(BenchOptions options, Action<string> output, CancellationToken cancellationToken)
    {
        var binaries = await Prerequisites.EnsureAsync(options.InstallMissing, output, cancellationToken);
        var servers = new Servers(binaries);
        try
        {
            var direct = await servers.StartServerAsync(cancellationToken);
            servers.Targets.Add(new Target("direct", direct, null));
            if (options.Targets.Contains("pgbouncer"))
            {
                await servers.StartPgBouncerAsync(direct, options, output, cancellationToken);
            }

            if (options.Targets.Contains("shardproxy"))
            {
                await servers.StartProxyAsync(direct, options, cancellationToken);
            }

            output(string.Create(CultureInfo.InvariantCulture, $"filling pgbench's tables at scale {options.Scale}"));
            await servers.PgBench.InitializeAsync(servers.Targets[0], options.Scale, cancellationToken);
            return servers;
        }
        catch
        {
            await servers.DisposeAsync();
            throw;
        }
    }

    /// <summary>Has the proxy collect its garbage, fully, and tells what is left.</summary>
    public async Task<MemoryReading> CollectAsync(CancellationToken cancellationToken)
    {
        var done = new TaskCompletionSource<string>(TaskCreationOptions.RunContinuationsAsynchronously);
        _onCollected = line => done.TrySetResult(line);
        await _proxy!.SignalAsync("USR2");
        var figures = (await done.Task.WaitAsync(TimeSpan.FromSeconds(30), cancellationToken)).Split(' ');
        return new MemoryReading(_proxy.ResidentBytes(), long.Parse(figures[1], CultureInfo.InvariantCulture));
    }

    /// <summary>Returns when the proxy has no client left.</summary>
    public async Task EmptyAsync(CancellationToken cancellationToken)
    {
        using var http = new HttpClient();
        for (var attempt = 0; attempt < 600; attempt++)
        {
            var text = await http.GetStringAsync(new Uri($"http://127.0.0.1:{_adminPort}/metrics"), cancellationToken);
            if (!text.Split('\n').Any(l => l.StartsWith("shardproxy_sessions{", StringComparison.Ordinal) && !l.EndsWith(" 0", StringComparison.Ordinal)))
            {
                return;
            }

            await Task.Delay(50, cancellationToken);
        }

        throw new InvalidOperationException("clients that have left are still counted");
    }

    public async ValueTask DisposeAsync()
    {
        for (var i = _owned.Count - 1; i >= 0; i--)
        {
            await _owned[i].DisposeAsync();
        }

        Directory.Delete(_directory, recursive: true);
    }

    private async Task<int> StartServerAsync(CancellationToken cancellationToken)
    {
        var cluster = await LocalServerCluster.StartAsync(
            new LocalClusterOptions { Nodes = 1, User = User, Password = Password, Databases = [Database], Binaries = Binaries }, cancellationToken);
        _owned.Add(cluster);
        return cluster.Servers[0].Port;
    }

    /// <summary>Starts <c>shardproxy serve</c> over the server, with the hook that collects on a signal.</summary>
    private async Task StartProxyAsync(int serverPort, BenchOptions options, CancellationToken cancellationToken)
    {
        var proxy = await ProxyProgram.StartAsync(_directory, [serverPort], options, line => _onCollected?.Invoke(line), cancellationToken);
        (_proxy, _adminPort, ConsolePort) = (proxy.Process, proxy.AdminPort, proxy.Port);
        _owned.Add(_proxy);
        Targets.Add(new Target("shardproxy", proxy.Port, _proxy));
    }

    private async Task StartPgBouncerAsync(int serverPort, BenchOptions options, Action<string> output, CancellationToken cancellationToken)
    {
        var program = await SystemProgram.EnsureAsync("pgbouncer", "pgbouncer", options.InstallMissing, output, cancellationToken);
        var port = ProxyProgram.FreePort();
        var users = Path.Combine(_directory, "users.txt");
        var configuration = Path.Combine(_directory, "pgbouncer.ini");

        // pgbouncer refuses to stay root; its own setting changes the account after the start.
        var account = Environment.UserName == "root" ? "user = postgres" : "";

        // The server's own verifier, as ShardProxy uses it: from a cleartext password pgbouncer derives one anew for every login. Where clients
        // show nothing, the password is what it logs in to the server with.
        var secret = options.Method == "trust" ? Password : await PgBench.AskAsync(serverPort, Database, $"SELECT rolpassword FROM pg_authid WHERE rolname = '{User}'", cancellationToken);
        await File.WriteAllTextAsync(users, $"\"{User}\" \"{secret}\"\n", cancellationToken);
        await File.WriteAllTextAsync(
            configuration,
            $"""
             [databases]
             {Database} = host=127.0.0.1 port={serverPort} dbname={Database}
             [pgbouncer]
             listen_addr = 127.0.0.1
             listen_port = {port}
             unix_socket_dir =
             auth_type = {options.Method}
             auth_file = {users}
             pool_mode = transaction
             default_pool_size = {options.PoolSize}
             max_client_conn = 12000
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
}
