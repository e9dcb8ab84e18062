using System.Collections.Immutable;
using Npgsql;
using ShardProxy.Catalog;
using ShardProxy.Control.Nodes;
using ShardProxy.Model.Topology;

namespace ShardProxy.Control.Schema;

/// <summary>One way in which a placed table on a node is not as on the home node.</summary>
/// <param name="Table">The table.</param>
/// <param name="Node">The node's name.</param>
/// <param name="Difference">In words.</param>
public sealed record TableDifference(QualifiedName Table, string Node, string Difference);

/// <summary>
/// Compares every placed table on every node with the home node's, now and then: DDL through the proxy keeps them equal, DDL on a node directly does not. What was
/// found last is kept for whoever asks.
/// </summary>
public sealed class DriftMonitor(RoutingCatalog catalog, NodeConnections connections)
{
    private volatile Found _found = new([]);

    /// <summary>As of the last check, by table and node. A node that could not be asked counts as before.</summary>
    public ImmutableArray<TableDifference> Differences => _found.Differences;

    /// <summary>Compares. The number of differences.</summary>
    public async Task<int> CheckAsync(CancellationToken cancellationToken)
    {
        var state = await catalog.LoadAsync(cancellationToken);
        var tables = state.Tables.Where(t => !t.IsChanging).OrderBy(t => t.Name.Schema, StringComparer.Ordinal).ThenBy(t => t.Name.Name, StringComparer.Ordinal).ToList();
        var homeNode = state.Nodes.Single(n => n.IsHome);
        var last = _found.Differences;
        var found = new List<TableDifference>();
        foreach (var node in state.Nodes.Where(n => !n.IsHome && tables.Count > 0).OrderBy(n => n.Id))
        {
            try
            {
                found.AddRange(await CompareAsync(homeNode, node, tables, cancellationToken));
            }
            catch (Exception e) when (e is NpgsqlException or TimeoutException)
            {
                found.AddRange(last.Where(d => d.Node == node.Name));
            }
        }

        _found = new Found([.. found.OrderBy(d => d.Table.ToString(), StringComparer.Ordinal)]);
        return found.Count;
    }

    private async Task<List<TableDifference>> CompareAsync(Node homeNode, Node node, List<PlacedTable> tables, CancellationToken cancellationToken)
    {
        const string Fully = "SET search_path = pg_catalog";
        await using var home = await connections.OpenAsync(homeNode, cancellationToken);
        await using var other = await connections.OpenAsync(node, cancellationToken);
        await home.RunAsync(Fully, cancellationToken);
        await other.RunAsync(Fully, cancellationToken);
        var found = new List<TableDifference>();
        foreach (var table in tables)
        {
            if (!await IsThereAsync(home, table))
            {
                // Dropped a moment ago: the catalog follows.
                continue;
            }

            var differences = await IsThereAsync(other, table)
                ? await TableDrift.CompareAsync(table.Name, homeNode, home, node, other, cancellationToken)
                : [$"the table is missing on node {node.Name}"];
            found.AddRange(differences.Select(d => new TableDifference(table.Name, node.Name, d)));
        }

        return found;

        Task<bool> IsThereAsync(NpgsqlConnection connection, PlacedTable table) =>
            connection.ScalarAsync<bool>("SELECT to_regclass($1) IS NOT NULL", cancellationToken, table.Name.ToString());
    }

    private sealed record Found(ImmutableArray<TableDifference> Differences);
}
