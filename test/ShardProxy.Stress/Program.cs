using System.Globalization;
using ShardProxy.Stress.Hostile;
using ShardProxy.Stress.Parsing;
using ShardProxy.TestKit.Differential;

const string Help =
    """
    usage: test/stress hostile [--seconds N] [--seed S] [--clients N] [--nodes N]
           test/stress differential [--statements N] [--seed S] [--nodes N] [--moves] [--refused] [--category NAME]
           test/stress corpus DIRECTORY
           test/stress tpch [--scale S] [--seed S] [--nodes N]
           test/stress tpcc [--seconds S] [--warehouses W] [--moves] [--clients N] [--percent P] [--seed S] [--nodes N]
           test/stress deadlocks [--seconds S] [--clients N] [--nodes N] [--seed S]
           test/stress crashes [--points N] [--seed S]
           test/stress faults [--hours H] [--seed S] [--catalog postgres|etcd] [--rounds N] [--postgres VERSION] [--report FILE] [--cell TEXT]

    hostile: starts `shardproxy dev` and attacks it over loopback with mutated protocol traffic for a bounded time, before and after log-in:
    wrong lengths, flipped bytes, spliced and truncated messages, odd chunks, resets, half-closed and stalled connections.
    Meanwhile a fresh client logs in every quarter of a second and has to be served within two seconds. At the end the proxy must
    be alive, have let nobody in without a password, have given back its memory, its sessions and its server connections.

      --seconds N   how long (default 60)
      --seed S      replays a run's choices (default: taken from the clock and printed)
      --clients N   attackers at once (default 8)
      --nodes N     PostgreSQL servers; with two or more, one table is sharded (default 2)

    differential: sends random statements of many categories to a database sharded by `shardproxy dev` and to a plain one with the same
    rows, by both protocols, with text and binary results, in and outside blocks. Each answers the same or is refused with an SHP code;
    after a write the rows of all nodes are the plain one's, each on its owner. Prints the refused share of each category.

      --statements N   how many (default 100000)
      --seed S         replays a run (default: taken from the clock and printed)
      --nodes N        PostgreSQL servers (default 3)
      --moves          ranges are moved between the nodes meanwhile
      --refused        some refused statements of each category are printed
      --category NAME  only categories whose names contain this

    corpus: analyses every statement of the folder's psql scripts (*.sql; PostgreSQL's own are in src/test/regress/sql of its source) and holds relations and columns
    against the tree of PostgreSQL's grammar: each statement is analysed alike, or refused; none is misread.

    tpch: the TPC-H queries on a sharded database and on one PostgreSQL with the same rows, which have to answer alike; prints each query's route and times.

      --scale S     size, 1 for a gigabyte (default 0.1)
      --seed S      of the rows (default 1)
      --nodes N     PostgreSQL servers (default 3)

    tpcc: TPC-C's five transactions by several clients over several nodes, sharded by warehouse, with orders and payments at remote warehouses; prints new orders a
    minute and times. Afterwards its consistency conditions hold and no committed transaction is lost; clients may see deadlocks and conflicts, which they retry.

      --seconds S      how long (default 30)
      --warehouses W   how many (default 6)
      --moves          ranges are moved between the nodes meanwhile
      --clients N      terminals, without think time (default 12)
      --percent P      rows of a warehouse, in percent of the specification's (default 10)
      --seed S         of rows and choices (default 1)
      --nodes N        PostgreSQL servers (default 3)

    deadlocks: clients lock keys in random order over several nodes; every deadlock is found, no statement waits above three seconds, nothing committed is lost.

      --seconds S   how long (default 60)
      --clients N   clients at once (default 8)
      --nodes N     PostgreSQL servers (default 3)
      --seed S      of the keys' order (default 1)

    crashes: kills the proxy with `kill -9` before and after every message that makes a node do something, in every kind of write over several nodes, and starts it again.
    In the end each write is done on all nodes or on none, what was acknowledged is done, and no prepared transaction or temporary table is left.

      --points N    only so many of the places to die at, picked by the seed (default: all, about three seconds each)
      --seed S      of the choice (default: taken from the clock and printed)

    faults: moves ranges under the clients of two proxies over three nodes, and kills, freezes, cuts off or slows down the source, the target, the catalog, the proxy that runs the move or
    the other one, before and after every journaled step of a move and of a rollback. Every acknowledged write is there once, nothing else is, no read goes back, clients are told nothing
    but what they lost, and nothing of a move is left. Writes a table of what came of each; one that was never tried fails the run.

      --hours H       at most so long (default 1; everything twenty times takes about a day)
      --seed S        replays a run's order and choices (default: taken from the clock and printed)
      --catalog KIND  where the catalog is: postgres (default) or etcd
      --rounds N      how often each is tried (default 20)
      --postgres N    major version of the servers (default: the machine's; 18 can be installed)
      --report FILE   the table, in Markdown (default faults.md)

    exit code: 0 nothing found, 1 something found, 2 wrong arguments
    """;

if (args is ["--help"] or ["-h"] or [_, "--help"])
{
    Console.WriteLine(Help);
    return 0;
}

if (args is ["differential", ..])
{
    return await DifferentialCommand.RunAsync(args.AsMemory(1), Help);
}

if (args is ["tpch", ..])
{
    return await WorkloadCommand.TpchAsync(args.AsMemory(1), Help);
}

if (args is ["tpcc", ..])
{
    return await WorkloadCommand.TpccAsync(args.AsMemory(1), Help);
}

if (args is ["deadlocks", ..])
{
    return await WorkloadCommand.DeadlocksAsync(args.AsMemory(1), Help);
}

if (args is ["crashes", ..])
{
    return await WorkloadCommand.CrashesAsync(args.AsMemory(1), Help);
}

if (args is ["corpus", var directory])
{
    using var corpus = new CorpusRun(Console.Out);
    await corpus.RunAsync(directory);
    Console.WriteLine(corpus.Findings == 0 ? "nothing found" : $"{corpus.Findings} found");
    return corpus.Findings == 0 ? 0 : 1;
}

if (args.Length == 0 || args[0] != "hostile" || args.Length % 2 == 0)
{
    Console.Error.WriteLine(Help);
    return 2;
}

var options = new HostileOptions { Seed = Environment.TickCount };
for (var i = 1; i < args.Length; i += 2)
{
    if (!int.TryParse(args[i + 1], NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var value) || (value < 1 && args[i] != "--seed"))
    {
        Console.Error.WriteLine($"{args[i]} needs a positive number");
        return 2;
    }

    switch (args[i])
    {
        case "--seconds": options = options with { Duration = TimeSpan.FromSeconds(value) }; break;
        case "--seed": options = options with { Seed = value }; break;
        case "--clients": options = options with { Attackers = value }; break;
        case "--nodes": options = options with { Nodes = value }; break;
        default:
            Console.Error.WriteLine($"unknown option {args[i]}\n{Help}");
            return 2;
    }
}

var findings = await HostileCampaign.RunAsync(options, Console.Out);
foreach (var finding in findings)
{
    Console.WriteLine("FOUND  " + finding);
}

Console.WriteLine(findings.Count == 0 ? "nothing found" : $"{findings.Count} found; replay with --seed {options.Seed}");
return findings.Count == 0 ? 0 : 1;
