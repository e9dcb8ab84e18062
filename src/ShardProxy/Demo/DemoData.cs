using System.Globalization;
using Npgsql;

namespace ShardProxy.Demo;

/// <summary>The demo's two tables: accounts, and entries on the same node as their account.</summary>
internal static class DemoData
{
    public const int Accounts = 20_000;

    /// <summary>Makes the tables, shards them while empty, and loads the accounts through the proxy.</summary>
    public static async Task LoadAsync(IDemoCluster cluster, CancellationToken cancellationToken)
    {
        await using var source = DemoConnections.Source(cluster.ClientConnectionString);
        await using var client = await source.OpenConnectionAsync(cancellationToken);
        await ExecuteAsync(
            client, "CREATE TABLE accounts (id bigint PRIMARY KEY, balance bigint NOT NULL, changes integer NOT NULL, note text NOT NULL)", cancellationToken);
        await ExecuteAsync(
            client,
            "CREATE TABLE entries (account_id bigint NOT NULL, entry_id bigint NOT NULL, amount bigint NOT NULL, PRIMARY KEY (account_id, entry_id))",
            cancellationToken);
        await using (var console = await DemoConsole.OpenAsync(cluster.ConsoleConnectionString, cancellationToken))
        {
            await console.ShardTableAsync("accounts", "id", null, cancellationToken);
            await console.ShardTableAsync("entries", "account_id", "accounts", cancellationToken);
        }

        var note = new string('n', 80);
        await using var copy = await client.BeginTextImportAsync("COPY accounts (id, balance, changes, note) FROM STDIN", cancellationToken);
        for (var id = 1; id <= Accounts; id++)
        {
            await copy.WriteAsync(string.Create(CultureInfo.InvariantCulture, $"{id}\t0\t0\t{note}\n").AsMemory(), cancellationToken);
        }
    }

    private static async Task ExecuteAsync(NpgsqlConnection connection, string sql, CancellationToken cancellationToken)
    {
#pragma warning disable CA2100 // Constant texts of this file.
        await using var command = new NpgsqlCommand(sql, connection);
#pragma warning restore CA2100
        await command.ExecuteNonQueryAsync(cancellationToken);
    }
}
