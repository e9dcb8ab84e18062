using System.Buffers.Binary;
using System.Diagnostics;
using System.Globalization;
using System.Text;
using ShardProxy.TestKit.Wire;
using ShardProxy.TestKit.Workloads;

namespace ShardProxy.TestKit.Differential;

/// <summary>
/// Sends random statements to a sharded and to a plain database with the same rows: both protocols, text and binary results, in and outside blocks.
/// Each has to answer the same, or the proxy has to refuse with a code of its own; a refused statement is not sent to the plain one.
/// </summary>
public sealed class DifferentialRun
{
    // A statement may be held while ranges move, up to a minute with `dev`.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);
    private static readonly TimeSpan ProgressPause = TimeSpan.FromSeconds(10);

    private static readonly (string Name, Func<Dice, Scenario> Make)[] Categories =
        [.. ReadCategories.All, .. JoinCategories.All, .. TypeCategories.All, .. FunctionCategories.All, .. WriteCategories.All, .. FormCategories.All];

    private readonly DifferentialOptions _options;
    private readonly TextWriter _output;
    private readonly DifferentialDatabases _databases;
    private readonly Tally _tally = new();
    private readonly List<string> _findings = [];
    private readonly Stopwatch _time = new();
    private volatile string _doing = "";

    private DifferentialRun(DifferentialOptions options, TextWriter output, DifferentialDatabases databases)
    {
        _options = options;
        _output = output;
        _databases = databases;
    }

    private enum Manner
    {
        Simple,
        Extended,
        Binary,
        Named,
    }

    /// <summary>Starts the databases, runs, and prints what each category came to; the findings, none if all is well.</summary>
    public static async Task<IReadOnlyList<string>> RunAsync(DifferentialOptions options, TextWriter output)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(output);
        output = TextWriter.Synchronized(output); // the progress is told beside the run
        var started = Stopwatch.StartNew();
        await output.WriteLineAsync(string.Create(CultureInfo.InvariantCulture, $"seed {options.Seed}: {options.Statements} statements on {options.Nodes} nodes{(options.Moves ? ", while ranges move" : "")}"));
        await using var databases = await DifferentialDatabases.StartAsync(options.Nodes, options.Seed);
        var run = new DifferentialRun(options, output, databases);
        using var stop = new CancellationTokenSource();
        var mover = options.Moves ? new RangeMover(databases.ConsoleAsync, databases.Process.NodeNames, new Dice(options.Seed)) : null;
        var moving = mover?.RunAsync(stop.Token) ?? Task.CompletedTask;
        var telling = run.TellAsync(mover, stop.Token);
        try
        {
            await run.RunAsync();
        }
        finally
        {
            await stop.CancelAsync();
            await telling;
            await moving;
        }

        if (mover is not null)
        {
            await output.WriteLineAsync(string.Create(CultureInfo.InvariantCulture, $"{mover.Done} moves, {mover.Failed} refused or given up"));
            await mover.SettleAsync();
            databases.ForgetRanges();
        }

        await run.CheckEndAsync();
        if (options.ShowsRefused)
        {
            await output.WriteLineAsync(run._tally.Examples());
        }

