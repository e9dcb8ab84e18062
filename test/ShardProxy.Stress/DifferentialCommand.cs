using System.Globalization;
using ShardProxy.TestKit.Differential;

/// <summary>The command line of the differential run.</summary>
internal static class DifferentialCommand
{
    /// <summary>Runs it; the exit code.</summary>
    public static async Task<int> RunAsync(ReadOnlyMemory<string> args, string help)
    {
        var options = new DifferentialOptions { Seed = Environment.TickCount, Statements = 100_000 };
        for (var i = 0; i < args.Length; i++)
        {
            var name = args.Span[i];
            if (name == "--moves")
            {
                options = options with { Moves = true };
                continue;
            }

            if (name == "--refused")
            {
                options = options with { ShowsRefused = true };
                continue;
            }

            var text = i + 1 < args.Length ? args.Span[++i] : "";
            var isNumber = int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var value);
            switch (name)
            {
                case "--statements" when value > 0: options = options with { Statements = value }; break;
                case "--seed" when isNumber: options = options with { Seed = value }; break;
                case "--nodes" when value > 0: options = options with { Nodes = value }; break;
                case "--category" when text.Length > 0: options = options with { Category = text }; break;
                default:
                    await Console.Error.WriteLineAsync($"unknown or incomplete option {name}\n{help}");
                    return 2;
            }
        }

        var findings = await DifferentialRun.RunAsync(options, Console.Out);
        Console.WriteLine(findings.Count == 0 ? "nothing found" : $"{findings.Count} found; replay with --seed {options.Seed}");
        return findings.Count == 0 ? 0 : 1;
    }
}
