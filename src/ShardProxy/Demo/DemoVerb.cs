using System.CommandLine;
using ShardProxy.Cli;
using ShardProxy.Composition;
using ShardProxy.Configuration;
using Spectre.Console;

namespace ShardProxy.Demo;

/// <summary>The verb <c>demo</c> and its options.</summary>
internal static class DemoVerb
{
    private const int MaximumSeconds = 3600;
    private const int MinimumNodes = 2;
    private const int MaximumNodes = 16;

    /// <param name="compose">Makes a proxy; it is started and stopped by the demo.</param>
    public static Command Create(Func<ProxyOptions, IProxyHost> compose)
    {
        var seconds = CommonOptions.Bounded(
            new Option<int>("--seconds") { Description = "Roughly how long it runs in all.", HelpName = "N", DefaultValueFactory = _ => DemoOptions.DefaultSeconds },
            DemoOptions.MinimumSeconds,
            MaximumSeconds);
        var nodes = CommonOptions.Bounded(
            new Option<int>("--nodes") { Description = "How many PostgreSQL servers to start.", HelpName = "N", DefaultValueFactory = _ => DemoOptions.DefaultNodes },
            MinimumNodes,
            MaximumNodes);
        var seed = new Option<int>("--seed") { Description = "Seed of the workload.", HelpName = "S", DefaultValueFactory = _ => DemoOptions.DefaultSeed };
        var install = CommonOptions.InstallMissing();
        var command = new Command(
            "demo",
            """
            Watch a hot range move before it hurts: starts PostgreSQL servers and the proxy on this machine, runs some fast days of traffic
            without the planner and the same days with it, checks every row, and cleans up.

            Exit code 0 only if no client saw an error and all rows are accounted for.
            """)
        {
            seconds,
            nodes,
            seed,
            install,
        };
        command.SetAction((result, shutdown) => DemoCommand.RunAsync(
            new DemoOptions(result.GetValue(seconds), result.GetValue(nodes), result.GetValue(seed), result.GetValue(install)),
            (request, token) => LocalDemoCluster.StartAsync(request, compose, token),
            AnsiConsole.Console,
            TimeProvider.System,
            shutdown));
        return command;
    }
}
