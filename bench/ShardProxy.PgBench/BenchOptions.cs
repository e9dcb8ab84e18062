using System.Collections.Immutable;
using System.Globalization;

namespace ShardProxy.PgBench;

/// <summary>What to measure.</summary>
internal sealed record BenchOptions
{
    public const string Help =
        """
        usage: bench/run [options]

        Measures pgbench -S against PostgreSQL directly, through pgbouncer and through ShardProxy, on one server that it starts. In every
        round each target runs once, in turning order; figures are medians over the rounds of that round's ratio to direct.

          --rounds N            rounds of every cell (default 3)
          --seconds N           length of one measurement (default 3)
          --scale N             pgbench scale factor (default 10)
          --modes LIST          of simple,extended,prepared (default all)
          --clients LIST        client counts (default 1,8,64)
          --targets LIST        of direct,pgbouncer,shardproxy (default all; direct is always measured)
          --sharded             shard pgbench's tables first (ShardProxy routes by key; needs shardproxy among the targets)
          --pool N              server connections of either proxy (default 20)
          --json FILE           write every figure as JSON; - for standard output instead of the table
          --install-missing     install pgbouncer and PostgreSQL from the system's packages (root on Debian or Ubuntu)
        """;

    public static readonly ImmutableArray<string> AllTargets = ["direct", "pgbouncer", "shardproxy"];

    private static readonly ImmutableArray<string> AllModes = ["simple", "extended", "prepared"];

    public int Rounds { get; init; } = 3;

    public int Seconds { get; init; } = 3;

    public int Scale { get; init; } = 10;

    public int PoolSize { get; init; } = 20;

    public ImmutableArray<string> Modes { get; init; } = AllModes;

    public ImmutableArray<int> Clients { get; init; } = [1, 8, 64];

    public ImmutableArray<string> Targets { get; init; } = AllTargets;

    public bool IsSharded { get; init; }

    public bool InstallMissing { get; init; }

    public string? JsonPath { get; init; }

    /// <summary>Reads the command line.</summary>
    /// <exception cref="FormatException">With a sentence about what is wrong.</exception>
    public static BenchOptions Parse(ReadOnlySpan<string> arguments)
    {
        var options = new BenchOptions();
        for (var i = 0; i < arguments.Length; i++)
        {
            var name = arguments[i];
            options = name switch
            {
                "--sharded" => options with { IsSharded = true },
                "--install-missing" => options with { InstallMissing = true },
                "--rounds" => options with { Rounds = Number(Value(arguments, ref i), name) },
                "--seconds" => options with { Seconds = Number(Value(arguments, ref i), name) },
                "--scale" => options with { Scale = Number(Value(arguments, ref i), name) },
                "--pool" => options with { PoolSize = Number(Value(arguments, ref i), name) },
                "--modes" => options with { Modes = List(Value(arguments, ref i), name, AllModes) },
                "--targets" => options with { Targets = List("direct," + Value(arguments, ref i), name, AllTargets) },
                "--clients" => options with { Clients = [.. Value(arguments, ref i).Split(',').Select(c => Number(c, name))] },
                "--json" => options with { JsonPath = Value(arguments, ref i) },
                _ => throw new FormatException($"unknown option {name}"),
            };
        }

        return options.IsSharded && !options.Targets.Contains("shardproxy") ? throw new FormatException("--sharded needs shardproxy among the targets") : options;
    }

    private static string Value(ReadOnlySpan<string> arguments, ref int index) =>
        ++index < arguments.Length ? arguments[index] : throw new FormatException($"{arguments[index - 1]} needs a value");

    private static int Number(string text, string option) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number > 0
            ? number
            : throw new FormatException($"{option} needs a positive number");

    private static ImmutableArray<string> List(string text, string option, ImmutableArray<string> allowed)
    {
        var chosen = text.Split(',');
        return Array.TrueForAll(chosen, allowed.Contains)
            ? [.. allowed.Where(chosen.Contains)]
            : throw new FormatException($"{option} takes {string.Join(", ", allowed)}");
    }
}
