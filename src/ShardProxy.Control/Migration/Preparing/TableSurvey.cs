using Npgsql;
using ShardProxy.Control.Nodes;
using ShardProxy.Control.Schema;
using ShardProxy.Model.Errors;
using ShardProxy.Model.Topology;

namespace ShardProxy.Control.Migration.Preparing;

/// <summary>What a migration has to know about one table before it touches it.</summary>
/// <param name="RestoreOnSource">SQL clause that brings the replica identity back, when it has to be FULL for the duration; else null.</param>
/// <param name="RestoreOnTarget">The same on the target, whose changes go back while a rollback window is open.</param>
/// <param name="HasUserBeforeTriggers">User BEFORE row triggers may change the key after the gate has looked: it looks again AFTER.</param>
/// <param name="EstimatedRows">Planner's row count of the whole table on the source.</param>
internal sealed record TableSurvey(MigrationTable Table, string? RestoreOnSource, string? RestoreOnTarget, bool HasUserBeforeTriggers, long EstimatedRows)
{
    // The key must be in the old row that is logged; of the columns, each must be comparable when the old row is all there is.
    private const string SurveySql = """
        SELECT CASE c.relreplident
                   WHEN 'd' THEN coalesce((SELECT (i.indkey::int2[]::int[])[0:i.indnkeyatts - 1] @> k.attnums FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary AND i.indimmediate AND i.indisvalid), false)
                   WHEN 'i' THEN coalesce((SELECT (i.indkey::int2[]::int[])[0:i.indnkeyatts - 1] @> k.attnums FROM pg_index i WHERE i.indrelid = c.oid AND i.indisreplident AND i.indisvalid), false)
                   WHEN 'f' THEN true ELSE false END,
               CASE c.relreplident
                   WHEN 'd' THEN 'DEFAULT' WHEN 'n' THEN 'NOTHING' WHEN 'f' THEN 'FULL'
                   ELSE 'USING INDEX ' || (SELECT quote_ident(ic.relname) FROM pg_index i JOIN pg_class ic ON ic.oid = i.indexrelid WHERE i.indrelid = c.oid AND i.indisreplident) END,
               EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgtype & 3 = 3 AND t.tgname NOT LIKE '~~shardproxy%'),
               greatest(c.reltuples, 0)::bigint,
               (WITH RECURSIVE part(col, typ) AS (
                    SELECT a.attname, a.atttypid FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
                    UNION
                    SELECT p.col, x.typ FROM part p JOIN pg_type y ON y.oid = p.typ CROSS JOIN LATERAL (
                        SELECT y.typbasetype WHERE y.typtype = 'd'
                        UNION ALL SELECT y.typelem WHERE y.typcategory = 'A'
                        UNION ALL SELECT a.atttypid FROM pg_attribute a WHERE y.typtype = 'c' AND a.attrelid = y.typrelid AND a.attnum > 0 AND NOT a.attisdropped
                        UNION ALL SELECT r.rngsubtype FROM pg_range r WHERE y.oid IN (r.rngtypid, r.rngmultitypid)) x(typ)
                    WHERE x.typ <> 0)
                SELECT string_agg(DISTINCT quote_ident(p.col), ', ') FROM part p JOIN pg_type y ON y.oid = p.typ
                WHERE y.typtype = 'b' AND y.typcategory <> 'A' AND NOT EXISTS (
                    SELECT FROM pg_opclass o WHERE o.opcdefault AND o.opcmethod IN (SELECT oid FROM pg_am WHERE amname IN ('btree', 'hash'))
                      AND (o.opcintype = y.oid OR EXISTS (SELECT FROM pg_cast x WHERE x.castsource = y.oid AND x.casttarget = o.opcintype AND x.castmethod = 'b' AND x.castcontext = 'i')))),
               c.relpersistence = 'u',
               (SELECT quote_ident(t.tgname) FROM pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgenabled IN ('A', 'R') AND t.tgname NOT LIKE '~~shardproxy%' LIMIT 1)
        FROM pg_class c,
             LATERAL (SELECT array_agg(a.attnum::int) AS attnums FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = ANY ($2)) k
        WHERE c.oid = $1::regclass
        """;

    public string? RestoreIdentity(bool onSource) => onSource ? RestoreOnSource : RestoreOnTarget;

    /// <summary>Looks at the table on both nodes and refuses what a migration could not carry.</summary>
    /// <exception cref="ShardProxyException">SHP-508.</exception>
    public static async Task<TableSurvey> TakeAsync(
        MigrationTable table, Node sourceNode, NpgsqlConnection source, Node targetNode, NpgsqlConnection target, MigrationOptions options, CancellationToken cancellationToken)
    {
        if (await TableDrift.CompareAsync(table.Table.Name, sourceNode, source, targetNode, target, cancellationToken) is [var first, ..] drift)
        {
            throw new ShardProxyException(ControlErrors.TablesDiffer(table.Table.Name.ToString(), first, drift.Count - 1));
        }

        var key = table.Table.KeyColumns.Select(i => table.Table.Columns[i].Name).ToArray();
        var (sourceCovers, restore, hasTriggers, rows, incomparable) = await LookAsync(source, sourceNode, table, key, cancellationToken);
        var (targetCovers, targetRestore, hasTargetTriggers, _, _) = await LookAsync(target, targetNode, table, key, cancellationToken);
        var isCovered = sourceCovers && (targetCovers || restore == "FULL");
        if (!isCovered || restore == "FULL")
        {
            if (incomparable is not null)
            {
                throw new ShardProxyException(ControlErrors.Preflight(
                    $"table {table.Table.Name} has no primary key with the shard key in it, and no equality for column {incomparable}", "Add such a primary key."));
            }

            if (rows > options.MaximumRowsWithoutIdentity)
            {
                throw new ShardProxyException(ControlErrors.Preflight(
                    $"table {table.Table.Name} has no primary key with the shard key in it and is too large to be searched for every changed row", "Add such a primary key."));
            }
        }

        return new TableSurvey(table, isCovered ? null : restore, targetCovers ? null : targetRestore, hasTriggers || hasTargetTriggers, rows);
    }

    private static async Task<(bool Covers, string Restore, bool HasTriggers, long Rows, string? Incomparable)> LookAsync(
        NpgsqlConnection connection, Node node, MigrationTable table, string[] key, CancellationToken cancellationToken)
    {
        var rows = await connection.RowsAsync(
            SurveySql,
            r => (Look: (r.GetBoolean(0), r.GetString(1), r.GetBoolean(2), r.GetInt64(3), r.IsDBNull(4) ? null : r.GetString(4)), IsUnlogged: r.GetBoolean(5), Trigger: r.IsDBNull(6) ? null : r.GetString(6)),
            cancellationToken,
            table.Sql,
            key);
        var found = rows.Single();
        if (found.IsUnlogged)
        {
            throw new ShardProxyException(ControlErrors.Preflight(
                $"table {table.Table.Name} is unlogged on node {node.Name}, so its changes cannot be followed", $"ALTER TABLE {table.Table.Name} SET LOGGED, then move again."));
        }

        // It would fire a second time, for rows that it has made already.
        return found.Trigger is null ? found.Look : throw new ShardProxyException(ControlErrors.Preflight(
            $"trigger {found.Trigger} of table {table.Table.Name} fires for replicated rows too",
            $"ALTER TABLE {table.Table.Name} ENABLE TRIGGER {found.Trigger}, or disable it, then move again."));
    }
}
