using System.Diagnostics;
using System.Globalization;

namespace ShardProxy.PgBench;

/// <summary>SQL over shards beside one server with the same rows: how much longer a statement takes, and what a key costs the proxy.</summary>
internal static class ShardBench
{
    private const string Table = "measured";
    private const string Unsharded = "passed_through";
    private const string AtHome = "keyed_at_home";
    private const int UnshardedRows = 100_000;
    private const int KeyClients = 8;

    // A query, and how much longer than on one server it may take.
    private static readonly (string Cell, string Name, string Sql, double Goal)[] Queries =
    [
        ("count", "count/avg", $"SELECT count(*), avg(value) FROM {Table}", 1.2),
        ("top", "ORDER BY … LIMIT 10", $"SELECT id, value, filler FROM {Table} ORDER BY value DESC, id LIMIT 10", 1.2),
        ("group", "GROUP BY", $"SELECT kind, count(*), sum(value), avg(value) FROM {Table} GROUP BY kind ORDER BY kind", 1.2),
    ];

    private const double InGoal = 3, KeyGoalMicroseconds = 2;

    public static async Task<bool> RunAsync(BenchOptions options, Action<string> output, CancellationToken cancellationToken)
    {
        await using var servers = await ShardServers.StartAsync(options, hasDirect: true, output, cancellationToken);
        await FillAsync(servers, options, output, cancellationToken);
        var table = new List<string>
        {
            Invariant($"{options.Rows} rows, {options.Nodes} nodes beside one server, {options.Workers} workers a query, medians of {options.Rounds} interleaved rounds"),
            "",
            "| statement | one PostgreSQL | shardproxy | ratio | goal | |",
            "|---|---|---|---|---|---|",
        };
        var isGood = true;
        foreach (var (cell, name, sql, goal) in Queries)
        {
            if (options.Cells.Contains(cell))
            {
                isGood &= await QueryAsync(servers, options, name, sql, goal, table, output, cancellationToken);
            }
        }

        if (options.Cells.Contains("in"))
        {
            foreach (var mode in new[] { "simple", "prepared" })
            {
                isGood &= await InAsync(servers, options, mode, table, output, cancellationToken);
            }
        }

        if (options.Cells.Contains("keys"))
        {
            table.AddRange(
            [
                "",
                "Proxy CPU of a transaction by key: of a table it passes through, and more than that for a sharded table, all of it on the same node, and over all nodes:",
                "",
                "| by key | pass-through | more, same node | more, all nodes | goal | same node | all nodes |",
                "|---|---|---|---|---|---|---|",
            ]);
            foreach (var mode in new[] { "simple", "prepared" })
            {
                isGood &= await KeyAsync(servers, options, mode, "read", "SELECT value FROM {0} WHERE id = :id;", table, output, cancellationToken);
                isGood &= await KeyAsync(servers, options, mode, "write", "UPDATE {0} SET value = value + 1 WHERE id = :id;", table, output, cancellationToken);
            }
        }

        table.ForEach(Console.WriteLine);
        return isGood;
    }

    private static async Task FillAsync(ShardServers servers, BenchOptions options, Action<string> output, CancellationToken cancellationToken)
    {
        if (await servers.HasTableAsync(Table, cancellationToken))
        {
            return;
        }

        output(Invariant($"filling {options.Rows} rows"));
        await servers.OnBothAsync($"CREATE TABLE {Table} (id int PRIMARY KEY, kind int NOT NULL, value int NOT NULL, filler char(84) NOT NULL)", cancellationToken);
        await servers.PgBench.StatementAsync(
            servers.Direct.Port, Servers.Database, Invariant($"INSERT INTO {Table} SELECT i, i % 100, hashint4(i), 'x' FROM generate_series(1, {options.Rows}) i"), cancellationToken);
        await servers.ConsoleAsync($"SHARD TABLE {Table} BY HASH (id)", cancellationToken);
        await servers.PgBench.CopyAsync(servers.Direct.Port, servers.Proxy.Port, $"TABLE {Table}", Table, cancellationToken);
        await servers.SettleAsync(Table, cancellationToken);
        await servers.PgBench.StatementAsync(
            servers.Proxy.Port,
            Servers.Database,
            Invariant($"{Empty(Unsharded)}; INSERT INTO {Unsharded} SELECT i, i % 100, i, 'x' FROM generate_series(1, {UnshardedRows}) i"),
            cancellationToken);
        await servers.OnBothAsync(Empty(AtHome), cancellationToken);
        await servers.ConsoleAsync($"SHARD TABLE {AtHome} BY HASH (id)", cancellationToken);
        foreach (var range in await servers.RangesOfAsync(AtHome, cancellationToken))
        {
            await servers.ConsoleAsync($"MOVE RANGE {range} TO node1", cancellationToken);
        }

        await servers.PgBench.CopyAsync(servers.Proxy.Port, servers.Proxy.Port, $"TABLE {Unsharded}", AtHome, cancellationToken);
        await servers.SettleAsync(AtHome, cancellationToken);
        await servers.PgBench.StatementAsync(servers.NodePorts[0], Servers.Database, $"VACUUM ANALYZE {Unsharded}", cancellationToken);

        static string Empty(string table) => $"CREATE TABLE {table} (id int PRIMARY KEY, kind int NOT NULL, value int NOT NULL, filler char(84) NOT NULL)";
    }

