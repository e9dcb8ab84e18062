using System.Globalization;
using Npgsql;

namespace ShardProxy.Cluster.Tests.EndToEnd.Tools;

/// <summary>Short ways to run SQL over one connection string, unpooled unless it says otherwise.</summary>
internal static class Db
{
    public static async Task<NpgsqlConnection> OpenAsync(string connectionString, CancellationToken cancellationToken)
    {
        var connection = new NpgsqlConnection(new NpgsqlConnectionStringBuilder(connectionString) { Pooling = false, CommandTimeout = 120 }.ConnectionString);
        try
        {
            await connection.OpenAsync(cancellationToken);
            return connection;
        }
        catch
        {
            await connection.DisposeAsync();
            throw;
        }
    }

    public static async Task ExecuteAsync(string connectionString, string sql, CancellationToken cancellationToken)
    {
        await using var connection = await OpenAsync(connectionString, cancellationToken);
        await connection.RunAsync(sql, cancellationToken);
    }

    public static async Task<T?> ScalarAsync<T>(string connectionString, string sql, CancellationToken cancellationToken)
    {
        await using var connection = await OpenAsync(connectionString, cancellationToken);
        await using var command = new NpgsqlCommand(sql, connection);
        return await command.ExecuteScalarAsync(cancellationToken) is T value ? value : default;
    }

    public static async Task<List<Row>> RowsAsync(string connectionString, string sql, CancellationToken cancellationToken)
    {
        await using var connection = await OpenAsync(connectionString, cancellationToken);
        return await connection.RowsAsync(sql, cancellationToken);
    }

    /// <summary>COPY FROM STDIN in text format.</summary>
    public static async Task CopyInAsync(string connectionString, string target, IEnumerable<string> lines, CancellationToken cancellationToken)
    {
        await using var connection = await OpenAsync(connectionString, cancellationToken);
        await using var writer = await connection.BeginTextImportAsync($"COPY {target} FROM STDIN", cancellationToken);
        foreach (var line in lines)
        {
            await writer.WriteAsync((line + "\n").AsMemory(), cancellationToken);
        }
    }

    public static async Task<int> RunAsync(this NpgsqlConnection connection, string sql, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        return await command.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>All rows, each column as text by name; NULL as null.</summary>
    public static async Task<List<Row>> RowsAsync(this NpgsqlConnection connection, string sql, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var rows = new List<Row>();
        while (await reader.ReadAsync(cancellationToken))
        {
            rows.Add(new Row([.. Enumerable.Range(0, reader.FieldCount).Select(i => (
                reader.GetName(i), reader.IsDBNull(i) ? null : Convert.ToString(reader.GetValue(i), CultureInfo.InvariantCulture)))]));
        }

        return rows;
    }
}
