using ShardProxy.Demo.View;
using Spectre.Console;

namespace ShardProxy.Demo;

/// <summary><c>shardproxy demo</c>.</summary>
internal static class DemoCommand
{
    private const int Interrupted = 130;
    private static readonly TimeSpan PlainPace = TimeSpan.FromSeconds(2);

    /// <summary>Runs the demo and prints its summary.</summary>
    /// <returns>0 when everything held, 1 when something did not, 130 after Ctrl-C. A ShardProxyException passes through.</returns>
    public static async Task<int> RunAsync(DemoOptions options, Func<DemoClusterRequest, CancellationToken, Task<IDemoCluster>> start, IAnsiConsole terminal, TimeProvider time, CancellationToken cancellationToken)
    {
        IDemoView view = terminal.Profile.Out.IsTerminal && terminal.Profile.Capabilities.Ansi
            ? new LiveView(terminal)
            : new PlainView(Console.Out, PlainPace);
        try
        {
            var summary = await new DemoRun(options, start, view, time).RunAsync(cancellationToken);
            foreach (var line in summary.Lines())
            {
                view.Say(line);
            }

            return summary.Holds ? 0 : 1;
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            view.Say("interrupted: everything the demo started has been ended");
            return Interrupted;
        }
    }
}
