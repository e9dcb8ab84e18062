using System.Globalization;
using Npgsql;
using ShardProxy.Stress.Tests.Clients;
using ShardProxy.Stress.Tests.Faults;

namespace ShardProxy.Stress.Tests.Checking;

/// <summary>
/// Reads every row of every node directly, and all rows through every proxy, and holds them against the map of ranges and the ledgers: each row once, on its owner, nowhere
/// else, and the same through every proxy.
/// </summary>
internal static class RowChecker
{
    public static async Task<List<string>> CheckAsync(FaultCluster cluster, RangeMap map, IReadOnlyList<Ledger> ledgers)
    {
        var found = new List<string>();
        var there = new Dictionary<(string Table, long Key), (int Client, long Value)>();
        for (var node = 0; node < FaultCluster.NodeCount; node++)
        {
            await using var connection = await cluster.OpenNodeAsync(node);
            foreach (var (table, key, client, value) in await RowsAsync(connection))
            {
                var owner = map.OfKey(key);
                if (owner.Node != node)
                {
                    found.Add(Invariant($"{table} {key} of range {owner.Id} is on node{node + 1}, which does not own it (node{owner.Node + 1} does)"));
                }
                else if (!there.TryAdd((table, key), (client, value)))
                {
                    found.Add(Invariant($"{table} {key} is there twice on node{node + 1}"));
                }
            }
        }

        foreach (var proxy in cluster.Proxies.Where(p => p.IsRunning))
        {
            await using var connection = new NpgsqlConnection(proxy.ConnectionString());
            await connection.OpenAsync();
            var shown = await RowsAsync(connection);
            var differing = shown.Where(r => !there.TryGetValue((r.Table, r.Key), out var row) || row != (r.Client, r.Value)).Select(r => Invariant($"{r.Table} {r.Key} = {r.Value}")).ToList();
            if (shown.Count != there.Count || differing.Count > 0)
            {
                found.Add(Invariant($"proxy {proxy.Id} shows {shown.Count} rows, the nodes hold {there.Count}; not as on the nodes: {string.Join(", ", differing.Take(5))}"));
            }
        }

        foreach (var ledger in ledgers)
        {
            found.AddRange(ledger.Settle(
                there.Where(r => r.Key.Table == "tokens" && r.Value.Client == ledger.Client).Select(r => r.Key.Key).ToHashSet(),
                there.Where(r => r.Key.Table == "counters" && r.Value.Client == ledger.Client).ToDictionary(r => r.Key.Key, r => r.Value.Value)));
        }

        return found;
    }

    private static async Task<List<(string Table, long Key, int Client, long Value)>> RowsAsync(NpgsqlConnection connection)
    {
        var rows = new List<(string, long, int, long)>();
        foreach (var (table, value) in new[] { ("tokens", "pair"), ("counters", "n") })
        {
            await using var command = new NpgsqlCommand($"SELECT id, client, {value} FROM {table}", connection);
            await using var reader = await command.ExecuteReaderAsync();
            while (await reader.ReadAsync())
            {
                rows.Add((table, reader.GetInt64(0), reader.GetInt32(1), reader.GetInt64(2)));
            }
        }

        return rows;
    }

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
