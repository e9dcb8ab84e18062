using System.Globalization;
using Npgsql;
using ShardProxy.TestKit.Clusters;
using ShardProxy.TestKit.Wire;

namespace ShardProxy.TestKit.Differential;

/// <summary>The sharded database behind a running <c>shardproxy dev</c>, and its twin: one ordinary database on the home node with the same tables and rows.</summary>
internal sealed class DifferentialDatabases : IAsyncDisposable
{
    private const string TwinName = "twin";

    private readonly ScriptedClient[] _nodes;
    private List<Dictionary<string, string?>>? _tables;
    private List<Dictionary<string, string?>>? _ranges;

    private DifferentialDatabases(ProxyProcess process, ScriptedClient[] nodes)
    {
        Process = process;
        _nodes = nodes;
    }

    public ProxyProcess Process { get; }

    /// <summary>A client through the proxy.</summary>
    public ScriptedClient Sharded { get; private set; } = null!;

    /// <summary>A client of the twin.</summary>
    public ScriptedClient Plain { get; private set; } = null!;

    public static async Task<DifferentialDatabases> StartAsync(int nodes, int seed)
    {
        var process = await ProxyProcess.StartAsync(new ProxyProcessOptions { Nodes = nodes });
        var direct = new List<ScriptedClient>();
        foreach (var node in process.NodeNames)
        {
            direct.Add(await LoginAsync(process.Address(node), TestCluster.Database));
        }

        var databases = new DifferentialDatabases(process, [.. direct]);
        await Must(direct[0], $"CREATE DATABASE {TwinName}");
        await databases.ReconnectAsync();
        await Must(databases.Plain, DifferentialTables.Ddl);
        await Must(databases.Sharded, DifferentialTables.Ddl);
        foreach (var table in DifferentialTables.All.Where(t => t.Place is not null))
        {
            await databases.ConsoleAsync(table.Place!);
        }

        await databases.FillAsync(seed);
        return databases;
    }

    /// <summary>New clients in the place of both.</summary>
    public async Task ReconnectAsync()
    {
        Sharded?.Dispose();
        Plain?.Dispose();
        Sharded = await LoginAsync(Process.Address("proxy"), TestCluster.Database);
        Plain = await LoginAsync(Process.Address("node1"), TwinName);
    }

    /// <summary>Both get the first rows again.</summary>
    public async Task ResetAsync(int seed)
    {
        await ReconnectAsync();
        foreach (var client in new[] { Sharded, Plain })
        {
            foreach (var table in DifferentialTables.All)
            {
                await Must(client, $"TRUNCATE {table.Name}");
            }
        }

        await FillAsync(seed);
    }

