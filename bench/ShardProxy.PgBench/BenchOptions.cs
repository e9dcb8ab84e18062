using System.Collections.Immutable;
using System.Globalization;

namespace ShardProxy.PgBench;

/// <summary>What to measure.</summary>
internal sealed record BenchOptions
{
    public const string Help =
        """
        usage: bench/run [throughput|churn|idle|many|shards|sort|moves] [options]

        throughput (the default): pgbench -S against PostgreSQL directly, through pgbouncer and through ShardProxy, on one server that it
        starts. In every round each target runs once, in turning order; figures are medians over the rounds of that round's ratio.
        churn: the same with pgbench -C, a new connection for every transaction, through pgbouncer and ShardProxy; median ratio of tps, and
        the proxies' processor time for each connection.
        idle: what an authenticated idle client costs in memory: resident set after a full, compacting, blocking collection with N clients,
        each of which has run a statement, against none; for the first N clients of the process, and again after those have left.
        many: N clients connect, stay for --seconds while each runs a statement now and then, and must all be there at the end.
        shards: 5 million rows on --nodes nodes beside one server with the same rows, the same workers for a query and as much shared_buffers as all nodes together:
        aggregates, groups, ORDER BY … LIMIT, IN and statements by key, each with its goal; medians over interleaved rounds.
        sort: peak resident set of the proxy while 10 million rows in order go to a client that reads all at once, and to one that reads slowly.
        moves: a range of 1.25 million rows moved over two nodes beside a binary COPY | COPY pipe into a table with a primary key, in turn; an empty range; and cutovers while
        eight clients write to all of the table: their longest waits, and what the copy takes from their throughput.

          --rounds N            rounds of every cell (default 5; shards: 7, moves: 3)
          --seconds N           length of one measurement (default 3; many: 30)
          --auth METHOD         churn, idle, many: how clients log in, scram-sha-256 or trust (default scram-sha-256)
          --connections N       idle, many: clients (default 1000 and 10000)
          --scale N             pgbench scale factor (default 10)
          --modes LIST          of simple,extended,prepared (default all)
          --clients LIST        client counts (default 1,8,64; churn: 8)
          --targets LIST        of direct,pgbouncer,shardproxy (default all; direct is always measured)
          --sharded             shard pgbench's tables first (ShardProxy routes by key; needs shardproxy among the targets)
          --pool N              server connections of either proxy (default 20)
          --rows N              shards, sort, moves: rows (default 5000000, 10000000 and 1250000)
          --nodes N             shards, sort: nodes (default 3)
          --workers N           shards: max_parallel_workers_per_gather of every server (default 2)
          --cells LIST          shards: of count,top,group,in,keys (default all)
          --moves N             moves: cutovers under clients (default 100)
          --data DIR            shards, sort: keep the servers' data there; the next run finds the tables filled
          --json FILE           write every figure as JSON; - for standard output instead of the table
          --install-missing     install pgbouncer and PostgreSQL from the system's packages (root on Debian or Ubuntu)
        """;

    public static readonly ImmutableArray<string> AllTargets = ["direct", "pgbouncer", "shardproxy"];

    public static readonly ImmutableArray<string> AllMethods = ["scram-sha-256", "trust"];

    private static readonly ImmutableArray<string> AllCells = ["count", "top", "group", "in", "keys"];

    private static readonly Dictionary<string, BenchKind> Kinds = Enum.GetValues<BenchKind>().ToDictionary(k => k.ToString(), StringComparer.OrdinalIgnoreCase);

    private static readonly ImmutableArray<string> AllModes = ["simple", "extended", "prepared"];

    /// <summary>What is measured.</summary>
    public BenchKind Kind { get; init; }

    public int Rounds { get; init; } = 5;

    public int Seconds { get; init; } = 3;

    /// <summary>How clients log in where that is what is measured.</summary>
    public string Method { get; init; } = "scram-sha-256";

    /// <summary>Clients of idle and many.</summary>
    public int Connections { get; init; } = 1_000;

    public int Scale { get; init; } = 10;

    public int PoolSize { get; init; } = 20;

    public ImmutableArray<string> Modes { get; init; } = AllModes;

    public ImmutableArray<int> Clients { get; init; } = [1, 8, 64];

    public ImmutableArray<string> Targets { get; init; } = AllTargets;

    public bool IsSharded { get; init; }

    public bool InstallMissing { get; init; }

    public string? JsonPath { get; init; }

    /// <summary>Rows of shards and sort.</summary>
    public int Rows { get; init; }

    /// <summary>Cutovers under clients.</summary>
    public int Moves { get; init; } = 100;

    /// <summary>Nodes of shards and sort.</summary>
    public int Nodes { get; init; } = 3;

    /// <summary>Parallel workers a query may have on each server.</summary>
    public int Workers { get; init; } = 2;

    /// <summary>What shards measures.</summary>
    public ImmutableArray<string> Cells { get; init; } = AllCells;

    /// <summary>Where the servers' data is kept; null for nowhere.</summary>
    public string? DataDirectory { get; init; }

    /// <summary>Reads the command line.</summary>
    /// <exception cref="FormatException">With a sentence about what is wrong.</exception>
    public static BenchOptions Parse(ReadOnlySpan<string> arguments)
    {
        var options = new BenchOptions();
        if (arguments is [var first, ..] && Kinds.TryGetValue(first, out var kind))
        {
            arguments = arguments[1..];
            options = kind switch
            {
                BenchKind.Churn => options with { Kind = kind, Clients = [8] },
                BenchKind.Many => options with { Kind = kind, Connections = 10_000, Seconds = 30 },
                BenchKind.Shards => options with { Kind = kind, Rows = 5_000_000, Rounds = 7, Seconds = 2 },
                BenchKind.Moves => options with { Kind = kind, Rows = 1_250_000, Rounds = 3, Nodes = 2 },
                BenchKind.Sort => options with { Kind = kind, Rows = 10_000_000 },
                _ => options with { Kind = kind },
            };
        }

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
                "--connections" => options with { Connections = Number(Value(arguments, ref i), name) },
                "--auth" => options with { Method = List(Value(arguments, ref i), name, AllMethods)[0] },
                "--pool" => options with { PoolSize = Number(Value(arguments, ref i), name) },
                "--modes" => options with { Modes = List(Value(arguments, ref i), name, AllModes) },
                "--targets" => options with { Targets = List("direct," + Value(arguments, ref i), name, AllTargets) },
                "--clients" => options with { Clients = [.. Value(arguments, ref i).Split(',').Select(c => Number(c, name))] },
                "--rows" => options with { Rows = Number(Value(arguments, ref i), name) },
                "--moves" => options with { Moves = Number(Value(arguments, ref i), name) },
                "--nodes" => options with { Nodes = Number(Value(arguments, ref i), name) },
                "--workers" => options with { Workers = Number(Value(arguments, ref i), name) },
                "--cells" => options with { Cells = List(Value(arguments, ref i), name, AllCells) },
                "--data" => options with { DataDirectory = Path.GetFullPath(Value(arguments, ref i)) },
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
