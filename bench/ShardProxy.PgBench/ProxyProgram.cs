using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace ShardProxy.PgBench;

/// <summary>A running <c>shardproxy serve</c>.</summary>
/// <param name="Process">Its process; the caller ends it.</param>
/// <param name="Port">For clients, and for the console.</param>
/// <param name="AdminPort">For HTTP.</param>
internal sealed record ProxyProgram(ChildProcess Process, int Port, int AdminPort)
{
    /// <summary>Starts it over servers on this machine, the first of which is the home node, and waits until it is ready.</summary>
    /// <param name="directory">For its configuration.</param>
    /// <param name="serverPorts">Of the nodes.</param>
    /// <param name="options">Pool, clients and how they log in.</param>
    /// <param name="onCollected">What it says when it has collected its garbage on SIGUSR2, or null.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    public static async Task<ProxyProgram> StartAsync(
        string directory, IReadOnlyList<int> serverPorts, BenchOptions options, Action<string>? onCollected, CancellationToken cancellationToken)
    {
        var (port, adminPort) = (FreePort(), FreePort());
        var configuration = Path.Combine(directory, "shardproxy.yaml");
        var nodes = serverPorts.Select((p, i) => string.Create(
            CultureInfo.InvariantCulture,
            $"  - {"{"} name: node{i + 1}, uri: \"postgresql://{Servers.User}:{Servers.Password}@127.0.0.1:{p}/{Servers.Database}\", home: {(i == 0 ? "true" : "false")} {"}"}"));
        await File.WriteAllTextAsync(
            configuration,
            $"""
             listen: {"{"} host: 127.0.0.1, port: {port}, authentication: {options.Method} {"}"}
             admin: {"{"} host: 127.0.0.1, port: {adminPort} {"}"}
             database: {Servers.Database}
             proxy_id: bench
             nodes:
             {string.Join('\n', nodes)}
             users: [{"{"} name: {Servers.User}, password: {Servers.Password}, admin: true {"}"}]
             pool: {"{"} size: {options.PoolSize} {"}"}
             limits: {"{"} max_clients: {Math.Max(10_000, options.Connections + 100)} {"}"}
             log: {"{"} level: warning {"}"}

             """,
            cancellationToken);
        var ready = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var process = ChildProcess.Start(
            "dotnet",
            [Path.Combine(AppContext.BaseDirectory, "shardproxy.dll"), "serve", "--config", configuration],
            line => (line == "ready" ? ready : null)?.TrySetResult(),
            line => (line.StartsWith(StartupHook.Word, StringComparison.Ordinal) ? onCollected : null)?.Invoke(line),
            [("DOTNET_STARTUP_HOOKS", typeof(StartupHook).Assembly.Location)]);
        var first = await Task.WhenAny(ready.Task, process.Ended, Task.Delay(TimeSpan.FromSeconds(60), cancellationToken));
        if (first != ready.Task)
        {
            var words = process.LastLines;
            await process.DisposeAsync();
            throw new InvalidOperationException($"shardproxy serve did not get ready:\n{words}");
        }

        return new ProxyProgram(process, port, adminPort);
    }

    public static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
