namespace ShardProxy.Admin.Backend;

/// <summary>The query behind <see cref="ITableSizeSource"/>, so that every implementation counts alike.</summary>
public static class TableSizeQuery
{
    /// <summary>
    /// Parameters: schemas and names of the tables, as text arrays of one length. Columns: schema, name, rows (double precision), bytes (double
    /// precision). <c>reltuples</c> is -1 until the first VACUUM or ANALYZE; then the live-tuple counter of the cumulative statistics is all
    /// there is. <c>pg_total_relation_size</c> locks what it counts: it must not stand in a line of the clients' locks, in front of others,
    /// so a table that somebody has or wants for himself is taken by its pages of the last VACUUM or ANALYZE.
    /// </summary>
    public const string Text =
        """
        WITH busy AS MATERIALIZED (
            SELECT relation FROM pg_catalog.pg_locks
             WHERE mode = 'AccessExclusiveLock' AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())),
        parts AS MATERIALIZED (
            SELECT c.oid AS "table", p.oid AS part, p.relpages
              FROM ROWS FROM (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::text[])) AS t (schema, name)
              JOIN pg_catalog.pg_namespace n ON n.nspname = t.schema
              JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = t.name AND c.relkind = 'r'
             CROSS JOIN LATERAL (
                SELECT c.oid UNION ALL SELECT c.reltoastrelid
                UNION ALL SELECT i.indexrelid FROM pg_catalog.pg_index i WHERE i.indrelid IN (c.oid, c.reltoastrelid)) AS o (oid)
              JOIN pg_catalog.pg_class p ON p.oid = o.oid)
        SELECT n.nspname, c.relname,
               CASE WHEN c.reltuples >= 0 THEN c.reltuples::float8 ELSE COALESCE(pg_catalog.pg_stat_get_live_tuples(c.oid), 0)::float8 END,
               CASE WHEN EXISTS (SELECT FROM parts JOIN busy ON part = relation WHERE "table" = c.oid)
                    THEN (SELECT sum(relpages) * pg_catalog.current_setting('block_size')::float8 FROM parts WHERE "table" = c.oid)
                    ELSE COALESCE(pg_catalog.pg_total_relation_size(c.oid), 0)::float8 END
          FROM (SELECT DISTINCT "table" FROM parts) t
          JOIN pg_catalog.pg_class c ON c.oid = t."table"
          JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        """;
}
