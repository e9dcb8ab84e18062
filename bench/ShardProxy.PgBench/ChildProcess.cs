using System.Diagnostics;
using System.Globalization;

namespace ShardProxy.PgBench;

/// <summary>A long-running process of the bench: started, read line by line, measured, ended by its id.</summary>
internal sealed class ChildProcess : IAsyncDisposable
{
    private readonly Process _process;
    private readonly Queue<string> _lastLines = new();
    private readonly Lock _lock = new();

    private ChildProcess(Process process, Action<string>? onLine, Action<string>? onErrorLine)
    {
        _process = process;
        process.OutputDataReceived += (_, e) => Take(e.Data, onLine);
        process.ErrorDataReceived += (_, e) => Take(e.Data, onErrorLine);
    }

    public int Id => _process.Id;

    /// <summary>The last lines it wrote, for error messages.</summary>
    public string LastLines
    {
        get
        {
            lock (_lock)
            {
                return string.Join('\n', _lastLines);
            }
        }
    }

    /// <summary>Completes when the process has ended.</summary>
    public Task Ended => _process.WaitForExitAsync();

    /// <summary>Starts a program, with these variables beside our own.</summary>
    public static ChildProcess Start(
        string program, IEnumerable<string> arguments, Action<string>? onLine = null, Action<string>? onErrorLine = null, IEnumerable<(string Name, string Value)>? variables = null)
    {
        var process = new Process
        {
            StartInfo = new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true },
        };
        foreach (var (name, value) in variables ?? [])
        {
            process.StartInfo.Environment[name] = value;
        }

        var child = new ChildProcess(process, onLine, onErrorLine);
        process.Start();
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        return child;
    }

    /// <summary>User and system time so far, without children's (proc(5), fields 14 and 15; a tick is 1/100 s on Linux).</summary>
    public double CpuSeconds()
    {
        // The program's name is in parentheses and may hold blanks.
        var stat = File.ReadAllText($"/proc/{_process.Id}/stat");
        var fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
        return (long.Parse(fields[11], CultureInfo.InvariantCulture) + long.Parse(fields[12], CultureInfo.InvariantCulture)) / 100.0;
    }

    /// <summary>Resident set, bytes (proc(5), smaps_rollup: exact, unlike status).</summary>
    public long ResidentBytes()
    {
        var line = File.ReadLines($"/proc/{_process.Id}/smaps_rollup").First(l => l.StartsWith("Rss:", StringComparison.Ordinal));
        return long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture) * 1024;
    }

    /// <summary>The largest resident set since the last reset, bytes (proc(5), status, VmHWM).</summary>
    public long PeakResidentBytes()
    {
        var line = File.ReadLines($"/proc/{_process.Id}/status").First(l => l.StartsWith("VmHWM:", StringComparison.Ordinal));
        return long.Parse(line.Split((char[])[' ', '\t'], StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture) * 1024;
    }

    /// <summary>Has the peak begin anew at the present resident set (proc(5), clear_refs).</summary>
    public void ResetPeak() => File.WriteAllText($"/proc/{_process.Id}/clear_refs", "5");

    /// <summary>Sends a signal by its name.</summary>
    public async Task SignalAsync(string name)
    {
        using var kill = Process.Start("kill", ["-" + name, _process.Id.ToString(CultureInfo.InvariantCulture)]);
        await kill.WaitForExitAsync();
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            await SignalAsync("TERM");
            try
            {
                await _process.WaitForExitAsync().WaitAsync(TimeSpan.FromSeconds(10));
            }
            catch (TimeoutException)
            {
                _process.Kill();
                await _process.WaitForExitAsync();
            }
        }

        _process.Dispose();
    }

    private void Take(string? line, Action<string>? onLine)
    {
        if (line is null)
        {
            return;
        }

        lock (_lock)
        {
            _lastLines.Enqueue(line);
            if (_lastLines.Count > 20)
            {
                _lastLines.Dequeue();
            }
        }

        onLine?.Invoke(line);
    }
}
