using System.Globalization;
using ShardProxy.LocalCluster.Processes;
using ShardProxy.LocalCluster.Servers;

namespace ShardProxy.TestKit.Clusters;

/// <summary>
/// A real etcd of one member on loopback, in a directory of its own, on ports it chose free. It ends with this process, in whatever way that ends, and
/// can be killed, stopped, continued and started again with its data.
/// </summary>
public sealed class EtcdServer : IAsyncDisposable
{
    private const int SignalStop = 19;
    private const int SignalContinue = 18;
    private static readonly TimeSpan StartDeadline = TimeSpan.FromSeconds(30);
    private static readonly PortPicker Ports = new(Environment.ProcessId + 7);
    private readonly string _program;
    private readonly string _directory;
    private readonly int _peerPort;
    private ServerProcess? _process;

    private EtcdServer(string program, string directory, int port, int peerPort)
    {
        _program = program;
        _directory = directory;
        Port = port;
        _peerPort = peerPort;
    }

    /// <summary>Port for clients, the same over restarts.</summary>
    public int Port { get; }

    /// <summary>Address for clients.</summary>
    public Uri Endpoint => new(string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{Port}"));

    public static async Task<EtcdServer> StartAsync(CancellationToken cancellationToken = default)
    {
        var program = await TestPrerequisites.EnsureProgramAsync("etcd", "etcd-server", cancellationToken);
        for (var attempt = 1; ; attempt++)
        {
            var server = new EtcdServer(program, Directory.CreateTempSubdirectory("shardproxy-etcd-").FullName, Ports.Take(), Ports.Take());
            try
            {
                await server.StartAgainAsync(cancellationToken);
                return server;
            }
            catch (InvalidOperationException) when (attempt < 3)
            {
                // Somebody took a port between picking and binding.
                await server.DisposeAsync();
            }
            catch
            {
                await server.DisposeAsync();
                throw;
            }
        }
    }

    /// <summary>Starts it with the data it has and waits until it answers.</summary>
    public async Task StartAgainAsync(CancellationToken cancellationToken = default)
    {
        var (client, peer) = (Endpoint.ToString().TrimEnd('/'), string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{_peerPort}"));
        var log = Path.Combine(_directory, "log");
        _process = await ServerProcess.StartAsync(
            ServerAccount.Own(),
            log,
            null,
            [
                _program, "--name", "one", "--data-dir", Path.Combine(_directory, "data"), "--listen-client-urls", client, "--advertise-client-urls", client,
                "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", $"one={peer}", "--logger", "zap", "--log-outputs", "stderr",
            ],
            cancellationToken);
        using var http = new HttpClient { BaseAddress = Endpoint, Timeout = TimeSpan.FromSeconds(1) };
        using var deadline = new CancellationTokenSource(StartDeadline);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellationToken);
        while (true)
        {
            try
            {
                using var answer = await http.PostAsync("/v3/kv/range", new StringContent("""{"key":"YQ=="}"""), either.Token);
                if (answer.IsSuccessStatusCode)
                {
                    return;
                }
            }
            catch (Exception e) when (e is HttpRequestException or OperationCanceledException && !either.IsCancellationRequested)
            {
                // Not yet.
            }

            if (_process.Exited.IsCompleted)
            {
                throw new InvalidOperationException($"etcd ended:\n{await File.ReadAllTextAsync(log, CancellationToken.None)}");
            }

            await Task.Delay(20, either.Token);
        }
    }

    /// <summary>Ends it without a word, and waits until it has ended.</summary>
    public async Task KillAsync()
    {
        if (_process is { } process)
        {
            process.Signal(NativeMethods.SignalKill);
            await process.Exited;
            process.Dispose();
            _process = null;
        }
    }

    /// <summary>Stops it where it is (SIGSTOP): it holds its connections and answers nothing.</summary>
    public void Freeze() => _process!.Signal(SignalStop);

    /// <summary>Lets it go on.</summary>
    public void Thaw() => _process!.Signal(SignalContinue);

    public async ValueTask DisposeAsync()
    {
        await KillAsync();
        Directory.Delete(_directory, recursive: true);
    }
}
