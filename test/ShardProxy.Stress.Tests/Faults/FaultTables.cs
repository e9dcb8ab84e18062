using System.Globalization;
using Npgsql;
using ShardProxy.Stress.Tests.Clients;
using ShardProxy.Stress.Tests.Host;

namespace ShardProxy.Stress.Tests.Faults;

/// <summary>The tables of a fault run.</summary>
internal static class FaultTables
{
    /// <summary>Creates and shards them.</summary>
    public static async Task CreateAsync(HostedProxy leader)
    {
        await RunAsync(
            leader,
            "CREATE TABLE tokens (id bigint PRIMARY KEY, client int NOT NULL, pair bigint NOT NULL)",
            "CREATE TABLE counters (id bigint PRIMARY KEY, client int NOT NULL, n bigint NOT NULL)");
        await FaultConsole.RunAsync(leader, "SHARD TABLE tokens BY HASH (id)");
        await FaultConsole.RunAsync(leader, "SHARD TABLE counters BY HASH (id) COLOCATE WITH tokens");
    }

    /// <summary>Writes what the ledgers hold: every counter at nought, and the tokens that they say are there.</summary>
    public static async Task FillAsync(HostedProxy proxy, IEnumerable<Ledger> ledgers)
    {
        foreach (var ledger in ledgers)
        {
            await RunAsync(proxy, $"INSERT INTO counters (id, client, n) VALUES {string.Join(", ", ledger.CounterKeys.Select(k => Invariant($"({k}, {ledger.Client}, 0)")))}");
            if (ledger.TokensThere() is { Count: > 0 } tokens)
            {
                await RunAsync(proxy, $"INSERT INTO tokens (id, client, pair) VALUES {string.Join(", ", tokens.Select(k => Invariant($"({k}, {ledger.Client}, 0)")))}");
            }
        }
    }

    private static async Task RunAsync(HostedProxy proxy, params string[] statements)
    {
        await using var connection = new NpgsqlConnection(proxy.ConnectionString());
        await connection.OpenAsync();
        foreach (var statement in statements)
        {
            await using var command = new NpgsqlCommand(statement, connection);
            await command.ExecuteNonQueryAsync();
        }
    }

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
