using System.Collections.Immutable;
using Npgsql;
using ShardProxy.Catalog;
using ShardProxy.Control.Nodes;
using ShardProxy.Control.Tables;
using ShardProxy.Model.Fleet;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Topology;

namespace ShardProxy.Control.Schema;

/// <summary>
/// After DDL: reads again from the home node what routing depends on, namely the columns of placed tables, tables that were dropped, and the
/// views and functions that read placed tables. Publishes only when something changed.
/// </summary>
public sealed class SchemaRefresher(RoutingCatalog catalog, NodeConnections connections, IProxyFleet fleet) : IDisposable
{
    // What is read is made true before the next one reads: else the older of two could be the last to be written.
    private readonly SemaphoreSlim _one = new(1, 1);

    private static readonly TimeSpan PublishDeadline = TimeSpan.FromSeconds(30);

    // Views and materialised views over the given relations, however deep. A rule depends on what its view reads.
    private const string ViewsSql = """
        WITH RECURSIVE base AS (
            SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            JOIN unnest($1::text[], $2::text[]) AS w(nsp, rel) ON w.nsp = n.nspname AND w.rel = c.relname),
        caller AS (
            SELECT r.ev_class AS oid FROM pg_depend p JOIN pg_rewrite r ON r.oid = p.objid
            WHERE p.classid = 'pg_rewrite'::regclass AND p.refclassid = 'pg_proc'::regclass
              AND p.refobjid IN (SELECT oid FROM pg_proc WHERE proname = ANY ($3::text[]) AND pronamespace <> 'pg_catalog'::regnamespace)),
        reader AS (
            SELECT oid FROM base
            UNION
            SELECT oid FROM caller
            UNION
            SELECT r.ev_class FROM reader d
            JOIN pg_depend p ON p.refclassid = 'pg_class'::regclass AND p.refobjid = d.oid AND p.classid = 'pg_rewrite'::regclass
            JOIN pg_rewrite r ON r.oid = p.objid)
        SELECT n.nspname, c.relname FROM reader d JOIN pg_class c ON c.oid = d.oid JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE d.oid NOT IN (SELECT oid FROM base) AND c.relkind IN ('v', 'm') ORDER BY 1, 2
        """;

    private const string FunctionsSql = """
        SELECT p.proname, CASE WHEN p.prosqlbody IS NULL THEN p.prosrc ELSE pg_get_functiondef(p.oid) END
        FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
        WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'shardproxy', 'shardproxy_catalog') AND l.lanname NOT IN ('c', 'internal')
          AND p.prokind IN ('f', 'p')
        """;

    /// <summary>Reads, compares, and makes the difference true. Safe to call at any time and from several places.</summary>
    /// <returns>True when something had changed.</returns>
    public async Task<bool> RefreshAsync(CancellationToken cancellationToken)
    {
        await _one.WaitAsync(cancellationToken);
        try
        {
            return await RefreshOnceAsync(cancellationToken);
        }
        finally
        {
            _one.Release();
        }
    }

    public void Dispose() => _one.Dispose();

