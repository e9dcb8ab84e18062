using System.CommandLine;
using ShardProxy.Model.Errors;

namespace ShardProxy.Cli;

/// <summary>The verbs, and the border where failures become messages and exit codes.</summary>
internal static class CommandLine
{
    /// <summary>Runs one command line to its end.</summary>
    /// <param name="verbs">What it can do.</param>
    /// <param name="args">The arguments.</param>
    /// <param name="output">What the user asked for.</param>
    /// <param name="error">Progress and faults.</param>
    /// <param name="shutdown">Asks a running verb to end.</param>
    public static async Task<int> RunAsync(
        IEnumerable<Command> verbs, IReadOnlyList<string> args, TextWriter output, TextWriter error, CancellationToken shutdown)
    {
        var root = Create(verbs);
        var result = root.Parse(args);
        if (result.Errors.Count > 0)
        {
            foreach (var fault in result.Errors)
            {
                error.WriteLine($"shardproxy: {fault.Message}");
            }

            error.WriteLine($"see `{string.Join(' ', new[] { "shardproxy", result.CommandResult.Command == root ? "" : result.CommandResult.Command.Name, "--help" }.Where(w => w.Length > 0))}`");
            return ExitCode.Usage;
        }

        try
        {
            var configuration = new InvocationConfiguration { Output = output, Error = error, EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = null };
            return await result.InvokeAsync(configuration, shutdown);
        }
        catch (ShardProxyException e)
        {
            Write(e.Error, error);
            return IsUsage(e.Error) ? ExitCode.Usage : ExitCode.Failure;
        }
        catch (OperationCanceledException) when (shutdown.IsCancellationRequested)
        {
            // Asked to end while it was still starting; everything it had started has been stopped on the way here.
            return ExitCode.Success;
        }
    }

    private static RootCommand Create(IEnumerable<Command> verbs)
    {
        var root = new RootCommand(
            """
            ShardProxy: a transparent PostgreSQL sharding proxy. Applications point their connection string at it and see one
            database; behind it, tables are spread over ordinary PostgreSQL servers, and hot ranges move before they hurt.

            Try it on servers it starts itself:
              shardproxy dev --nodes 3 --port 6432 --admin-port 6433
              psql postgresql://app@127.0.0.1:6432/app
              psql postgresql://app@127.0.0.1:6432/shardproxy -c 'SHOW NODES'

            In front of your own servers:
              shardproxy check-config --config shardproxy.yaml
              shardproxy serve --config shardproxy.yaml

            Exit codes: 0 well, 1 something failed, 2 the command line, the configuration or what is installed is not right.
            """);
        foreach (var verb in verbs)
        {
            root.Add(verb);
        }

        return root;
    }

    private static void Write(ShardProxyError fault, TextWriter error)
    {
        error.WriteLine($"shardproxy: {fault.Message} ({fault.Code})");
        foreach (var more in new[] { fault.Detail, fault.Hint }.OfType<string>())
        {
            error.WriteLine(more);
        }
    }

    private static bool IsUsage(ShardProxyError fault) => fault.Code is "SHP-701" or "SHP-702" or "SHP-704" or "SHP-707" or "SHP-708" or "SHP-711";
}
