using System.Collections.Immutable;
using System.Globalization;
using Npgsql;

namespace ShardProxy.Demo;

/// <summary>The demo's eyes and hands: the same admin console that an operator has, with the same statements.</summary>
internal sealed class DemoConsole : IAsyncDisposable
{
    private readonly NpgsqlDataSource _source;
    private readonly NpgsqlConnection _connection;

    private DemoConsole(NpgsqlDataSource source, NpgsqlConnection connection)
    {
        _source = source;
        _connection = connection;
    }

    public static async Task<DemoConsole> OpenAsync(string connectionString, CancellationToken cancellationToken)
    {
        var source = DemoConnections.Source(connectionString);
        try
        {
            return new DemoConsole(source, await source.OpenConnectionAsync(cancellationToken));
        }
        catch
        {
            await source.DisposeAsync();
            throw;
        }
    }

    /// <summary>SHARD TABLE.</summary>
    /// <param name="table">The table.</param>
    /// <param name="column">Its key.</param>
    /// <param name="with">A table to keep it beside, or null.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    public async Task ShardTableAsync(string table, string column, string? with, CancellationToken cancellationToken) =>
        await QueryAsync($"SHARD TABLE {table} BY HASH ({column}){(with is null ? "" : $" COLOCATE WITH {with}")}", cancellationToken);

    /// <summary>SET PLANNER MODE.</summary>
    public async Task SetPlannerModeAsync(string mode, CancellationToken cancellationToken) => await QueryAsync($"SET PLANNER MODE {mode}", cancellationToken);

    public async Task<ImmutableArray<RangeRow>> RangesAsync(CancellationToken cancellationToken) =>
        [.. (await QueryAsync("SHOW RANGES", cancellationToken)).Select(r => new RangeRow(
            (int)Long(r["id"]), Long(r["from"]), r["to"] is { } to ? Long(to) : null, r["node"] ?? "", r["state"] ?? "", Number(r["load"])))];

    public async Task<ImmutableArray<ForecastRow>> ForecastsAsync(CancellationToken cancellationToken) =>
        [.. (await QueryAsync("SHOW FORECASTS", cancellationToken)).Select(r => new ForecastRow(
            (int)Long(r["range"]), (int)Long(r["step"]), DateTimeOffset.Parse(r["at"]!, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal),
            Number(r["forecast"]), Number(r["upper"])))];

    public async Task<ImmutableArray<MigrationRow>> MigrationsAsync(CancellationToken cancellationToken) =>
        [.. (await QueryAsync("SHOW MIGRATIONS", cancellationToken)).Select(r => new MigrationRow(
            (int)Long(r["id"]), r["range"] ?? "", r["source"] ?? "", r["target"] ?? "", r["state"] ?? "", Number(r["rows_done"]), Number(r["rows_total"]),
            r["eta_s"] is { } eta ? Number(eta) : null, Number(r["rows_verified"]), r["stall_ms"] is { } stall ? Number(stall) : null, r["error"] ?? ""))];

    public async Task<ImmutableArray<PlanRow>> PlansAsync(CancellationToken cancellationToken) =>
        [.. (await QueryAsync("SHOW PLANS", cancellationToken)).Select(r => new PlanRow((int)Long(r["id"]), r["state"] ?? "", r["reason"] ?? ""))];

    public async ValueTask DisposeAsync()
    {
        await _connection.DisposeAsync();
        await _source.DisposeAsync();
    }

    private static long Long(string? text) => long.Parse(text ?? "0", CultureInfo.InvariantCulture);

    private static double Number(string? text) => double.Parse(text ?? "0", CultureInfo.InvariantCulture);

    private async Task<List<Dictionary<string, string?>>> QueryAsync(string statement, CancellationToken cancellationToken)
    {
#pragma warning disable CA2100 // Constant texts of the demo.
        await using var command = new NpgsqlCommand(statement, _connection) { AllResultTypesAreUnknown = true };
#pragma warning restore CA2100
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var rows = new List<Dictionary<string, string?>>();
        while (await reader.ReadAsync(cancellationToken))
        {
            var row = new Dictionary<string, string?>(StringComparer.Ordinal);
            for (var i = 0; i < reader.FieldCount; i++)
            {
                row[reader.GetName(i)] = reader.IsDBNull(i) ? null : reader.GetString(i);
            }

            rows.Add(row);
        }

        return rows;
    }

    /// <summary>A row of SHOW RANGES.</summary>
    internal sealed record RangeRow(int Id, long From, long? To, string Node, string State, double Load);

    /// <summary>A row of SHOW FORECASTS.</summary>
    internal sealed record ForecastRow(int Range, int Step, DateTimeOffset At, double Forecast, double Upper);

    /// <summary>A row of SHOW MIGRATIONS.</summary>
    internal sealed record MigrationRow(
        int Id, string Range, string Source, string Target, string State, double RowsDone, double RowsTotal, double? EtaSeconds, double RowsVerified,
        double? StallMs, string Error)
    {
        public bool IsOver => State is "done" or "rolled_back" or "failed" or "cancelled";
    }

    /// <summary>A row of SHOW PLANS.</summary>
    internal sealed record PlanRow(int Id, string State, string Reason);
}