        await output.WriteLineAsync(run._tally.Table());
        await output.WriteLineAsync(string.Create(CultureInfo.InvariantCulture, $"{run._tally.Statements} statements in {started.Elapsed.TotalSeconds:0.0} s"));
        return run._findings;
    }

    // How far it is, how fast, and how long it will take; and what it waits for if nothing has been compared since the last time.
    private async Task TellAsync(RangeMover? mover, CancellationToken cancellationToken)
    {
        _time.Start();
        using var timer = new PeriodicTimer(ProgressPause);
        for (var before = 0; ;)
        {
            try
            {
                await timer.WaitForNextTickAsync(cancellationToken);
            }
            catch (OperationCanceledException)
            {
                return;
            }

            var done = _tally.Statements;
            var rate = done / _time.Elapsed.TotalSeconds;
            var left = TimeSpan.FromSeconds(Math.Min(1e6, (_options.Statements - done) / Math.Max(0.1, rate)));
            var moves = mover is null ? "" : string.Create(CultureInfo.InvariantCulture, $", {mover.Done} moves");
            await _output.WriteLineAsync(string.Create(
                CultureInfo.InvariantCulture, $"  {done:N0} of {_options.Statements:N0} statements, {rate:0} a second, {left:hh\\:mm\\:ss} left, {_tally.RefusedShare:P1} refused, {_findings.Count} found{moves}"));
            if (done == before)
            {
                await _output.WriteLineAsync($"  waiting for {_doing}");
            }

            before = done;
        }
    }

    private async Task RunAsync()
    {
        var categories = Categories.Where(c => _options.Category is null || c.Name.Contains(_options.Category, StringComparison.OrdinalIgnoreCase)).ToArray();
        if (categories.Length == 0)
        {
            throw new ArgumentException($"no category is called {_options.Category}: {string.Join(", ", Categories.Select(c => c.Name))}");
        }

        for (var number = 0; _tally.Statements < _options.Statements && _findings.Count < _options.MaxFindings; number++)
        {
            // Each scenario has dice of its own, so that one more throw in one does not change all others.
            var dice = new Dice(unchecked((_options.Seed * 1_000_003) + number));
            var (name, make) = categories[number % categories.Length];
            try
            {
                await PlayAsync(name, make(dice), dice);
            }
            catch (Exception e) when (e is OperationCanceledException or IOException or InvalidOperationException or TimeoutException)
            {
                await FindAsync($"{name}: {e.GetType().Name}: {e.Message}");
                if (_databases.Process.HasExited)
                {
                    _findings.Add($"the proxy died with exit code {_databases.Process.ExitCode}:\n{_databases.Process.Output}");
                    return;
                }

                await _databases.ResetAsync(_options.Seed);
            }
        }
    }

    private async Task PlayAsync(string category, Scenario scenario, Dice dice)
    {
        var isBlock = scenario.OwnBlock || dice.Chance(20);
        if (isBlock && !scenario.OwnBlock)
        {
            await BothAsync("BEGIN");
            foreach (var sql in dice.Some(BlockWrites, 0, 3))
            {
                await BothAsync(sql);
            }
        }

        var manner = scenario.IsSimple ? Manner.Simple : dice.Of(Enum.GetValues<Manner>());
        var isGoingOn = true;
        for (var i = 0; i < scenario.Steps.Count && isGoingOn; i++)
        {
            var step = scenario.Steps[i];
            isGoingOn = await CompareAsync(category, step, step.Arguments.Count > 0 && manner == Manner.Simple ? Manner.Extended : manner, dice, isFirst: i == 0, scenario.Writes || scenario.OwnBlock);
        }

        // A string of several statements may have been refused behind its own BEGIN.
        if (isBlock || scenario.IsSimple)
        {
            await BothAsync("ROLLBACK", mayFail: true);
        }

        if (scenario.Last is { } last)
        {
            await BothAsync(last);
        }

        if (manner == Manner.Named)
        {
            await BothAsync("DEALLOCATE ALL", mayFail: true);
        }

        if (scenario.Writes)
        {
            var text = string.Join(' ', scenario.Steps.Select(s => s.Sql));
            foreach (var table in DifferentialTables.All.Where(t => text.Contains(t.Name, StringComparison.Ordinal)))
            {
                var problem = _options.Moves ? await _databases.CheckSeenRowsAsync(table) : await _databases.CheckRowsAsync(table);
                if (problem is not null)
                {
                    await FindAsync($"{category}: after {text}\n    {problem}");
                    await _databases.ResetAsync(_options.Seed);
                    return;
                }
            }
        }
    }

    // Writes on several nodes, so that the block's own rows are to be seen.
    private static readonly string[] BlockWrites =
    [
        "INSERT INTO customer (id, name, city, credit) VALUES (1001, 'c1', 'Rome', 12.5)",
        "INSERT INTO orders (id, customer_id, amount) VALUES (1, 1002, 99)",
        "DELETE FROM customer WHERE id = 6",
        "UPDATE \"Item\" SET kind = 'tool' WHERE \"Code\" = 'code3'",
        "UPDATE plain SET label = 'c7' WHERE id = 4",
        "INSERT INTO city VALUES ('Ur', 'IQ', 7)",
    ];

    private async Task<bool> CompareAsync(string category, Step step, Manner manner, Dice dice, bool isFirst, bool mayChange)
    {
        var messages = Messages(step, manner, dice, isFirst);
        _doing = step.Sql;
        // What only reads may be asked for at the same time; a write must not reach the plain database if it is refused.
        var early = mayChange ? null : AskAsync(_databases.Plain, messages);
        var found = new Answer(await AskAsync(_databases.Sharded, messages), step.IsOrdered);
        if (found.Refusal is { } code && (found.SqlState is "0A000" or "54000" || (_options.Moves && found.SqlState == "40001")))
        {
            _tally.Refused(category, code, step.Sql);
            await (early ?? Task.CompletedTask);
            return false;
        }

        var expected = new Answer(await (early ?? AskAsync(_databases.Plain, messages)), step.IsOrdered);
        if (found.IsSameAs(expected))
        {
            _tally.Same(category);
            return true;
        }

        _tally.Wrong(category);
        await FindAsync($"{category}, {manner}: {step.Sql}{(step.Arguments.Count > 0 ? $"\n    with {string.Join(", ", step.Arguments.Select(a => a.Text ?? "NULL"))}" : "")}\n    {expected.DifferenceFrom(found)}");
        return false;
    }

    private static byte[][] Messages(Step step, Manner manner, Dice dice, bool isFirst)
    {
        byte[][] copy = step.Copy is { } data ? [Frontend.CopyData(data), Frontend.CopyDone()] : [];
        if (manner == Manner.Simple)
        {
            return [Frontend.Query(step.Sql), .. copy];
        }

        var types = step.Arguments.Any(a => a.TypeOid != 0) ? step.Arguments.Select(a => a.TypeOid).ToArray() : [];
        var isBinary = manner == Manner.Binary;
        var values = step.Arguments.Select(a => Encode(a, isBinary)).ToArray();
        int[] formats = [.. step.Arguments.Select(a => isBinary && IsInteger(a.TypeOid) ? 1 : 0)];
        var name = manner == Manner.Named && step.Arguments.Count > 0 ? "s1" : "";
        var bind = Frontend.Bind(name, "", formats, values, isBinary || (manner == Manner.Named && dice.Chance(30)) ? [1] : []);
        return name.Length == 0
            ? [Frontend.Parse(step.Sql, "", types), bind, Frontend.DescribePortal(), Frontend.Execute(), .. copy, Frontend.Sync()]
            : isFirst
                ? [Frontend.Parse(step.Sql, name, types), Frontend.DescribeStatement(name), bind, Frontend.DescribePortal(), Frontend.Execute(), .. copy, Frontend.Sync()]
                : [bind, Frontend.DescribePortal(), Frontend.Execute(), .. copy, Frontend.Sync()];
    }

    private static bool IsInteger(uint type) => type is Argument.Int4 or Argument.Int8;

    private static byte[]? Encode(Argument argument, bool isBinary)
    {
        if (argument.Text is not { } text)
        {
            return null;
        }

        if (!isBinary || !IsInteger(argument.TypeOid))
        {
            return Encoding.UTF8.GetBytes(text);
        }

        var number = long.Parse(text, CultureInfo.InvariantCulture);
        var bytes = new byte[argument.TypeOid == Argument.Int4 ? 4 : 8];
        if (bytes.Length == 4)
        {
            BinaryPrimitives.WriteInt32BigEndian(bytes, (int)number);
        }
        else
        {
            BinaryPrimitives.WriteInt64BigEndian(bytes, number);
        }

        return bytes;
    }

    private async Task BothAsync(string sql, bool mayFail = false)
    {
        var message = new[] { Frontend.Query(sql) };
        _doing = sql;
        var (found, expected) = (new Answer(await AskAsync(_databases.Sharded, message), false), new Answer(await AskAsync(_databases.Plain, message), false));
        if (!mayFail && !found.IsSameAs(expected))
        {
            await FindAsync($"block: {sql}\n    plain   {expected}\n    sharded {found}");
        }
    }

    private static async Task<Transcript> AskAsync(ScriptedClient client, byte[][] messages)
    {
        using var patience = new CancellationTokenSource(Patience);
        await client.SendAsync(messages);
        var reply = await client.ReadUntilReadyAsync(patience.Token);
        return reply.Status is not null ? reply : throw new IOException("the connection ended:\n" + reply);
    }

    private async Task CheckEndAsync()
    {
        foreach (var table in DifferentialTables.All)
        {
            if (await _databases.CheckRowsAsync(table) is { } problem)
            {
                await FindAsync("at the end: " + problem);
            }
        }

        if (await _databases.CheckLeftoversAsync() is { } left)
        {
            await FindAsync("at the end: " + left);
        }
    }

    private async Task FindAsync(string finding)
    {
        _findings.Add(finding);
        await _output.WriteLineAsync(string.Create(CultureInfo.InvariantCulture, $"FOUND  seed {_options.Seed}, statement {_tally.Statements}, {finding}"));
    }
}