    private static async Task<bool> QueryAsync(
        ShardServers servers, BenchOptions options, string name, string sql, double goal, List<string> table, Action<string> output, CancellationToken cancellationToken)
    {
        using var direct = await PlainClient.ConnectAsync(servers.Direct.Port, 0, cancellationToken);
        using var proxy = await PlainClient.ConnectAsync(servers.Proxy.Port, 0, cancellationToken);
        var times = new List<(double Direct, double Proxy)>();
        for (var round = -2; round < options.Rounds; round++)
        {
            // Who begins turns from round to round; the first two only warm up.
            var isDirectFirst = round % 2 == 0;
            var first = await TimeAsync(isDirectFirst ? direct : proxy, sql, cancellationToken);
            var second = await TimeAsync(isDirectFirst ? proxy : direct, sql, cancellationToken);
            if (round >= 0)
            {
                times.Add(isDirectFirst ? (first, second) : (second, first));
                output(Invariant($"round {round + 1} {name}: {times[^1].Direct:F1} ms, {times[^1].Proxy:F1} ms"));
            }
        }

        return Judge(table, name, times, goal);
    }

    private static async Task<double> TimeAsync(PlainClient client, string sql, CancellationToken cancellationToken)
    {
        var time = Stopwatch.StartNew();
        await client.QueryAsync(sql, cancellationToken);
        return time.Elapsed.TotalMilliseconds;
    }

    private static async Task<bool> InAsync(
        ShardServers servers, BenchOptions options, string mode, List<string> table, Action<string> output, CancellationToken cancellationToken)
    {
        var keys = Enumerable.Range(1, 8).ToList();
        var script = await servers.WriteAsync(
            "in.sql",
            string.Concat(keys.Select(k => Invariant($"\\set k{k} random(1, {options.Rows})\n"))) + $"SELECT id, value FROM {Table} WHERE id IN ({string.Join(", ", keys.Select(k => Invariant($":k{k}")))});\n");
        var times = new List<(double Direct, double Proxy)>();
        for (var round = -1; round < options.Rounds; round++)
        {
            var isDirectFirst = round % 2 == 0;
            var first = await MeasureAsync(isDirectFirst);
            var second = await MeasureAsync(!isDirectFirst);
            if (round >= 0)
            {
                times.Add(isDirectFirst ? (first, second) : (second, first));
                output(Invariant($"round {round + 1} IN (8 keys), {mode}: {times[^1].Direct:F3} ms, {times[^1].Proxy:F3} ms"));
            }
        }

        return Judge(table, $"IN (8 keys), {mode}", times, InGoal);

        async Task<double> MeasureAsync(bool isDirect) =>
            (await servers.PgBench.MeasureScriptAsync(isDirect ? servers.Direct : servers.Proxy, script, mode, 1, options.Seconds, cancellationToken)).LatencyMs!.Value;
    }

    private static async Task<bool> KeyAsync(
        ShardServers servers, BenchOptions options, string mode, string name, string statement, List<string> table, Action<string> output, CancellationToken cancellationToken)
    {
        var scripts = new List<string>();
        foreach (var of in new[] { Unsharded, AtHome, Table })
        {
            scripts.Add(await servers.WriteAsync($"{of}.sql", Script(of)));
        }

        var micros = new List<double[]>();
        for (var round = -1; round < options.Rounds; round++)
        {
            // Who begins turns from round to round; the first only warms up.
            var measured = new double[scripts.Count];
            for (var i = 0; i < scripts.Count; i++)
            {
                var which = (i + round + 1) % scripts.Count;
                measured[which] = await MeasureAsync(scripts[which]);
            }

            if (round >= 0)
            {
                micros.Add(measured);
                output(Invariant($"round {round + 1} {name} by key, {mode}: {measured[0]:F1} µs, {measured[1]:F1} µs on the same node, {measured[2]:F1} µs over all nodes"));
            }
        }

        var (same, all) = (Summary.Median(micros.Select(m => m[1] - m[0])), Summary.Median(micros.Select(m => m[2] - m[0])));
        table.Add(Invariant(
            $"| {name}, {mode} | {Summary.Median(micros.Select(m => m[0])):F1} µs | {same:F1} µs | {all:F1} µs | {KeyGoalMicroseconds:F0} µs | {Verdict(same <= KeyGoalMicroseconds)} | {Verdict(all <= KeyGoalMicroseconds)} |"));
        return Math.Max(same, all) <= KeyGoalMicroseconds;

        // The same keys for all: what is measured is the way to them.
        string Script(string of) => Invariant($"\\set id random(1, {UnshardedRows})\n") + string.Format(CultureInfo.InvariantCulture, statement, of) + "\n";

        // CPU seconds for 100,000 transactions, in microseconds for one.
        async Task<double> MeasureAsync(string script) =>
            (await servers.PgBench.MeasureScriptAsync(servers.Proxy, script, mode, KeyClients, options.Seconds, cancellationToken)).CpuSecondsPer100k!.Value * 10;
    }

    private static bool Judge(List<string> table, string name, List<(double Direct, double Proxy)> times, double goal)
    {
        var ratio = Summary.Median(times.Select(t => t.Proxy / t.Direct));
        table.Add(Invariant(
            $"| {name} | {Summary.Median(times.Select(t => t.Direct)):F2} ms | {Summary.Median(times.Select(t => t.Proxy)):F2} ms | {ratio:F2} | {goal:0.#} | {Verdict(ratio <= goal)} |"));
        return ratio <= goal;
    }

    private static string Verdict(bool isMet) => isMet ? "met" : "MISSED";

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
