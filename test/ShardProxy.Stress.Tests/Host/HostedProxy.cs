using System.Diagnostics;
using System.Globalization;
using Npgsql;
using ShardProxy.TestKit.Clusters;

namespace ShardProxy.Stress.Tests.Host;

/// <summary>
/// One proxy of a fault run as its own process: started, stopped at a step, killed, frozen and started again, on the same ports. It ends with this process, whatever
/// becomes of that.
/// </summary>
internal sealed class HostedProxy : IAsyncDisposable
{
    private const int SignalKill = 9, SignalContinue = 18, SignalStop = 19;
    private static readonly TimeSpan StartDeadline = TimeSpan.FromSeconds(60);
    private readonly string _configFile;
    private readonly Lock _lock = new();
    private readonly List<string> _lines = [];
    private readonly List<(string Step, bool IsAfter)> _steps = [];
    private TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Process? _process;
    private bool _isReady;

    /// <param name="id">Its <c>proxy_id</c>.</param>
    /// <param name="port">Where clients connect.</param>
    /// <param name="configFile">As for <c>serve</c>.</param>
    /// <param name="arguments">Further ones of <see cref="ProxyHostProgram"/>.</param>
    public HostedProxy(string id, int port, string configFile, params string[] arguments)
    {
        Id = id;
        Port = port;
        _configFile = configFile;
        Arguments = arguments;
    }

    public string Id { get; }

    /// <summary>Those of its next start.</summary>
    public string[] Arguments { get; set; }

    public int Port { get; }

    public bool IsRunning => _process is { HasExited: false };

    /// <summary>What it and its predecessors wrote, for when a run has found something.</summary>
    public string Log
    {
        get
        {
            lock (_lock)
            {
                return string.Join('\n', _lines.TakeLast(60));
            }
        }
    }

    /// <summary>Steps told since <see cref="ForgetSteps"/>, in order.</summary>
    public IReadOnlyList<(string Step, bool IsAfter)> Steps
    {
        get
        {
            lock (_lock)
            {
                return [.. _steps];
            }
        }
    }

    /// <summary>For clients: nothing is asked of the server on connecting, no pool, and a wait for an answer ends.</summary>
    public string ConnectionString(string database = TestCluster.Database) => new NpgsqlConnectionStringBuilder
    {
        Host = "127.0.0.1",
        Port = Port,
        Username = TestCluster.User,
        Password = TestCluster.Password,
        Database = database,
        Pooling = false,
        Timeout = 15,
        CommandTimeout = 90,
        CancellationTimeout = -1,
        GssEncryptionMode = GssEncryptionMode.Disable,
        SslMode = SslMode.Disable,
        IncludeErrorDetail = true,
    }.ConnectionString + ";Server Compatibility Mode=NoTypeLoading";

    /// <summary>Starts it and waits until clients can connect.</summary>
    public async Task StartAsync()
    {
        var start = new ProcessStartInfo(Environment.ProcessPath is { } host && Path.GetFileNameWithoutExtension(host) == "dotnet" ? host : "dotnet")
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        foreach (var argument in (string[])[Path.Combine(AppContext.BaseDirectory, "ShardProxy.Stress.Tests.dll"), "host", _configFile, .. Arguments])
        {
            start.ArgumentList.Add(argument);
        }

        lock (_lock)
        {
            _isReady = false;
            _lines.Add($"--- {Id} starts");
        }

        var process = new Process { StartInfo = start, EnableRaisingEvents = true };
        process.OutputDataReceived += (_, e) => Take(e.Data);
        process.ErrorDataReceived += (_, e) => Note(e.Data);
        process.Exited += (_, _) => Signal();
        process.Start();
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        _process = process;
        if (!await WaitAsync(() => _isReady || process.HasExited, StartDeadline) || process.HasExited)
        {
            throw new InvalidOperationException($"proxy {Id} did not get ready\n{Log}");
        }
    }

    /// <summary><c>kill -9</c>, and waits for its end.</summary>
    public async Task KillAsync()
    {
        if (_process is { } process)
        {
            process.Kill();
            await process.WaitForExitAsync();
            process.Dispose();
            _process = null;
        }
    }

    public void Freeze() => Processes.Signal(_process!.Id, SignalStop);

    public void Thaw() => Processes.Signal(_process!.Id, SignalContinue);

    /// <summary>The next time at this step it waits for <see cref="Go"/>.</summary>
    public void StopAt(string step, bool isAfter) => Send($"stop\t{step}\t{(isAfter ? "after" : "before")}");

    public void Go() => Send("go");

    /// <summary>It waits nowhere any more.</summary>
    public void StopNowhere()
    {
        Send("stop\t");
        Go();
    }

    public void ForgetSteps()
    {
        lock (_lock)
        {
            _steps.Clear();
        }
    }

    /// <summary>Waits until it has told a step; false when it has not in time, or when <paramref name="isOver"/> has ended before.</summary>
    public async Task<bool> ReachesAsync(string step, bool isAfter, TimeSpan deadline, Task? isOver = null)
    {
        await WaitAsync(() => _steps.Contains((step, isAfter)) || isOver is { IsCompleted: true }, deadline, isOver);
        lock (_lock)
        {
            return _steps.Contains((step, isAfter));
        }
    }

    public async ValueTask DisposeAsync() => await KillAsync();

    private void Send(string line)
    {
        try
        {
            _process?.StandardInput.WriteLine(line);
            _process?.StandardInput.Flush();
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException)
        {
            // It has ended.
        }
    }

    private void Take(string? line)
    {
        if (line is null)
        {
            return;
        }

        Note(line);
        lock (_lock)
        {
            if (line == "ready")
            {
                _isReady = true;
            }
            else if (line.Split('\t') is ["at", _, var step, var place])
            {
                _steps.Add((step, place == "after"));
            }
        }

        Signal();
    }

    private void Note(string? line)
    {
        if (line is not null)
        {
            lock (_lock)
            {
                _lines.Add(string.Create(CultureInfo.InvariantCulture, $"{TimeProvider.System.GetUtcNow():HH:mm:ss.fff} {line}"));
                if (_lines.Count > 2000)
                {
                    _lines.RemoveRange(0, 1000);
                }
            }
        }
    }

    private void Signal()
    {
        TaskCompletionSource changed;
        lock (_lock)
        {
            changed = _changed;
            _changed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        }

        changed.TrySetResult();
    }

    private async Task<bool> WaitAsync(Func<bool> condition, TimeSpan deadline, Task? orEnd = null)
    {
        var began = TimeProvider.System.GetTimestamp();
        while (true)
        {
            Task changed;
            lock (_lock)
            {
                if (condition())
                {
                    return true;
                }

                changed = _changed.Task;
            }

            var left = deadline - TimeProvider.System.GetElapsedTime(began);
            if (left <= TimeSpan.Zero)
            {
                return false;
            }

            await Task.WhenAny(changed, Task.Delay(left), orEnd ?? changed);
        }
    }
}