    private async Task<bool> RefreshOnceAsync(CancellationToken cancellationToken)
    {
        var state = await catalog.LoadAsync(cancellationToken);
        await using var home = await connections.OpenAsync(state.Nodes.Single(n => n.IsHome), cancellationToken);
        await home.RunAsync("SET search_path = pg_catalog", cancellationToken);
        var columns = await ReadColumnsAsync(home, state.Tables, cancellationToken);
        var names = columns.Where(p => p.Value.Length > 0).Select(p => p.Key).ToList();
        var sources = await home.RowsAsync(FunctionsSql, r => (Name: r.GetString(0), Source: r.GetString(1)), cancellationToken);
        var views = ImmutableArray<QualifiedName>.Empty;
        var functions = ImmutableArray<string>.Empty;
        for (var hasGrown = names.Count > 0; hasGrown;)
        {
            // Functions over views over functions.
            views = [.. await home.RowsAsync(
                ViewsSql,
                r => new QualifiedName(r.GetString(0), r.GetString(1)),
                cancellationToken,
                names.Select(n => n.Schema).ToArray(),
                names.Select(n => n.Name).ToArray(),
                functions.ToArray())];
            var found = OpaqueFunctions.Find(names.Select(n => n.Name).Concat(views.Select(v => v.Name)), sources);
            hasGrown = found.Length > functions.Length;
            functions = found;
        }

        // While nothing is placed nothing is asked.
        var knowledge = names.Count == 0 ? SchemaKnowledge.Empty : new SchemaKnowledge(
            await ViewReader.ReadAsync(home, views, cancellationToken),
            await PureFunctionReader.ReadAsync(home, cancellationToken),
            await TargetReader.ReadAsync(home, names, functions, cancellationToken))
        {
            Types = await TypeReader.ReadAsync(connections, state.Nodes, state.Schema.Types, cancellationToken),
        };
        var placed = state.Tables.Select(t => t.Name).ToHashSet();
        var foreignKeys = placed.Count == 0 ? [] : await TableInspector.ForeignKeysAsync(home, placed, cancellationToken);
        var changed = await catalog.TryUpdateAsync(s => Apply(s, columns, views, functions, WithForeignKeys(s)), cancellationToken);
        if (changed is not null)
        {
            await fleet.PublishAsync(changed.ToRoutingTable(), DrainScope.None, PublishDeadline, cancellationToken);
        }

        return changed is not null;

        // Those of a table placed meanwhile came with it.
        SchemaKnowledge WithForeignKeys(CatalogState s)
        {
            var isNew = s.Tables.Select(t => t.Name).Where(n => !placed.Contains(n)).ToHashSet();
            return knowledge.WithForeignKeys(foreignKeys.Concat(s.Schema.ForeignKeys.Where(k => isNew.Contains(k.Child) || isNew.Contains(k.Parent))));
        }
    }

    private static async Task<Dictionary<QualifiedName, ImmutableArray<TableColumn>>> ReadColumnsAsync(
        NpgsqlConnection home, ImmutableArray<PlacedTable> tables, CancellationToken cancellationToken)
    {
        var columns = new Dictionary<QualifiedName, ImmutableArray<TableColumn>>();
        foreach (var table in tables.Where(t => !t.IsChanging))
        {
            columns[table.Name] = await TableInspector.ResolveAsync(home, table.Name.Schema, table.Name.Name, cancellationToken) is null
                ? []
                : [.. (await TableInspector.ColumnsAsync(home, table.Name, cancellationToken)).Select(c => c.ToColumn())];
        }

        return columns;
    }

    private static CatalogState? Apply(
        CatalogState state, Dictionary<QualifiedName, ImmutableArray<TableColumn>> columns, ImmutableArray<QualifiedName> views, ImmutableArray<string> functions,
        SchemaKnowledge knowledge)
    {
        var next = state;
        foreach (var table in state.Tables)
        {
            // A table placed or begun to change meanwhile was not looked at; the next refresh will.
            if (table.IsChanging || !columns.TryGetValue(table.Name, out var found) || found.SequenceEqual(table.Columns))
            {
                continue;
            }

            next = found.IsEmpty ? next.WithoutTable(table.Name) : next.WithTable(Recolumned(table, found));
        }

        if (!next.OpaqueRelations.SequenceEqual(views) || !next.OpaqueFunctions.SequenceEqual(functions) || !next.Schema.SameAs(knowledge))
        {
            next = next with { OpaqueRelations = views, OpaqueFunctions = functions, Schema = knowledge, PlacementVersion = next.PlacementVersion + 1 };
        }

        return ReferenceEquals(next, state) ? null : next;
    }

    /// <summary>The key's columns by name; a renamed one by its position, which a rename does not change.</summary>
    private static PlacedTable Recolumned(PlacedTable table, ImmutableArray<TableColumn> columns)
    {
        var names = columns.Select(c => c.Name).ToList();
        var key = table.KeyColumns.Select(i => names.IndexOf(table.Columns[i].Name) is >= 0 and var found ? found : i).ToImmutableArray();
        return table with { Columns = columns, KeyColumns = key };
    }
}
