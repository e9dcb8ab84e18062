using System.Diagnostics;
using System.Globalization;
using Npgsql;
using ShardProxy.TestKit.Differential;

namespace ShardProxy.TestKit.Workloads;

/// <summary>
/// Clients that lock rows in random order over several nodes, so that they are in each other's way all the time: every deadlock is found, no statement waits
/// longer than three seconds, and what was committed is there.
/// </summary>
public static class DeadlockRun
{
    private const int Keys = 24;
    private const int Locks = 4;

    private static readonly TimeSpan LongestWait = TimeSpan.FromSeconds(3);

    /// <summary>Runs it; returns what was found to be wrong.</summary>
    public static async Task<List<string>> RunAsync(int clients, int nodes, TimeSpan duration, int seed, TextWriter output)
    {
        await output.WriteLineAsync(Invariant($"{clients} clients lock {Locks} of {Keys} keys in random order over {nodes} nodes for {duration.TotalSeconds:0} s, seed {seed}"));
        await using var twins = await TwinDatabases.StartAsync(nodes);
        await using var connection = await twins.OpenShardedAsync();
        await TwinDatabases.RunAsync(connection, "CREATE TABLE counters (id int PRIMARY KEY, n bigint NOT NULL)");
        await twins.ConsoleAsync("SHARD TABLE counters BY HASH (id)");
        await TwinDatabases.RunAsync(connection, Invariant($"INSERT INTO counters SELECT i, 0 FROM generate_series(1, {Keys}) i"));
        var results = await Task.WhenAll(Enumerable.Range(0, clients).Select(i => ClientAsync(twins, new Dice((seed * 1_000) + i), duration)));

        var findings = results.SelectMany(r => r.Findings).ToList();
        var (committed, deadlocks) = (results.Sum(r => r.Committed), results.Sum(r => r.Deadlocks));
        var longest = results.Max(r => r.Longest);
        await output.WriteLineAsync(Invariant($"{committed} transactions committed, {deadlocks} ended as deadlocks, longest wait {longest.TotalMilliseconds:0} ms"));
        if (longest > LongestWait)
        {
            findings.Add(Invariant($"a statement waited {longest.TotalSeconds:0.0} s"));
        }

        if (deadlocks == 0)
        {
            findings.Add("there was no deadlock: the run shows nothing");
        }

        var sum = (await TwinDatabases.RowsAsync(connection, "SELECT sum(n) FROM counters"))[0];
        if (sum != Invariant($"{committed * Locks}"))
        {
            findings.Add(Invariant($"the counters say {sum}; committed were {committed * Locks}"));
        }

        return findings;
    }

    private static async Task<(long Committed, long Deadlocks, TimeSpan Longest, List<string> Findings)> ClientAsync(TwinDatabases twins, Dice dice, TimeSpan duration)
    {
        var (committed, deadlocks, longest, findings) = (0L, 0L, TimeSpan.Zero, new List<string>());
        await using var connection = await twins.OpenShardedAsync();
        var keys = Enumerable.Range(1, Keys).ToList();
        var at = "";
        for (var start = Stopwatch.GetTimestamp(); Stopwatch.GetElapsedTime(start) < duration;)
        {
            try
            {
                await TwinDatabases.RunAsync(connection, at = "BEGIN");
                foreach (var key in dice.Some(keys, Locks, Locks))
                {
                    var time = Stopwatch.GetTimestamp();
                    try
                    {
                        await TwinDatabases.RunAsync(connection, at = Invariant($"UPDATE counters SET n = n + 1 WHERE id = {key}"));
                    }
                    finally
                    {
                        longest = Stopwatch.GetElapsedTime(time) is var wait && wait > longest ? wait : longest;
                    }
                }

                await TwinDatabases.RunAsync(connection, at = "COMMIT");
                committed++;
            }
            catch (PostgresException e)
            {
                if (e.SqlState == PostgresErrorCodes.DeadlockDetected)
                {
                    deadlocks++;
                }
                else
                {
                    findings.Add($"a client got {e.SqlState} {e.MessageText} {e.Detail} at {at}");
                }

                await TwinDatabases.RunAsync(connection, "ROLLBACK");
            }
        }

        return (committed, deadlocks, longest, findings);
    }

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
