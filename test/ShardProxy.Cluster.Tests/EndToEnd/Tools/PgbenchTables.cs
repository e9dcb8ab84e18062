using NUnit.Framework;
using ShardProxy.TestKit.Clusters;

namespace ShardProxy.Cluster.Tests.EndToEnd.Tools;

/// <summary>The four tables of stock pgbench: placing them, running the benchmark, and its own bookkeeping.</summary>
internal static class PgbenchTables
{
    private const string Sums =
        """
        SELECT (SELECT sum(abalance) FROM pgbench_accounts), (SELECT sum(tbalance) FROM pgbench_tellers),
               (SELECT sum(bbalance) FROM pgbench_branches), (SELECT sum(delta) FROM pgbench_history)
        """;

    /// <summary>accounts sharded by aid with history beside it, tellers sharded in a group of their own, branches replicated.</summary>
    public static readonly IReadOnlyList<string> Spread =
    [
        "SHARD TABLE pgbench_accounts BY HASH (aid)",
        "SHARD TABLE pgbench_history BY HASH (aid) COLOCATE WITH pgbench_accounts",
        "SHARD TABLE pgbench_tellers BY HASH (tid)",
        "REPLICATE TABLE pgbench_branches",
    ];

    /// <summary>accounts and history sharded, the two small tables on every node.</summary>
    public static readonly IReadOnlyList<string> SmallReplicated =
    [
        "SHARD TABLE pgbench_accounts BY HASH (aid)",
        "SHARD TABLE pgbench_history BY HASH (aid) COLOCATE WITH pgbench_accounts",
        "REPLICATE TABLE pgbench_tellers",
        "REPLICATE TABLE pgbench_branches",
    ];

    /// <summary>All four on every node.</summary>
    public static readonly IReadOnlyList<string> AllReplicated =
    [
        "REPLICATE TABLE pgbench_accounts", "REPLICATE TABLE pgbench_history", "REPLICATE TABLE pgbench_tellers", "REPLICATE TABLE pgbench_branches",
    ];

    /// <summary>Runs the steps of <c>pgbench -i</c> that are named by letters.</summary>
    public static async Task InitializeAsync(ProxyProcess proxy, string steps, int scale, CancellationToken cancellationToken) =>
        (await PostgresProgram.PgbenchAsync(proxy.ConnectionString(), cancellationToken, "-i", "-I", steps, "-s", $"{scale}")).Succeeded();

    public static async Task PlaceAsync(ProxyProcess proxy, IReadOnlyList<string> statements, CancellationToken cancellationToken)
    {
        await using var console = await ConsoleClient.OpenAsync(proxy, cancellationToken);
        foreach (var statement in statements)
        {
            await console.RunAsync(statement, cancellationToken);
        }
    }

    /// <summary>Runs the stock transaction; fails the test on any failed transaction or aborted client. History is kept.</summary>
    public static async Task RunAsync(ProxyProcess proxy, string mode, int clients, int seconds, CancellationToken cancellationToken)
    {
        var result = await PostgresProgram.PgbenchAsync(
            proxy.ConnectionString(), cancellationToken, "-n", "-M", mode, "-c", $"{clients}", "-j", "2", "-T", $"{seconds}");
        var report = result.Succeeded();
        Assert.That(report, Does.Contain("number of failed transactions: 0 (0.000%)"));
        Assert.That(result.Errors, Does.Not.Contain("aborted"));
        var line = report.Split('\n').Single(l => l.StartsWith("tps", StringComparison.Ordinal));
        await TestContext.Out.WriteLineAsync($"pgbench -M {mode} -c {clients}: {line}");
    }

    /// <summary>Each transaction adds one number to one row of three tables and notes it in the fourth: all sums are equal.</summary>
    public static async Task AssertSumsAgreeAsync(ProxyProcess proxy, CancellationToken cancellationToken)
    {
        var sums = (await Db.RowsAsync(proxy.ConnectionString(), Sums, cancellationToken)).Single().Columns.Select(c => c.Value).ToList();
        Assert.That(sums.Distinct().Count(), Is.EqualTo(1), $"accounts, tellers, branches, history: {string.Join(", ", sums)}");
    }
}
