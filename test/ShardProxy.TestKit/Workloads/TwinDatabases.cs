using Npgsql;
using ShardProxy.TestKit.Clusters;

namespace ShardProxy.TestKit.Workloads;

/// <summary>A database sharded by a running <c>shardproxy dev</c>, and its twin: one ordinary database on the home node that gets the same tables and rows.</summary>
internal sealed class TwinDatabases : IAsyncDisposable
{
    private const string TwinName = "twin";

    // Statements of a workload may take long; the run has its own end.
    private const string Behaviour = ";Command Timeout=600;Include Error Detail=true;Max Auto Prepare=0;Pooling=false";

    private TwinDatabases(ProxyProcess process) => Process = process;

    public ProxyProcess Process { get; }

    /// <summary>Starts the nodes and the proxy; both databases are empty.</summary>
    public static async Task<TwinDatabases> StartAsync(int nodes)
    {
        var twins = new TwinDatabases(await ProxyProcess.StartAsync(new ProxyProcessOptions { Nodes = nodes }));
        await using var home = new NpgsqlConnection(twins.Process.NodeConnectionString("node1"));
        await home.OpenAsync();
        await RunAsync(home, $"CREATE DATABASE {TwinName}");
        return twins;
    }

    /// <summary>A new client through the proxy.</summary>
    public Task<NpgsqlConnection> OpenShardedAsync() => OpenAsync(Process.ConnectionString());

    /// <summary>A new client of the twin, past the proxy.</summary>
    public Task<NpgsqlConnection> OpenPlainAsync() => OpenAsync(Process.NodeConnectionString("node1", TwinName));

    /// <summary>A new client of a node's part of the sharded database, past the proxy.</summary>
    public Task<NpgsqlConnection> OpenNodeAsync(string node) => OpenAsync(Process.NodeConnectionString(node));

    /// <summary>Rows of a console statement, by column name.</summary>
    public async Task<List<Dictionary<string, string?>>> ConsoleAsync(string statement)
    {
        await using var console = await OpenAsync(Process.ConsoleConnectionString + ";Server Compatibility Mode=NoTypeLoading");
        await using var command = new NpgsqlCommand(statement, console) { AllResultTypesAreUnknown = true };
        await using var reader = await command.ExecuteReaderAsync();
        var rows = new List<Dictionary<string, string?>>();
        while (await reader.ReadAsync())
        {
            rows.Add(Enumerable.Range(0, reader.FieldCount).ToDictionary(reader.GetName, i => reader.IsDBNull(i) ? null : reader.GetString(i)));
        }

        return rows;
    }

    /// <summary>Runs statements without parameters, by the simple protocol where there are several.</summary>
    public static async Task RunAsync(NpgsqlConnection connection, string sql)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync();
    }

    /// <summary>Rows as text, columns joined by a bar.</summary>
    public static async Task<List<string>> RowsAsync(NpgsqlConnection connection, string sql)
    {
        await using var command = new NpgsqlCommand(sql, connection) { AllResultTypesAreUnknown = true };
        await using var reader = await command.ExecuteReaderAsync();
        var rows = new List<string>();
        while (await reader.ReadAsync())
        {
            rows.Add(string.Join('|', Enumerable.Range(0, reader.FieldCount).Select(i => reader.IsDBNull(i) ? "NULL" : reader.GetString(i))));
        }

        return rows;
    }

    /// <summary>Copies lines in PostgreSQL's text format into a table.</summary>
    public static async Task CopyAsync(NpgsqlConnection connection, string table, IEnumerable<string> lines)
    {
        await using var writer = await connection.BeginTextImportAsync($"COPY {table} FROM STDIN");
        foreach (var line in lines)
        {
            await writer.WriteAsync(line);
            await writer.WriteAsync('\n');
        }
    }

    public ValueTask DisposeAsync() => Process.DisposeAsync();

    private static async Task<NpgsqlConnection> OpenAsync(string connectionString)
    {
        var connection = new NpgsqlConnection(connectionString + Behaviour);
        await connection.OpenAsync();
        return connection;
    }
}
