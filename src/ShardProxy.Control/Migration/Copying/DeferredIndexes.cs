using System.Collections.Immutable;
using Npgsql;
using ShardProxy.Catalog.Journal;
using ShardProxy.Control.Migration.Preparing;
using ShardProxy.Control.Nodes;
using ShardProxy.Control.Schema;

namespace ShardProxy.Control.Migration.Copying;

/// <summary>
/// Secondary indexes of a target whose tables are empty: dropped before the copy and made again behind it, which costs a fraction of adding row by row. Each is in the
/// journal with its definition before it goes, so that whoever ends the migration makes it again.
/// </summary>
internal static class DeferredIndexes
{
    /// <summary>Indexes that a constraint, a replica identity, a partitioned index or a comment hangs on, or that their definition does not tell all about, stay.</summary>
    private const string FindSql = """
        SELECT format('%I.%I', n.nspname, c.relname), pg_get_indexdef(c.oid), format('%I', c.relname)
        FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE i.indrelid = to_regclass($1) AND i.indisvalid AND i.indisready AND NOT i.indisprimary AND NOT i.indisreplident AND NOT i.indisexclusion AND NOT i.indisclustered
          AND NOT c.relispartition AND c.reltablespace = 0 AND obj_description(c.oid, 'pg_class') IS NULL
          AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = c.oid)
          AND NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND coalesce(a.attstattarget, -1) >= 0)
          AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype IN ('e', 'x'))
          AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid)
        ORDER BY 1
        """;

    /// <summary>Drops them, if the target has no range of the group, so that nobody uses them, and the rows to come are worth it.</summary>
    /// <returns>Those dropped, as <see cref="TableDrift"/> names them.</returns>
    public static async Task<IReadOnlySet<string>> DropAsync(MigrationContext context, ImmutableArray<TableSurvey> surveys, CancellationToken cancellationToken)
    {
        var group = (await context.Catalog.LoadAsync(cancellationToken)).Groups.Single(g => g.Id == context.Range.GroupId);
        var dropped = new HashSet<string>(StringComparer.Ordinal);
        if (group.Ranges.Any(r => r.NodeId == context.Target.Id))
        {
            return dropped;
        }

        foreach (var survey in surveys.Where(s => s.EstimatedRows >= context.Options.DeferredIndexesFromRows))
        {
            var table = survey.Table.Sql;
            List<(MigrationObject Index, string Part)> indexes;
            await using (var connection = await context.Connections.OpenAsync(context.Target, cancellationToken))
            {
                if (await connection.ScalarAsync<bool>($"SELECT EXISTS (SELECT FROM ONLY {table})", cancellationToken))
                {
                    continue;
                }

                // With nothing else on the path a definition names all in full.
                await connection.RunAsync("SET search_path = pg_catalog", cancellationToken);
                indexes = await connection.RowsAsync(
                    FindSql,
                    r => (new MigrationObject(MigrationObjectKind.DeferredIndex, context.Target.Id, r.GetString(0), r.GetString(1)), TableDrift.IndexPart(r.GetString(2))),
                    cancellationToken,
                    table);
            }

            if (indexes.Count > 0)
            {
                await context.Journal.WriteAsync(r => r with { Objects = r.Objects.AddRange(indexes.Select(i => i.Index)) }, cancellationToken);
                await TableDdl.RunAsync(context, context.Target, string.Concat(indexes.Select(i => $"DROP INDEX IF EXISTS {i.Index.Name};")), cancellationToken);
                dropped.UnionWith(indexes.Select(i => i.Part));
            }
        }

        return dropped;
    }

    /// <summary>Makes those again that are not there. Idempotent; nothing to do where none was dropped.</summary>
    public static async Task MakeAsync(MigrationContext context, CancellationToken cancellationToken)
    {
        var indexes = context.Journal.Record.Objects.Where(IsDeferred).ToList();
        if (indexes.Count == 0)
        {
            return;
        }

        await using (var connection = await context.Connections.OpenSessionAsync(context.NodeOf(indexes[0].NodeId), context.Names.Session, cancellationToken))
        {
            foreach (var index in indexes)
            {
                try
                {
                    if (await connection.ScalarAsync<bool>("SELECT to_regclass($1) IS NULL", cancellationToken, index.Name))
                    {
                        await connection.RunAsync(index.Detail!, cancellationToken);
                    }
                }
                catch (PostgresException e) when (e.SqlState == PostgresErrorCodes.UndefinedTable)
                {
                    // The table has been dropped since.
                }
            }
        }

        await context.Journal.WriteAsync(r => r with { Objects = r.Objects.RemoveAll(IsDeferred) }, cancellationToken);
    }

    private static bool IsDeferred(MigrationObject item) => item.Kind == MigrationObjectKind.DeferredIndex;
}
