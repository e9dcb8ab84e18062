using System.Globalization;
using ShardProxy.LocalCluster.Processes;
using ShardProxy.LocalCluster.Servers;

namespace ShardProxy.LocalCluster;

/// <summary>One real PostgreSQL server on 127.0.0.1, a child of this process. Its calls must not overlap.</summary>
public sealed class LocalServer
{
    private const int PortTries = 20;
    private static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(10);
    private static readonly TimeSpan FastPatience = TimeSpan.FromMilliseconds(850);
    private static readonly TimeSpan ImmediatePatience = TimeSpan.FromMilliseconds(350);

    private enum StartOutcome
    {
        Ready,
        PortTaken,

        /// <summary>Sessions of a postmaster that was killed are still noticing it.</summary>
        SessionsRemain,
    }

    private readonly ServerBinaries _binaries;
    private readonly ServerAccount _account;
    private readonly LocalClusterOptions _options;
    private readonly PortPicker _ports;
    private ServerProcess? _process;

    internal LocalServer(string name, string dataDirectory, ServerBinaries binaries, ServerAccount account, LocalClusterOptions options, PortPicker ports)
    {
        Name = name;
        DataDirectory = dataDirectory;
        LogPath = dataDirectory + ".log";
        _binaries = binaries;
        _account = account;
        _options = options;
        _ports = ports;
    }

    /// <summary>node1, node2, …; node1 is the home node.</summary>
    public string Name { get; }

    /// <summary>Always 127.0.0.1.</summary>
    public string Host { get; } = "127.0.0.1";

    /// <summary>The TCP port; kept over restarts and, in a kept directory, over starts of the cluster where it is still free.</summary>
    public int Port { get; private set; }

    public string DataDirectory { get; }

    /// <summary>The server's log.</summary>
    public string LogPath { get; }

    /// <summary>The postmaster's process id, or null when stopped.</summary>
    public int? ProcessId => IsRunning ? _process!.ServerId : null;

    public bool IsRunning => _process is { Exited.IsCompleted: false };

    /// <summary>The URI of one of its databases, without the password.</summary>
    public string Uri(string database) =>
        $"postgresql://{System.Uri.EscapeDataString(_options.User)}@{Host}:{Port}/{System.Uri.EscapeDataString(database)}";

    /// <summary>Starts the stopped server again on its port and waits until it accepts connections.</summary>
    /// <exception cref="Model.Errors.ShardProxyException">SHP-703.</exception>
    public async Task StartAsync(CancellationToken cancellationToken = default)
    {
        if (IsRunning)
        {
            return;
        }

        var began = _options.TimeProvider.GetTimestamp();
        while (await TryStartAsync(Port, cancellationToken) is var outcome && outcome != StartOutcome.Ready)
        {
            if (outcome == StartOutcome.PortTaken)
            {
                throw LocalClusterErrors.StartFailed(Name, LogPath, $"port {Port} has been taken by another process");
            }

            if (_options.TimeProvider.GetElapsedTime(began) > _options.StartTimeout)
            {
                throw LocalClusterErrors.StartFailed(Name, LogPath, "sessions of the killed server do not end");
            }

            await Task.Delay(PollInterval, _options.TimeProvider, cancellationToken);
        }
    }

    /// <summary>
    /// Stops the server and waits until it is gone: within two seconds, since a server that does not end in time is stopped
    /// harder.
    /// </summary>
    public async Task StopAsync(StopMode mode = StopMode.Fast)
    {
        if (_process is not { } process)
        {
            return;
        }

        if (mode == StopMode.Fast)
        {
            process.Signal(NativeMethods.SignalInterrupt);
            await EndsWithinAsync(process, FastPatience);
        }

        if (mode != StopMode.Kill && !process.Exited.IsCompleted)
        {
            process.Signal(NativeMethods.SignalQuit);
            await EndsWithinAsync(process, ImmediatePatience);
        }

        process.Signal(NativeMethods.SignalKill);
        await process.Exited;
        process.Dispose();
        _process = null;
    }

    /// <summary>Stops and starts.</summary>
    public async Task RestartAsync(StopMode mode = StopMode.Fast, CancellationToken cancellationToken = default)
    {
        await StopAsync(mode);
        await StartAsync(cancellationToken);
    }

