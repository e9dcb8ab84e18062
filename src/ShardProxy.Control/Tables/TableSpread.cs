using System.Collections.Immutable;
using Npgsql;
using ShardProxy.Catalog;
using ShardProxy.Control.Migration.Copying;
using ShardProxy.Control.Migration.Verifying;
using ShardProxy.Control.Nodes;
using ShardProxy.Model.Errors;
using ShardProxy.Model.Keys;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Topology;

namespace ShardProxy.Control.Tables;

/// <summary>Copies a home table's rows to the nodes they belong to, shows the copies equal, and deletes what does not belong home.</summary>
/// <param name="Table">The table as it will be placed.</param>
/// <param name="Group">Its group; null for a replicated table.</param>
internal sealed record TableSpread(PlacedTable Table, TableGroup? Group)
{
    private const uint FirstUserOid = 16384;

    /// <summary>One for each table that has rows: a placed table, or the partitions of it.</summary>
    public static ImmutableArray<TableSpread> Of(CatalogState state, QualifiedName name) =>
        [.. state.FindTree(name).Where(t => !t.IsPartitioned).Select(t => new TableSpread(t, state.Groups.FirstOrDefault(g => g.Id == t.GroupId)))];

    /// <summary>True for the rows that belong on the node.</summary>
    public string Owned(Node node)
    {
        if (Group is null)
        {
            return "(true)";
        }

        var key = Table.KeyColumns.Select((c, i) => new KeyColumn(SqlIdentifier.Quote(Table.Columns[c].Name), Group.KeyTypes[i])).ToImmutableArray();
        return KeySpaceSql.OwnedPredicate(Group, key, [.. Group.Ranges.Where(r => r.NodeId == node.Id)]);
    }

    /// <summary>One COPY from home to a node.</summary>
    public async Task CopyAsync(NpgsqlConnection home, NpgsqlConnection target, Node node, CancellationToken cancellationToken)
    {
        await target.RunAsync("SET session_replication_role = replica", cancellationToken);
        var columns = string.Join(", ", Table.Columns.Where(c => !c.IsGenerated).Select(c => SqlIdentifier.Quote(c.Name)));
        var from = $"COPY (SELECT {columns} FROM ONLY {Table.Name} WHERE {Owned(node)}) TO STDOUT";
        var to = $"COPY {Table.Name} ({columns}) FROM STDIN";
        await (Table.Columns.All(c => c.TypeOid < FirstUserOid)
            ? RangeCopier.PipeBinaryAsync(home, from, target, to, _ => { }, null, cancellationToken)
            : RangeCopier.PipeTextAsync(home, from, target, to, _ => { }, null, cancellationToken));
    }

    /// <summary>Refuses unless the node's copy equals the rows at home that belong to it. Neither side may change meanwhile.</summary>
    /// <exception cref="ShardProxyException">SHP-633.</exception>
    public async Task VerifyAsync(NpgsqlConnection home, NpgsqlConnection target, Node node, CancellationToken cancellationToken)
    {
        var rows = $"SELECT {new RowChecksum(Table, RowChecksum.NewNonce()).Hashes} FROM ONLY {Table.Name}";
        var original = await SumsAsync(home, $"{rows} WHERE {Owned(node)}", cancellationToken);
        var copy = await SumsAsync(target, rows, cancellationToken);
        if (!string.Equals(original, copy, StringComparison.Ordinal))
        {
            throw new ShardProxyException(ControlErrors.CopyMismatch(Table.Name.ToString()));
        }
    }

    /// <summary>Deletes the rows at home that belong elsewhere; idempotent.</summary>
    public async Task DeleteForeignAsync(NpgsqlConnection home, Node homeNode, CancellationToken cancellationToken)
    {
        if (Group is not null && Group.Ranges.Any(r => r.NodeId != homeNode.Id))
        {
            await home.RunAsync($"DELETE FROM ONLY {Table.Name} WHERE NOT {Owned(homeNode)}", cancellationToken);
        }
    }

    private static async Task<string?> SumsAsync(NpgsqlConnection connection, string rowsSql, CancellationToken cancellationToken)
    {
        // Inside a savepoint or transaction of its own, the pinned settings end with it.
        await connection.RunAsync(RowChecksum.Pins.Replace("SET LOCAL", "SET", StringComparison.Ordinal), cancellationToken);
        return await connection.ScalarAsync<string>(
            $"SELECT t::text FROM (SELECT {RowChecksum.Sums} FROM ({rowsSql}) x) t", cancellationToken);
    }
}
