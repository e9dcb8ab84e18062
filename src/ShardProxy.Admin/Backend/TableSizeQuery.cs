namespace ShardProxy.Admin.Backend;

/// <summary>The query behind <see cref="ITableSizeSource"/>, so that every implementation counts alike.</summary>
public static class TableSizeQuery
{
    /// <summary>
    /// Columns: schema, name, rows (double precision), bytes (double precision). <c>reltuples</c> is -1 until the first VACUUM or
    /// ANALYZE; then the live-tuple counter of the cumulative statistics is all there is.
    /// </summary>
    public const string Text =
        """
        SELECT n.nspname, c.relname,
               CASE WHEN c.reltuples >= 0 THEN c.reltuples::float8 ELSE COALESCE(s.n_live_tup, 0)::float8 END,
               pg_catalog.pg_total_relation_size(c.oid)::float8
          FROM pg_catalog.pg_class c
          JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
          LEFT JOIN pg_catalog.pg_stat_all_tables s ON s.relid = c.oid
         WHERE c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
        """;
}
