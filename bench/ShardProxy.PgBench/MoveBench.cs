using System.Diagnostics;
using System.Globalization;

namespace ShardProxy.PgBench;

/// <summary>
/// What moving ranges costs: its speed beside the fastest plain way, a binary COPY piped from one server into another's table with a primary key, its fixed cost, and what
/// clients of the same table feel of cutovers and of the copy.
/// </summary>
internal static class MoveBench
{
    private const string Big = "big";
    private const string Small = "small";
    private const int Clients = 8;
    private const int SmallRows = 20_000;
    private const int EmptyMoves = 5;

    public static async Task<bool> RunAsync(BenchOptions options, Action<string> output, CancellationToken cancellationToken)
    {
        await using var servers = await ShardServers.StartAsync(options, hasDirect: false, output, cancellationToken);
        await MakeAsync(servers, Big, cancellationToken);
        var empty = new List<double>();
        for (var i = 0; i < EmptyMoves; i++)
        {
            empty.Add((await MoveAsync(servers, Big, cancellationToken)).Seconds);
        }

        if (await OwnerAsync(servers, Big, cancellationToken) != "node1")
        {
            await MoveAsync(servers, Big, cancellationToken);
        }

        output(Invariant($"filling {options.Rows} rows"));
        await servers.PgBench.StatementAsync(
            servers.Proxy.Port, Servers.Database, Invariant($"INSERT INTO {Big} SELECT i, repeat(md5(i::text), 3) || '1234567' FROM generate_series(1, {options.Rows}) i"), cancellationToken);
        await servers.SettleAsync(Big, cancellationToken);
        var (pipes, copies, moves) = (new List<double>(), new List<double>(), new List<double>());
        for (var round = 0; round < options.Rounds; round++)
        {
            var (from, to) = await OwnerAsync(servers, Big, cancellationToken) == "node1" ? (servers.NodePorts[0], servers.NodePorts[1]) : (servers.NodePorts[1], servers.NodePorts[0]);
            await servers.PgBench.StatementAsync(to, Servers.Database, "DROP TABLE IF EXISTS piped; CREATE TABLE piped (id bigint PRIMARY KEY, t text)", cancellationToken);
            var time = Stopwatch.StartNew();
            await servers.PgBench.PipeBinaryAsync(from, to, Big, "piped", cancellationToken);
            pipes.Add(time.Elapsed.TotalSeconds);
            await servers.PgBench.StatementAsync(to, Servers.Database, "DROP TABLE piped", cancellationToken);
            await servers.SettleAsync(Big, cancellationToken);
            var (seconds, copy) = await MoveAsync(servers, Big, cancellationToken);
            moves.Add(seconds);
            copies.Add(copy);
            output(Invariant($"round {round + 1}: pipe {pipes[^1]:F2} s, copy {copy:F2} s, move {seconds:F2} s"));
            await ToTheEndAsync(servers, cancellationToken);
            await servers.SettleAsync(Big, cancellationToken);
        }

        var copyRatio = Median([.. pipes.Zip(copies, (p, c) => p / c)]);
        var moveRatio = Median([.. pipes.Zip(moves, (p, m) => m / p)]);
        var (stalls, waits, during, beside) = await CutoversAsync(servers, options, output, cancellationToken);
        Console.WriteLine(Invariant($"{options.Rows} rows of 103 B text, {options.Rounds} rounds, medians; {options.Moves} moves under {Clients} clients"));
        Console.WriteLine();
        Console.WriteLine("| what | figure | goal | |");
        Console.WriteLine("|---|---|---|---|");
        var isGood = Row("copy's speed, of the pipe's", copyRatio, "0.7 or more", copyRatio >= 0.7);
        isGood &= Row("whole move's time, of the pipe's", moveRatio, "2.0 or less", moveRatio <= 2.0);
        isGood &= Row("empty move, seconds", Median(empty), "below 1", Median(empty) < 1);
        isGood &= Row("stall as shown, p50 ms", Quantile(stalls, 0.5), "below 20", Quantile(stalls, 0.5) < 20);
        isGood &= Row("stall as shown, p99 ms", Quantile(stalls, 0.99), "below 100", Quantile(stalls, 0.99) < 100);
        isGood &= Row("longest wait of any client in a move, p50 ms", Quantile(waits, 0.5), "", true);
        isGood &= Row("longest wait of any client in a move, p99 ms", Quantile(waits, 0.99), "", true);
        isGood &= Row("clients' throughput while a range is copied, of that before", during / beside, "0.8 or more", during / beside >= 0.8);
        return isGood;
    }

