using System.Globalization;
using Npgsql;
using ShardProxy.Stress.Tests.Clients;
using ShardProxy.Stress.Tests.Host;

namespace ShardProxy.Stress.Tests.Faults;

/// <summary>A migration as SHOW MIGRATIONS tells it.</summary>
internal sealed record MigrationRow(int Id, int Range, string State, string? Error)
{
    public bool IsOver => State is "done" or "rolled_back" or "failed" or "cancelled";
}

/// <summary>Statements on the proxies' consoles, each by a connection of its own: the proxies come and go.</summary>
internal static class FaultConsole
{
    private const string Database = "shardproxy";

    public static async Task RunAsync(HostedProxy proxy, string statement)
    {
        await using var connection = new NpgsqlConnection(proxy.ConnectionString(Database));
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(statement, connection) { CommandTimeout = 0 };
        await command.ExecuteNonQueryAsync();
    }

    public static async Task<List<Dictionary<string, string?>>> RowsAsync(HostedProxy proxy, string statement)
    {
        await using var connection = new NpgsqlConnection(proxy.ConnectionString(Database));
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(statement, connection) { CommandTimeout = 30 };
        await using var reader = await command.ExecuteReaderAsync();
        var rows = new List<Dictionary<string, string?>>();
        while (await reader.ReadAsync())
        {
            rows.Add(Enumerable.Range(0, reader.FieldCount).ToDictionary(
                reader.GetName, i => reader.IsDBNull(i) ? null : Convert.ToString(reader.GetValue(i), CultureInfo.InvariantCulture), StringComparer.Ordinal));
        }

        return rows;
    }

    /// <summary>Whether this proxy says that it leads.</summary>
    public static async Task<bool> LeadsAsync(HostedProxy proxy) =>
        (await RowsAsync(proxy, "SHOW PROXIES")).Any(r => r["proxy"] == proxy.Id && r["role"]!.StartsWith("leads", StringComparison.Ordinal));

    public static async Task<List<MigrationRow>> MigrationsAsync(HostedProxy proxy) =>
        [.. (await RowsAsync(proxy, "SHOW MIGRATIONS")).Select(r => new MigrationRow(Number(r["id"]), Number(r["range"]), r["state"]!, r["error"]))];

    /// <summary>The ranges of the only group there is.</summary>
    public static async Task<RangeMap> RangesAsync(HostedProxy proxy) =>
        new([.. (await RowsAsync(proxy, "SHOW RANGES")).Select(r => new RangeOwner(
            Number(r["id"]),
            r["from"] is { } from ? long.Parse(from, CultureInfo.InvariantCulture) : long.MinValue,
            r["to"] is { } to ? long.Parse(to, CultureInfo.InvariantCulture) : null,
            Number(r["node"]!["node".Length..]) - 1,
            r["state"]!))]);

    private static int Number(string? text) => int.Parse(text!, CultureInfo.InvariantCulture);
}
