using System.Globalization;
using System.Net;
using Npgsql;
using ShardProxy.TestKit.Clusters;

namespace ShardProxy.Stress.Hostile;

/// <summary>Starts the proxy, lets the attackers loose and checks what is left.</summary>
internal static class HostileCampaign
{
    private static readonly TimeSpan CalmDown = TimeSpan.FromSeconds(20);

    public static async Task<IReadOnlyList<string>> RunAsync(HostileOptions options, TextWriter output)
    {
        await output.WriteLineAsync(string.Create(CultureInfo.InvariantCulture, $"seed {options.Seed}: {options.Attackers} attackers for {options.Duration.TotalSeconds:0} s"));
        var findings = new Findings();
        await using var proxy = await ProxyProcess.StartAsync(new ProxyProcessOptions { Nodes = options.Nodes });
        var endPoint = IPEndPoint.Parse($"{proxy.Address("proxy").Host}:{proxy.Address("proxy").Port}");
        await PrepareAsync(proxy, options.Nodes > 1);

        using var stop = new CancellationTokenSource(options.Duration);
        var witness = new Witness(options, endPoint.Port, findings);
        Attacker[] attackers = [.. Enumerable.Range(0, options.Attackers).Select(i => new Attacker(options, endPoint, i, findings))];
        Task[] work = [Task.Run(() => witness.RunAsync(stop.Token)), .. attackers.Select(a => Task.Run(() => a.RunAsync(stop.Token)))];
        var all = Task.WhenAll(work);
        var before = 0L;
        for (var third = 1; third <= 3 && !proxy.HasExited; third++)
        {
            await Task.WhenAny(all, Task.Delay(options.Duration / 3));
            var memory = proxy.HasExited ? 0 : ResidentMiB(proxy.ProcessId);
            before = third == 1 ? memory : before;
            await output.WriteLineAsync(string.Create(
                CultureInfo.InvariantCulture,
                $"{third}/3  {attackers.Sum(a => a.Connections),7} hostile connections  {witness.Served,5} clients served  longest {witness.Longest.TotalMilliseconds,5:0} ms  resident {memory,4} MiB"));
        }

        await all;
        if (proxy.HasExited)
        {
            findings.Add($"the proxy died with exit code {proxy.ExitCode}:\n{proxy.Output}");
            return findings.Snapshot();
        }

        await CheckWhatIsLeftAsync(proxy, findings);
        var after = ResidentMiB(proxy.ProcessId);
        await output.WriteLineAsync(string.Create(CultureInfo.InvariantCulture, $"end  resident {after,4} MiB, {before} MiB after the first third"));
        if (after - before > options.AllowedGrowthMiB)
        {
            findings.Add(string.Create(CultureInfo.InvariantCulture, $"resident memory grew from {before} to {after} MiB"));
        }

        return findings.Snapshot();
    }

    private static async Task PrepareAsync(ProxyProcess proxy, bool isSharded)
    {
        await using (var connection = new NpgsqlConnection(proxy.ConnectionString()))
        {
            await connection.OpenAsync();
            await using var create = new NpgsqlCommand(
                """
                CREATE TABLE plain (id int PRIMARY KEY, v text); CREATE TABLE spread (id int PRIMARY KEY, v text);
                CREATE TABLE untouched (id int PRIMARY KEY, v text);
                INSERT INTO untouched SELECT i, CASE i WHEN 5 THEN 'five' END FROM generate_series(1, 10) i
                """,
                connection);
            await create.ExecuteNonQueryAsync();
        }

        if (isSharded)
        {
            await using var console = new NpgsqlConnection(proxy.ConsoleConnectionString + ";Server Compatibility Mode=NoTypeLoading");
            await console.OpenAsync();
            foreach (var table in new[] { "spread", "untouched" })
            {
                await using var shard = new NpgsqlCommand($"SHARD TABLE {table} BY HASH (id)", console) { AllResultTypesAreUnknown = true };
                await shard.ExecuteNonQueryAsync();
            }
        }
    }

    /// <summary>Nobody is connected any more, so nothing may be held: neither sessions nor leased server connections.</summary>
    private static async Task CheckWhatIsLeftAsync(ProxyProcess proxy, Findings findings)
    {
        var deadline = DateTime.UtcNow + CalmDown;
        while (true)
        {
            var sessions = (await AskAsync(proxy, "SHOW SESSIONS")).Count - 1;
            var leased = (await AskAsync(proxy, "SHOW POOLS")).Sum(p => long.Parse(p.GetValueOrDefault("in_use") ?? p.GetValueOrDefault("active") ?? "0", CultureInfo.InvariantCulture));
            if (sessions <= 0 && leased == 0)
            {
                return;
            }

            if (DateTime.UtcNow > deadline)
            {
                findings.Add(string.Create(CultureInfo.InvariantCulture, $"{CalmDown.TotalSeconds:0} s after the last client left, {sessions} sessions and {leased} leased server connections remain"));
                return;
            }

            await Task.Delay(TimeSpan.FromMilliseconds(200));
        }
    }

    private static async Task<List<Dictionary<string, string?>>> AskAsync(ProxyProcess proxy, string statement)
    {
        await using var console = new NpgsqlConnection(proxy.ConsoleConnectionString + ";Server Compatibility Mode=NoTypeLoading;Pooling=false");
        await console.OpenAsync();
        await using var command = new NpgsqlCommand(statement, console) { AllResultTypesAreUnknown = true };
        await using var reader = await command.ExecuteReaderAsync();
        var rows = new List<Dictionary<string, string?>>();
        while (await reader.ReadAsync())
        {
            rows.Add(Enumerable.Range(0, reader.FieldCount).ToDictionary(reader.GetName, i => reader.IsDBNull(i) ? null : reader.GetString(i)));
        }

        return rows;
    }

    private static long ResidentMiB(int processId) =>
        long.Parse(File.ReadAllText($"/proc/{processId}/statm").Split(' ')[1], CultureInfo.InvariantCulture) * Environment.SystemPageSize >> 20;
}