    private static async Task<(List<double> Stalls, List<double> Waits, double During, double Beside)> CutoversAsync(
        ShardServers servers, BenchOptions options, Action<string> output, CancellationToken cancellationToken)
    {
        await MakeAsync(servers, Small, cancellationToken);
        await servers.PgBench.StatementAsync(
            servers.Proxy.Port, Servers.Database, Invariant($"INSERT INTO {Small} SELECT i, 'x' FROM generate_series(1, {SmallRows}) i"), cancellationToken);

        // A range of a sixteenth moves; most clients are on other ranges of the same table.
        var range = (await servers.RangesOfAsync(Small, cancellationToken))[0];
        await servers.ConsoleAsync($"SPLIT RANGE {range} AT ('-8070450532247928832')", cancellationToken);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var log = new List<(long Began, double Ms)>[Clients];
        var counts = new long[Clients];
        var clients = Enumerable.Range(0, Clients).Select(c => Task.Run(() => ClientAsync(c, log[c] = [], stop.Token), cancellationToken)).ToList();
        await Task.Delay(TimeSpan.FromSeconds(3), cancellationToken);
        var waits = new List<double>();
        for (var i = 0; i < options.Moves; i++)
        {
            var began = Stopwatch.GetTimestamp();
            await MoveAsync(servers, Small, cancellationToken, range);
            var ended = Stopwatch.GetTimestamp();
            waits.Add(log.SelectMany(l => Tail(l, began)).Where(e => e.Began <= ended).Select(e => e.Ms).DefaultIfEmpty().Max());
            if (i % 10 == 9)
            {
                output(Invariant($"{i + 1} moves"));
            }
        }

        // Load beside nothing, and beside the copy of the big range.
        await ToTheEndAsync(servers, cancellationToken);
        var before = await RateAsync(TimeSpan.FromSeconds(8));
        var copying = MoveAsync(servers, Big, cancellationToken, isWatched: false);
        var during = await RateAsync(copying);
        output(Invariant($"moved beside clients in {(await copying).Seconds:F1} s"));
        await stop.CancelAsync();
        await Task.WhenAll(clients);
        var stalls = (await servers.PgBench.AskAsync(servers.Proxy.Port, "shardproxy", "SHOW MIGRATIONS", cancellationToken)).Split('\n')
            .Select(l => l.Split('|')).Where(m => m[1] == Small && m[10].Length > 0).Select(m => double.Parse(m[10], CultureInfo.InvariantCulture)).ToList();
        return (stalls, waits, during, before);

        async Task<double> RateAsync(object until)
        {
            var (from, started) = (counts.Sum(), Stopwatch.StartNew());
            if (until is TimeSpan time)
            {
                await Task.Delay(time, cancellationToken);
            }
            else
            {
                await (Task)until;
            }

            return (counts.Sum() - from) / started.Elapsed.TotalSeconds;
        }

        async Task ClientAsync(int number, List<(long Began, double Ms)> mine, CancellationToken stopToken)
        {
            using var client = await PlainClient.ConnectAsync(servers.Proxy.Port, number, cancellationToken);
            var random = new Random(number);
            while (!stopToken.IsCancellationRequested)
            {
                var began = Stopwatch.GetTimestamp();
                await client.QueryAsync(Invariant($"UPDATE {Small} SET t = t WHERE id = {random.Next(1, SmallRows + 1)}"), cancellationToken);
                lock (mine)
                {
                    mine.Add((began, Stopwatch.GetElapsedTime(began).TotalMilliseconds));
                }

                counts[number]++;
            }
        }
    }

    private static List<(long Began, double Ms)> Tail(List<(long Began, double Ms)> log, long from)
    {
        lock (log)
        {
            var first = log.FindLastIndex(e => e.Began < from);
            return first < 0 ? [.. log] : log.GetRange(first, log.Count - first);
        }
    }

