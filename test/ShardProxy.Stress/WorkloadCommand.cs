using System.Globalization;
using ShardProxy.TestKit.Crashes;
using ShardProxy.TestKit.Tpcc;
using ShardProxy.TestKit.Tpch;
using ShardProxy.TestKit.Workloads;

/// <summary>The command lines of the benchmark workloads.</summary>
internal static class WorkloadCommand
{
    /// <summary>Runs TPC-H; the exit code.</summary>
    public static async Task<int> TpchAsync(ReadOnlyMemory<string> args, string help)
    {
        double scale = 0.1;
        var (seed, nodes) = (1, 3);
        for (var i = 0; i < args.Length; i++)
        {
            var name = args.Span[i];
            var text = i + 1 < args.Length ? args.Span[++i] : "";
            switch (name)
            {
                case "--scale" when double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out scale) && scale > 0: break;
                case "--seed" when int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out seed): break;
                case "--nodes" when int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out nodes) && nodes > 0: break;
                default:
                    await Console.Error.WriteLineAsync($"unknown or incomplete option {name}\n{help}");
                    return 2;
            }
        }

        return Report(await TpchRun.RunAsync(scale, seed, nodes, Console.Out));
    }

    /// <summary>Runs TPC-C; the exit code.</summary>
    public static async Task<int> TpccAsync(ReadOnlyMemory<string> args, string help)
    {
        var options = new TpccOptions();
        for (var i = 0; i < args.Length; i++)
        {
            var name = args.Span[i];
            if (name == "--moves")
            {
                options = options with { Moves = true };
                continue;
            }

            var text = i + 1 < args.Length ? args.Span[++i] : "";
            if (!int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var value) || value < 1)
            {
                name = "";
            }

            switch (name)
            {
                case "--seconds": options = options with { Duration = TimeSpan.FromSeconds(value) }; break;
                case "--warehouses": options = options with { Warehouses = value }; break;
                case "--clients": options = options with { Clients = value }; break;
                case "--percent": options = options with { Percent = value }; break;
                case "--nodes": options = options with { Nodes = value }; break;
                case "--seed": options = options with { Seed = value }; break;
                default:
                    await Console.Error.WriteLineAsync($"unknown or incomplete option {args.Span[Math.Min(i, args.Length - 1)]}\n{help}");
                    return 2;
            }
        }

        return Report(await TpccRun.RunAsync(options, Console.Out));
    }

    /// <summary>Runs clients into deadlocks; the exit code.</summary>
    public static async Task<int> DeadlocksAsync(ReadOnlyMemory<string> args, string help)
    {
        var (seconds, clients, nodes, seed) = (60, 8, 3, 1);
        for (var i = 0; i < args.Length; i += 2)
        {
            if (i + 1 >= args.Length || !int.TryParse(args.Span[i + 1], NumberStyles.None, CultureInfo.InvariantCulture, out var value) || value < 1)
            {
                value = 0;
            }

            switch (args.Span[i])
            {
                case "--seconds" when value > 0: seconds = value; break;
                case "--clients" when value > 0: clients = value; break;
                case "--nodes" when value > 0: nodes = value; break;
                case "--seed" when value > 0: seed = value; break;
                default:
                    await Console.Error.WriteLineAsync($"unknown or incomplete option {args.Span[i]}\n{help}");
                    return 2;
            }
        }

        return Report(await DeadlockRun.RunAsync(clients, nodes, TimeSpan.FromSeconds(seconds), seed, Console.Out));
    }

    /// <summary>Kills proxies in the middle of writes over several nodes; the exit code.</summary>
    public static async Task<int> CrashesAsync(ReadOnlyMemory<string> args, string help)
    {
        var (points, seed) = (0, Environment.TickCount);
        for (var i = 0; i < args.Length; i += 2)
        {
            var isNumber = int.TryParse(i + 1 < args.Length ? args.Span[i + 1] : "", NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var value);
            switch (args.Span[i])
            {
                case "--points" when isNumber && value > 0: points = value; break;
                case "--seed" when isNumber: seed = value; break;
                default:
                    await Console.Error.WriteLineAsync($"unknown or incomplete option {args.Span[i]}\n{help}");
                    return 2;
            }
        }

        return Report(await CrashRun.RunAsync(points, seed, Console.Out));
    }

    private static int Report(IReadOnlyList<string> findings)
    {
        foreach (var finding in findings)
        {
            Console.WriteLine("FOUND  " + finding);
        }

        Console.WriteLine(findings.Count == 0 ? "nothing found" : $"{findings.Count} found");
        return findings.Count == 0 ? 0 : 1;
    }
}
