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
        var (columns, partitions) = await ReadTablesAsync(home, state.Tables, cancellationToken);
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
        var placed = state.Tables.Select(t => t.Name).Concat(names).ToHashSet();
        var foreignKeys = placed.Count == 0 ? [] : await TableInspector.ForeignKeysAsync(home, placed, cancellationToken);
        var changed = await catalog.TryUpdateAsync(s => Apply(s, columns, partitions, views, functions, WithForeignKeys(s)), cancellationToken);
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

    /// <summary>The columns of placed tables and of what has become a partition of one; none for a table that is gone. And who is whose partition.</summary>
    private static async Task<(Dictionary<QualifiedName, ImmutableArray<TableColumn>> Columns, Dictionary<QualifiedName, (QualifiedName Parent, bool IsPartitioned)> Partitions)> ReadTablesAsync(
        NpgsqlConnection home, ImmutableArray<PlacedTable> tables, CancellationToken cancellationToken)
    {
        const string PartitionsSql = """
            SELECT n.nspname, c.relname, pn.nspname, p.relname, c.relkind = 'p' FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid AND c.relispartition AND c.relkind IN ('r', 'p')
            JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_class p ON p.oid = i.inhparent JOIN pg_namespace pn ON pn.oid = p.relnamespace
            """;
        var all = tables.Any(t => t.IsPartitioned)
            ? await home.RowsAsync(
                PartitionsSql, r => (Name: new QualifiedName(r.GetString(0), r.GetString(1)), Parent: new QualifiedName(r.GetString(2), r.GetString(3)), IsPartitioned: r.GetBoolean(4)), cancellationToken)
            : [];
        var partitions = all.ToDictionary(p => p.Name, p => (p.Parent, p.IsPartitioned));
        var columns = new Dictionary<QualifiedName, ImmutableArray<TableColumn>>();
        var waiting = new Queue<QualifiedName>(tables.Where(t => !t.IsChanging).Select(t => t.Name));
        while (waiting.TryDequeue(out var name))
        {
            if (columns.ContainsKey(name) || tables.Any(t => t.Name == name && t.IsChanging))
            {
                continue;
            }

            columns[name] = await TableInspector.ResolveAsync(home, name.Schema, name.Name, cancellationToken) is null
                ? []
                : [.. (await TableInspector.ColumnsAsync(home, name, cancellationToken)).Select(c => c.ToColumn())];
            all.Where(p => p.Parent == name).ToList().ForEach(p => waiting.Enqueue(p.Name));
        }

        return (columns, partitions);
    }

    private static CatalogState? Apply(
        CatalogState state, Dictionary<QualifiedName, ImmutableArray<TableColumn>> columns, Dictionary<QualifiedName, (QualifiedName Parent, bool IsPartitioned)> partitions,
        ImmutableArray<QualifiedName> views, ImmutableArray<string> functions, SchemaKnowledge knowledge)
    {
        var next = Repartitioned(state, columns, partitions);
        foreach (var table in next.Tables)
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

    /// <summary>
    /// A partition made or attached is placed as its parent is, by the columns of the same names; one that was detached stays sharded, as a table of its own in the group.
    /// </summary>
    private static CatalogState Repartitioned(
        CatalogState state, Dictionary<QualifiedName, ImmutableArray<TableColumn>> columns, Dictionary<QualifiedName, (QualifiedName Parent, bool IsPartitioned)> partitions)
    {
        var next = state;
        var waiting = new Queue<QualifiedName>(state.Tables.Where(t => t.IsPartitioned && !t.IsChanging).Select(t => t.Name));
        while (waiting.TryDequeue(out var name))
        {
            if (next.FindTable(name) is not { IsChanging: false } parent)
            {
                continue;
            }

            foreach (var (partition, place) in partitions.Where(p => p.Value.Parent == name && columns.ContainsKey(p.Key)))
            {
                var key = parent.KeyColumns.Select(k => parent.Columns[k].Name).ToList();
                var names = columns[partition].Select(c => c.Name).ToList();
                if (next.FindTable(partition) is null && key.All(names.Contains))
                {
                    next = next.WithTable(parent with
                    {
                        Name = partition,
                        Parent = name,
                        IsPartitioned = place.IsPartitioned,
                        Columns = columns[partition],
                        KeyColumns = [.. key.Select(k => names.IndexOf(k))],
                    });
                    waiting.Enqueue(partition);
                }
            }
        }

        foreach (var table in next.Tables.Where(t => !t.IsChanging && columns.ContainsKey(t.Name)))
        {
            QualifiedName? parent = partitions.TryGetValue(table.Name, out var place) && next.FindTable(place.Parent) is not null ? place.Parent : null;
            if (table.Parent != parent)
            {
                next = next.WithTable(table with { Parent = parent });
            }
        }

        return next;
    }

    /// <summary>The key's columns by name; a renamed one by its position, which a rename does not change.</summary>
    private static PlacedTable Recolumned(PlacedTable table, ImmutableArray<TableColumn> columns)
    {
        var names = columns.Select(c => c.Name).ToList();
        var key = table.KeyColumns.Select(i => names.IndexOf(table.Columns[i].Name) is >= 0 and var found ? found : i).ToImmutableArray();
        return table with { Columns = columns, KeyColumns = key };
    }
}