    /// <summary>Sends any signal to the postmaster (SIGHUP to reload, SIGSTOP to pause), and returns at once.</summary>
    public void Signal(int signal) => _process?.Signal(signal);

    /// <summary>First start: prepares the directory and finds a port.</summary>
    internal async Task CreateAsync(CancellationToken cancellationToken)
    {
        await new DataDirectory(_binaries, _account, _options).PrepareAsync(Name, DataDirectory, cancellationToken);
        var portFile = DataDirectory + ".port";
        var remembered = File.Exists(portFile) && int.TryParse(await File.ReadAllTextAsync(portFile, cancellationToken), NumberStyles.None, CultureInfo.InvariantCulture, out var port) ? port : 0;
        for (var attempt = 0; attempt < PortTries; attempt++)
        {
            var candidate = attempt == 0 && remembered is > 0 and < 65_536 ? remembered : _ports.Take();
            var outcome = await TryStartAsync(candidate, cancellationToken);
            if (outcome == StartOutcome.Ready)
            {
                if (_options.Directory is not null)
                {
                    await File.WriteAllTextAsync(portFile, candidate.ToString(CultureInfo.InvariantCulture), cancellationToken);
                }

                return;
            }
        }

        throw LocalClusterErrors.StartFailed(Name, LogPath, $"no free port in {PortTries} tries");
    }

    /// <summary>One try; a failure that trying again cannot mend throws.</summary>
    private async Task<StartOutcome> TryStartAsync(int port, CancellationToken cancellationToken)
    {
        Port = port;
        var logStart = File.Exists(LogPath) ? new FileInfo(LogPath).Length : 0;
        _process = await ServerProcess.StartAsync(
            _account,
            LogPath,
            _options.Directory is null ? DataDirectory : null,
            [_binaries.Program("postgres"), "-D", DataDirectory, "-p", port.ToString(CultureInfo.InvariantCulture)],
            cancellationToken);
        var began = _options.TimeProvider.GetTimestamp();
        try
        {
            while (!IsReady(_process.ServerId))
            {
                if (_process.Exited.IsCompleted)
                {
                    var reason = LastError(logStart);
                    _process.Dispose();
                    _process = null;
                    return reason.Contains("could not create any TCP/IP sockets", StringComparison.Ordinal) ? StartOutcome.PortTaken
                        : reason.Contains("pre-existing shared memory block", StringComparison.Ordinal) ? StartOutcome.SessionsRemain
                        : throw LocalClusterErrors.StartFailed(Name, LogPath, reason);
                }

                if (_options.TimeProvider.GetElapsedTime(began) > _options.StartTimeout)
                {
                    throw LocalClusterErrors.StartFailed(Name, LogPath, $"not ready after {_options.StartTimeout.TotalSeconds:0} s");
                }

                await Task.Delay(PollInterval, _options.TimeProvider, cancellationToken);
            }
        }
        catch
        {
            await StopAsync(StopMode.Immediate);
            throw;
        }

        return StartOutcome.Ready;
    }

    /// <summary>The server's own word: line 8 of <c>postmaster.pid</c>, which is also what <c>pg_ctl --wait</c> reads (miscadmin.h).</summary>
    private bool IsReady(int serverId)
    {
        try
        {
            var lines = File.ReadAllLines(Path.Combine(DataDirectory, "postmaster.pid"));
            return lines.Length >= 8 && lines[0] == serverId.ToString(CultureInfo.InvariantCulture) && lines[7].Trim() == "ready";
        }
        catch (IOException)
        {
            return false;
        }
    }

    private string LastError(long logStart)
    {
        using var log = new FileStream(LogPath, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        log.Seek(logStart, SeekOrigin.Begin);
        using var reader = new StreamReader(log);
        var lines = reader.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries);
        return lines.LastOrDefault(l => l.Contains("FATAL:", StringComparison.Ordinal)) ?? lines.LastOrDefault() ?? "the server wrote nothing";
    }

    private async Task EndsWithinAsync(ServerProcess process, TimeSpan patience)
    {
        try
        {
            await process.Exited.WaitAsync(patience, _options.TimeProvider);
        }
        catch (TimeoutException)
        {
            // The caller stops it harder.
        }
    }
}