    /// <summary>Rows of a console statement.</summary>
    public async Task<List<Dictionary<string, string?>>> ConsoleAsync(string statement)
    {
        await using var console = new NpgsqlConnection(Process.ConsoleConnectionString + ";Server Compatibility Mode=NoTypeLoading;Command Timeout=120");
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

    /// <summary>
    /// What is wrong with a table's rows past the proxy, or null: those of all nodes together have to be the twin's, each on the node that owns its key;
    /// a replicated table's are the same everywhere.
    /// </summary>
    public async Task<string?> CheckRowsAsync(SqlTable table)
    {
        var expected = await RowsAsync(Plain, table);
        var found = new List<string>();
        foreach (var (node, index) in _nodes.Select((n, i) => (n, i)))
        {
            var rows = await RowsAsync(node, table);
            if (table.IsSharded)
            {
                found.AddRange(rows);
            }
            else if ((index == 0 || table.Place is not null) && !rows.SequenceEqual(expected))
            {
                return $"{table.Name} on node {index + 1} is not the twin's:\n{Difference(expected, rows)}";
            }
        }

        if (!table.IsSharded)
        {
            return null;
        }

        found.Sort(StringComparer.Ordinal);
        return found.SequenceEqual(expected) ? await StrayAsync(table) : $"the rows of {table.Name} are not the twin's:\n{Difference(expected, found)}";
    }

    /// <summary>The same as seen through the proxy; for while ranges move and a row may lie on two nodes.</summary>
    public async Task<string?> CheckSeenRowsAsync(SqlTable table)
    {
        var (expected, found) = (await RowsAsync(Plain, table), await RowsAsync(Sharded, table));
        return found.SequenceEqual(expected) ? null : $"the rows of {table.Name} through the proxy are not the twin's:\n{Difference(expected, found)}";
    }

    /// <summary>Ranges have moved: where they are is asked for again.</summary>
    public void ForgetRanges() => _ranges = null;

    /// <summary>What the run has left behind on the nodes, or null: temporary tables, transactions, prepared transactions.</summary>
    public async Task<string?> CheckLeftoversAsync()
    {
        foreach (var (node, index) in _nodes.Select((n, i) => (n, i)))
        {
            var left = (await node.QueryAsync(
                """
                SELECT 'relation ' || relname FROM pg_class WHERE relname LIKE 'shardproxy_gather%' UNION ALL SELECT 'prepared ' || gid FROM pg_prepared_xacts
                UNION ALL SELECT 'session ' || state || ' ' || left(query, 60) FROM pg_stat_activity
                WHERE datname = 'app' AND pid <> pg_backend_pid() AND state LIKE 'idle in%'
                """)).Rows;
            if (left.Count > 0)
            {
                return $"left on node {index + 1}: {string.Join("; ", left.Select(r => r[0]))}";
            }
        }

        var sessions = await ConsoleAsync("SHOW SESSIONS");
        return sessions.Count > 3 ? $"{sessions.Count} sessions" : null;
    }

    public async ValueTask DisposeAsync()
    {
        Sharded?.Dispose();
        Plain?.Dispose();
        foreach (var node in _nodes)
        {
            node.Dispose();
        }

        await Process.DisposeAsync();
    }

    private async Task<string?> StrayAsync(SqlTable table)
    {
        _tables ??= await ConsoleAsync("SHOW TABLES");
        _ranges ??= await ConsoleAsync("SHOW RANGES");
        var group = _tables.Find(t => t["table"] == table.Name || t["table"] == table.Name.Trim('"'))?["group"];
        var ranges = _ranges.Where(r => r["group"] == group).ToList();
        if (ranges.Count == 0)
        {
            return $"no ranges are shown for {table.Name}";
        }

        foreach (var (node, index) in _nodes.Select((n, i) => (n, i)))
        {
            var own = ranges.Where(r => r["node"] == Process.NodeNames[index])
                .Select(r => $"(h >= {Bound(r["from"]) ?? long.MinValue.ToString(CultureInfo.InvariantCulture)}{(Bound(r["to"]) is { } to ? $" AND h < {to}" : "")})");
            var sql = $"SELECT count(*) FROM (SELECT {table.KeyHash} AS h FROM {table.Name}) t WHERE NOT ({string.Join(" OR ", own.Append("false"))})";
            var reply = await node.QueryAsync(sql);
            if (reply.Errors.Count > 0 || reply.Rows[0][0] != "0")
            {
                return $"rows of {table.Name} lie on node {index + 1}, which does not own them: {reply}\n{sql}";
            }
        }

        return null;
    }

    private static string? Bound(string? text) => long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var value) ? $"'{value}'::bigint" : null;

    private static string Difference(List<string> expected, List<string> found) =>
        string.Join('\n', expected.Except(found).Select(r => "      missing " + r).Concat(found.Except(expected).Select(r => "      extra   " + r)).Take(12).Append($"      {expected.Count} expected, {found.Count} found"));

    private static async Task<List<string>> RowsAsync(ScriptedClient client, SqlTable table)
    {
        var reply = await client.QueryAsync($"SELECT * FROM {table.Name}");
        return reply.Errors.Count > 0
            ? [reply.ToString()]
            : [.. reply.Rows.Select(r => string.Join(" | ", r.Select(v => v ?? "NULL"))).Order(StringComparer.Ordinal)];
    }

    private async Task FillAsync(int seed)
    {
        foreach (var sql in DifferentialTables.Rows(new Dice(seed)))
        {
            await Must(Sharded, sql);
            await Must(Plain, sql);
        }
    }

    private static async Task Must(ScriptedClient client, string sql)
    {
        var reply = await client.QueryAsync(sql);
        if (reply.Errors.Count > 0)
        {
            throw new InvalidOperationException($"{sql}\n{reply}");
        }
    }

    private static async Task<ScriptedClient> LoginAsync(Uri address, string database)
    {
        var client = await ScriptedClient.LoginAsync(address.Port, TestCluster.User, database, TestCluster.Password);
        client.Deadline = TimeSpan.FromMinutes(2); // the run has its own
        return client;
    }
}
