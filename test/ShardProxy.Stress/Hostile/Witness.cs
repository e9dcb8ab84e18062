using System.Diagnostics;
using ShardProxy.TestKit.Clusters;
using ShardProxy.TestKit.Wire;

namespace ShardProxy.Stress.Hostile;

/// <summary>The honest client next door: connects anew again and again and expects right answers in time.</summary>
internal sealed class Witness(HostileOptions options, int port, Findings findings)
{
    /// <summary>Log-ins that were served.</summary>
    public int Served { get; private set; }

    /// <summary>The longest of them, from connecting to the last answer.</summary>
    public TimeSpan Longest { get; private set; }

    public async Task RunAsync(CancellationToken stop)
    {
        using var pace = new PeriodicTimer(TimeSpan.FromMilliseconds(250));
        while (!stop.IsCancellationRequested)
        {
            await VisitAsync();
            try
            {
                await pace.WaitForNextTickAsync(stop);
            }
            catch (OperationCanceledException)
            {
                return;
            }
        }
    }

    private async Task VisitAsync()
    {
        var clock = Stopwatch.StartNew();
        try
        {
            using var late = new CancellationTokenSource(options.Patience);
            using var client = await ScriptedClient.LoginAsync(port, TestCluster.User, TestCluster.Database, TestCluster.Password, late.Token);
            foreach (var (sql, expected) in new[]
            {
                ("SELECT 'still ' || 'here', current_user, count(*) FROM pg_catalog.pg_settings WHERE name = 'work_mem'", $"still here,{TestCluster.User},1"),
                ("SELECT v FROM untouched WHERE id = 5", "five"), ("SELECT count(*) FROM untouched", "10"), ("SHOW application_name", ""), ("SHOW work_mem", "4MB"),
            })
            {
                var reply = await client.QueryAsync(sql, late.Token);
                var row = reply.Rows.Count == 1 ? string.Join(',', reply.Rows[0]) : $"{reply.Rows.Count} rows {reply.SqlState}";
                if (row != expected && !(sql == "SHOW application_name" && row.StartsWith("shardproxy/", StringComparison.Ordinal)))
                {
                    findings.Add($"a fresh client got \"{row}\" for {sql}");
                }
            }

            Served++;
            Longest = clock.Elapsed > Longest ? clock.Elapsed : Longest;
        }
        catch (Exception e)
        {
            findings.Add($"a fresh client was not served within {options.Patience.TotalSeconds:0.#} s: {e.GetType().Name}: {e.Message}");
        }
    }
}
