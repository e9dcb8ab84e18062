using System.CommandLine;
using ShardProxy.Composition;
using ShardProxy.Configuration;

namespace ShardProxy.Cli;

/// <summary><c>shardproxy serve</c>: a proxy over servers that exist, as a configuration file says.</summary>
internal static class ServeCommand
{
    /// <param name="compose">Makes the proxy.</param>
    /// <param name="atOnce">Cancelled by a second signal: what is still under way is cut.</param>
    public static Command Create(Func<ProxyOptions, IProxyHost> compose, CancellationToken atOnce = default)
    {
        var file = CommonOptions.ConfigFile();
        var command = new Command(
            "serve",
            """
            Run the proxy in front of your PostgreSQL servers until SIGTERM or Ctrl-C; transactions
            under way may then finish (shutdown.drain_timeout_ms), unless a second signal comes. Writes "ready" when clients can connect; logs go
            to standard error. Every key of the file can also be set as an environment variable, for example SHARDPROXY_POOL_SIZE
            (`shardproxy check-config --keys` lists them); passwords may come from files. With handover.socket, a second one with the
            same configuration takes over from the first, which ends by itself; no client is refused meanwhile.

            Examples:
              shardproxy serve --config shardproxy.yaml
              SHARDPROXY_USERS_1_PASSWORD=… shardproxy serve --config shardproxy.yaml
            """)
        {
            file,
        };
        command.SetAction(async (result, shutdown) =>
        {
            var (output, error) = (result.InvocationConfiguration.Output, result.InvocationConfiguration.Error);
            var loaded = ConfigurationLoader.LoadFile(result.GetRequiredValue(file)!);
            ConfigurationReport.Write(loaded, error);
            if (loaded.Options is not { } options)
            {
                return ExitCode.Usage;
            }

            var proxy = compose(options);
            await proxy.StartAsync(shutdown);
            try
            {
                output.WriteLine("ready");
                output.Flush();
                using var end = CancellationTokenSource.CreateLinkedTokenSource(shutdown, proxy.HandedOver);
                await Task.Delay(Timeout.Infinite, end.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);

                // To a process that drains already because another has taken over, the first signal is the second.
                using var now = CancellationTokenSource.CreateLinkedTokenSource(atOnce, shutdown.IsCancellationRequested ? CancellationToken.None : shutdown);
                await proxy.DrainAsync(now.Token);
            }
            finally
            {
                await proxy.StopAsync();
            }

            return ExitCode.Success;
        });
        return command;
    }
}
