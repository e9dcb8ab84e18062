using System.Collections.Immutable;
using Npgsql;

namespace ShardProxy.Demo.Accounting;

/// <summary>
/// Reads every row from every node, past the proxy, and holds it against what the clients were told: each account on exactly one node
/// with exactly the acknowledged changes, each acknowledged entry exactly once. Then asks the proxy for the same totals.
/// </summary>
internal static class RowAudit
{
    private const int MostFindings = 5;

    public static async Task<RowAuditReport> RunAsync(IDemoCluster cluster, ClientLedger ledger, CancellationToken cancellationToken)
    {
        var report = await ReadNodesAsync(cluster, ledger, cancellationToken);
        var findings = new List<string>();
        await using var proxy = DemoConnections.Source(cluster.ClientConnectionString);
        await using var client = await proxy.OpenConnectionAsync(cancellationToken);
        await CompareAsync(client, "SELECT count(*) FROM accounts", ledger.Accounts, "accounts", findings, cancellationToken);
        await CompareAsync(client, "SELECT count(*) FROM entries", ledger.Entries, "entries", findings, cancellationToken);
        return report with { Findings = report.Findings + findings.Count, Examples = [.. report.Examples, .. findings] };
    }

    /// <summary>The part that reads the nodes.</summary>
    public static async Task<RowAuditReport> ReadNodesAsync(IDemoCluster cluster, ClientLedger ledger, CancellationToken cancellationToken)
    {
        var findings = new List<string>();
        var seen = new int[ledger.Accounts + 1];
        var entryCounts = new int[ledger.Accounts + 1];
        var entrySums = new long[ledger.Accounts + 1];
        long rows = 0;
        foreach (var node in cluster.Nodes)
        {
            await using var direct = DemoConnections.Source(node.DirectConnectionString);
            await using var connection = await direct.OpenConnectionAsync(cancellationToken);
            rows += await ReadAsync(connection, "SELECT id, balance, changes::bigint FROM accounts", (id, balance, changes) =>
            {
                if (id < 1 || id > ledger.Accounts)
                {
                    findings.Add($"{node.Name}: an account that was never made");
                    return;
                }

                seen[id]++;
                if ((balance, (int)changes) != ledger.Account((int)id))
                {
                    findings.Add($"{node.Name}: account {id} differs from what its clients were told");
                }
            }, cancellationToken);
            rows += await ReadAsync(connection, "SELECT account_id, count(*), sum(amount)::bigint FROM entries GROUP BY 1", (id, count, sum) =>
            {
                if (id < 1 || id > ledger.Accounts)
                {
                    findings.Add($"{node.Name}: entries of an account that was never made");
                    return;
                }

                entryCounts[id] += (int)count;
                entrySums[id] += sum;
            }, cancellationToken);
        }

        for (var id = 1; id <= ledger.Accounts; id++)
        {
            if (seen[id] != 1)
            {
                findings.Add($"account {id} lies on {seen[id]} nodes");
            }

            if ((entryCounts[id], entrySums[id]) != ledger.EntriesOf(id))
            {
                findings.Add($"entries of account {id} differ from what its clients were told");
            }
        }

        return new RowAuditReport(ledger.Accounts + ledger.Entries, rows, findings.Count, [.. findings.Take(MostFindings)]);
    }

    private static async Task<long> ReadAsync(NpgsqlConnection connection, string sql, Action<long, long, long> row, CancellationToken cancellationToken)
    {
        long rows = 0;
#pragma warning disable CA2100 // Constant texts of this file.
        await using var command = new NpgsqlCommand(sql, connection);
#pragma warning restore CA2100
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            row(reader.GetInt64(0), reader.GetInt64(1), reader.GetInt64(2));
            rows++;
        }

        return rows;
    }

    private static async Task CompareAsync(
        NpgsqlConnection client, string sql, long expected, string what, List<string> findings, CancellationToken cancellationToken)
    {
#pragma warning disable CA2100 // Constant texts of this file.
        await using var command = new NpgsqlCommand(sql, client);
#pragma warning restore CA2100
        var counted = Convert.ToInt64(await command.ExecuteScalarAsync(cancellationToken), System.Globalization.CultureInfo.InvariantCulture);
        if (counted != expected)
        {
            findings.Add($"the proxy counts {counted} {what}, clients made {expected}");
        }
    }
}