    /// <summary>A table whose rows are all in one range on the first node.</summary>
    private static async Task MakeAsync(ShardServers servers, string table, CancellationToken cancellationToken)
    {
        await servers.PgBench.StatementAsync(servers.Proxy.Port, Servers.Database, $"CREATE TABLE {table} (id bigint PRIMARY KEY, t text)", cancellationToken);
        await servers.ConsoleAsync($"SHARD TABLE {table} BY HASH (id)", cancellationToken);
        var ranges = await servers.RangesOfAsync(table, cancellationToken);
        foreach (var half in new[] { ranges.Take(ranges.Count / 2).ToList(), [.. ranges.Skip(ranges.Count / 2)] })
        {
            foreach (var other in half.Skip(1))
            {
                await servers.ConsoleAsync($"MERGE RANGES {half[0]}, {other}", cancellationToken);
            }
        }

        await servers.ConsoleAsync($"MOVE RANGE {ranges[ranges.Count / 2]} TO node1", cancellationToken);
        await servers.ConsoleAsync($"MERGE RANGES {ranges[0]}, {ranges[ranges.Count / 2]}", cancellationToken);
    }

    private static async Task<string> OwnerAsync(ShardServers servers, string table, CancellationToken cancellationToken, string? range = null) =>
        (await servers.PgBench.AskAsync(servers.Proxy.Port, "shardproxy", "SHOW RANGES", cancellationToken)).Split('\n').Select(l => l.Split('|'))
        .First(r => r[1] == table && (range is null || r[0] == range))[4];

    /// <summary>Moves the table's first range, or the given one, to the other node.</summary>
    /// <returns>Seconds until the statement returned, and, if it is watched, those of the copy.</returns>
    private static async Task<(double Seconds, double Copy)> MoveAsync(ShardServers servers, string table, CancellationToken cancellationToken, string? range = null, bool isWatched = true)
    {
        range ??= (await servers.RangesOfAsync(table, cancellationToken))[0];
        var to = await OwnerAsync(servers, table, cancellationToken, range) == "node1" ? "node2" : "node1";
        var time = Stopwatch.StartNew();
        var move = servers.ConsoleAsync($"MOVE RANGE {range} TO {to}", cancellationToken);
        var (began, ended) = (TimeSpan.Zero, TimeSpan.Zero);
        while (table == Big && isWatched && !move.IsCompleted && ended == TimeSpan.Zero)
        {
            // Each look is a process of its own on the machine that is measured.
            await Task.Delay(TimeSpan.FromMilliseconds(50), cancellationToken);
            var state = (await servers.PgBench.AskAsync(servers.Proxy.Port, "shardproxy", "SHOW MIGRATIONS", cancellationToken)).Split('\n')[^1].Split('|')[5];
            began = began == TimeSpan.Zero && state == "copying" ? time.Elapsed : began;
            ended = began > TimeSpan.Zero && state != "copying" ? time.Elapsed : ended;
        }

        await move;
        return (time.Elapsed.TotalSeconds, Math.Max(0.001, (ended - began).TotalSeconds));
    }

    /// <summary>Waits until the windows of all moves are closed and the rows that have gone are deleted: what follows is not measured beside that.</summary>
    private static async Task ToTheEndAsync(ShardServers servers, CancellationToken cancellationToken)
    {
        var former = servers.NodePorts[await OwnerAsync(servers, Big, cancellationToken) == "node1" ? 1 : 0];
        foreach (var (port, sql) in servers.NodePorts.Select(p => (p, "SELECT count(*) FROM pg_replication_slots")).Append((former, $"SELECT count(*) FROM (SELECT FROM {Big} LIMIT 1) r")))
        {
            while (await servers.PgBench.AskAsync(port, Servers.Database, sql, cancellationToken) != "0")
            {
                await Task.Delay(TimeSpan.FromMilliseconds(500), cancellationToken);
            }
        }
    }

    private static bool Row(string what, double figure, string goal, bool isMet)
    {
        Console.WriteLine(Invariant($"| {what} | {figure:F2} | {goal} | {(goal.Length == 0 ? "" : isMet ? "met" : "MISSED")} |"));
        return isMet;
    }

    private static double Median(List<double> values) => Quantile(values, 0.5);

    private static double Quantile(List<double> values, double share)
    {
        var sorted = values.Order().ToList();
        return sorted[Math.Min(sorted.Count - 1, (int)(share * sorted.Count))];
    }

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
