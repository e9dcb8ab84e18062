using System.Diagnostics;
using Npgsql;
using ShardProxy.LocalCluster.Processes;

namespace ShardProxy.TestKit.Clusters;

/// <summary>
/// The built executable as a user starts it: <c>dev</c>, the whole proxy over nodes of its own, or <c>serve</c> with a configuration
/// file. With <c>dev</c> the ready lines tell where everything is. Disposing ends it by its process id.
/// </summary>
public sealed class ProxyProcess : IAsyncDisposable
{
    private readonly Process _process;
    private readonly ProxyProcessOptions _options;
    private readonly Lock _lock = new();
    private readonly List<string> _lines = [];
    private readonly Dictionary<string, Uri> _addresses = new(StringComparer.Ordinal);
    private readonly TaskCompletionSource<bool> _ready = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private ProxyProcess(ProxyProcessOptions options)
    {
        _options = options;
        _process = new Process { StartInfo = StartInfo(options) };
        foreach (var (name, address) in options.Addresses)
        {
            _addresses[name] = address;
        }
    }

    /// <summary>Process id of the proxy.</summary>
    public int ProcessId => _process.Id;

    public bool HasExited => _process.HasExited;

    /// <summary>Valid once the process has ended.</summary>
    public int ExitCode => _process.ExitCode;

    /// <summary>Everything written so far, standard error's lines marked with <c>! </c>.</summary>
    public string Output
    {
        get
        {
            lock (_lock)
            {
                return string.Join('\n', _lines);
            }
        }
    }

    /// <summary>What was written to standard output so far, line by line.</summary>
    public IReadOnlyList<string> OutputLines
    {
        get
        {
            lock (_lock)
            {
                return [.. _lines.Where(l => !l.StartsWith("! ", StringComparison.Ordinal))];
            }
        }
    }

    /// <summary>The nodes' names in order.</summary>
    public IReadOnlyList<string> NodeNames => [.. _addresses.Keys.Where(k => k.StartsWith("node", StringComparison.Ordinal))];

    /// <summary>Base address of the admin port.</summary>
    public Uri Http => _addresses["http"];

    /// <summary>Connection string to the proxy for Npgsql.</summary>
    public string ConnectionString(string? database = null) => ConnectionStringTo("proxy", database);

    /// <summary>Connection string to the admin console.</summary>
    public string ConsoleConnectionString => ConnectionStringTo("console", null);

    /// <summary>Connection string straight to a node (<c>node1</c>, …), around the proxy.</summary>
    public string NodeConnectionString(string node, string? database = null) => ConnectionStringTo(node, database);

    /// <summary>A line's address as printed: <c>proxy</c>, <c>console</c>, <c>http</c>, <c>node1</c>, ….</summary>
    public Uri Address(string name) => _addresses[name];

    /// <summary>Starts it and waits for <c>ready</c>; throws with all output when it ends or times out before.</summary>
    public static async Task<ProxyProcess> StartAsync(ProxyProcessOptions? options = null, CancellationToken cancellationToken = default)
    {
        await TestPrerequisites.EnsureAsync(cancellationToken);
        var proxy = new ProxyProcess(options ?? new ProxyProcessOptions());
        try
        {
            proxy.Start();
            await proxy._ready.Task.WaitAsync(proxy._options.StartTimeout, cancellationToken);
            return proxy;
        }
        catch (Exception e)
        {
            await proxy.DisposeAsync();
            throw new InvalidOperationException($"shardproxy did not get ready: {e.Message}\n{proxy.Output}", e);
        }
    }

    /// <summary>Sends a signal and returns at once: 2 as Ctrl-C does, 15 as service managers do, 9 to kill.</summary>
    public void Signal(int signal) => _ = NativeMethods.Kill(_process.Id, signal);

    /// <summary>Waits for its end and the end of its output.</summary>
    public async Task<int> WaitForExitAsync(CancellationToken cancellationToken = default)
    {
        await _process.WaitForExitAsync(cancellationToken);
        return _process.ExitCode;
    }

    public async ValueTask DisposeAsync()
    {
        if (IsStarted() && !_process.HasExited)
        {
            Signal(NativeMethods.SignalTerminate);
            try
            {
                await _process.WaitForExitAsync(CancellationToken.None).WaitAsync(TimeSpan.FromSeconds(10));
            }
            catch (TimeoutException)
            {
                Signal(NativeMethods.SignalKill);
                await _process.WaitForExitAsync(CancellationToken.None);
            }
        }

        _process.Dispose();
    }

    private static ProcessStartInfo StartInfo(ProxyProcessOptions options)
    {
        var dotnet = Environment.ProcessPath is { } host && Path.GetFileNameWithoutExtension(host) == "dotnet" ? host : "dotnet";
        var start = new ProcessStartInfo(dotnet)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        string[] data = options.DataDirectory is { } directory ? ["--data", directory] : [];
        string[] verb = options.ConfigFile is { } file
            ? ["serve", "--config", file]
            :
            [
                "dev", "--nodes", $"{options.Nodes}", "--port", "0", "--admin-port", "0", "--rollback-window", $"{options.RollbackWindowSeconds}", .. data,
                "--user", options.User, "--password", options.Password, "--database", options.Database,
            ];
        string[] arguments = [Path.Combine(AppContext.BaseDirectory, "shardproxy.dll"), .. verb, .. options.Arguments];
        foreach (var argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        foreach (var (name, value) in options.Environment)
        {
            start.Environment[name] = value;
        }

        return start;
    }

    private void Start()
    {
        _process.OutputDataReceived += (_, e) => Take(e.Data, "");
        _process.ErrorDataReceived += (_, e) => Take(e.Data, "! ");
        _process.EnableRaisingEvents = true;
        _process.Exited += (_, _) => _ready.TrySetException(new InvalidOperationException("it ended"));
        HangUpSignal.Unignored(() => _process.Start());
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
    }

    private void Take(string? line, string mark)
    {
        if (line is null)
        {
            return;
        }

        lock (_lock)
        {
            _lines.Add(mark + line);
            var fields = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            if (mark.Length == 0 && fields.Length == 2 && Uri.TryCreate(fields[1], UriKind.Absolute, out var address))
            {
                _addresses[fields[0]] = address;
            }
        }

        if (mark.Length == 0 && line == "ready")
        {
            _ready.TrySetResult(true);
        }
    }

    private bool IsStarted()
    {
        try
        {
            return _process.Id > 0;
        }
        catch (InvalidOperationException)
        {
            return false;
        }
    }

    private string ConnectionStringTo(string name, string? database)
    {
        var address = _addresses[name];
        return new NpgsqlConnectionStringBuilder
        {
            Host = address.Host,
            Port = address.Port,
            Username = _options.User,
            Password = _options.Password,
            Database = database ?? Uri.UnescapeDataString(address.AbsolutePath.TrimStart('/')),
            IncludeErrorDetail = true,
            GssEncryptionMode = GssEncryptionMode.Disable,
        }.ConnectionString;
    }
}
