using ShardProxy.Composition;
using ShardProxy.Configuration;
using ShardProxy.LocalCluster;

namespace ShardProxy.Cli;

/// <summary>
/// One run of <c>dev</c>: servers up, proxy up, the ready lines, and after the signal everything down again within two seconds.
/// </summary>
/// <param name="compose">Makes the proxy over the servers; it is started here.</param>
/// <param name="output">Receives the ready lines and nothing else.</param>
/// <param name="progress">Receives what is being done.</param>
internal sealed class DevSession(Func<ProxyOptions, IProxyHost> compose, TextWriter output, Action<string> progress)
{
    /// <summary>Returns when <paramref name="shutdown"/> has been asked for and all is down.</summary>
    public async Task RunAsync(DevOptions options, CancellationToken shutdown)
    {
        var binaries = await Prerequisites.EnsureAsync(options.InstallMissing, progress, shutdown);
        await using var cluster = await LocalServerCluster.StartAsync(
            new LocalClusterOptions
            {
                Nodes = options.Nodes,
                User = options.User,
                Password = options.Password.Reveal(),
                Databases = [options.Database],
                Directory = options.DataDirectory,
                Binaries = binaries,
                Output = progress,
            },
            shutdown);
        var proxy = compose(options.ToProxyOptions(cluster.Servers));
        await proxy.StartAsync(shutdown);
        try
        {
            WriteReady(options, proxy, cluster.Servers);
            await Task.Delay(Timeout.Infinite, shutdown).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            progress("stopping");
        }
        finally
        {
            await proxy.StopAsync();
        }
    }

    /// <summary>Scripts read these lines: DESIGN section 10 fixes them to the character.</summary>
    private void WriteReady(DevOptions options, IProxyHost proxy, IReadOnlyList<LocalServer> servers)
    {
        var user = Uri.EscapeDataString(options.User);
        var database = Uri.EscapeDataString(options.Database);
        output.WriteLine($"proxy   postgresql://{user}@127.0.0.1:{proxy.Listen.Port}/{database}");
        output.WriteLine($"console postgresql://{user}@127.0.0.1:{proxy.Listen.Port}/shardproxy");
        output.WriteLine($"http    http://127.0.0.1:{proxy.Admin.Port}/");
        foreach (var server in servers)
        {
            output.WriteLine($"{server.Name,-7} {server.Uri(options.Database)}");
        }

        output.WriteLine("ready");
        output.Flush();
    }
}
