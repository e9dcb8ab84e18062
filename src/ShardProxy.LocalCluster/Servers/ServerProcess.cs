using System.Diagnostics;
using System.Globalization;
using ShardProxy.LocalCluster.Processes;

namespace ShardProxy.LocalCluster.Servers;

/// <summary>One run of one server, under its <see cref="Watchdog"/>.</summary>
internal sealed class ServerProcess : IDisposable
{
    private readonly Process _watchdog;

    private ServerProcess(Process watchdog, int serverId)
    {
        _watchdog = watchdog;
        ServerId = serverId;
        Exited = watchdog.WaitForExitAsync(CancellationToken.None);
    }

    /// <summary>The postmaster's process id.</summary>
    public int ServerId { get; }

    /// <summary>Ends when the postmaster has ended.</summary>
    public Task Exited { get; }

    public static async Task<ServerProcess> StartAsync(
        ServerAccount account, string logPath, string? removeWhenOrphaned, IReadOnlyList<string> command, CancellationToken cancellationToken)
    {
        // A session of its own keeps a terminal's Ctrl-C from the servers: we end them, after our own clients.
        string[] session = ExecutableFinder.Find("setsid") is { } setsid ? [setsid] : [];
        var start = ProcessRunner.StartInfo(
            [.. session, .. account.Wrap(["/bin/sh", "-c", Watchdog.Script, "shardproxy-watchdog", logPath, removeWhenOrphaned ?? "", .. command])]);
        start.RedirectStandardError = false;
        var watchdog = new Process { StartInfo = start };
        try
        {
            watchdog.Start();
            var line = await watchdog.StandardOutput.ReadLineAsync(cancellationToken);
            var serverId = int.Parse(line ?? "", CultureInfo.InvariantCulture);
            return new ServerProcess(watchdog, serverId);
        }
        catch
        {
            // The end of its standard input makes the watchdog end the server.
            watchdog.Dispose();
            throw;
        }
    }

    /// <summary>Sends a signal to the postmaster; nothing happens when it has ended.</summary>
    public void Signal(int signal)
    {
        if (!Exited.IsCompleted)
        {
            _ = NativeMethods.Kill(ServerId, signal);
        }
    }

    public void Dispose() => _watchdog.Dispose();
}
