using System.Collections.Immutable;
using Npgsql;
using ShardProxy.Control.Nodes;
using ShardProxy.Model.Topology;

namespace ShardProxy.Control.Tables;

/// <summary>Reads a table's definition from pg_catalog.</summary>
internal static class TableInspector
{
    private const string NameSql = """
        SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.oid = CASE WHEN $1 = '' THEN to_regclass(quote_ident($2)) ELSE to_regclass(quote_ident($1) || '.' || quote_ident($2)) END
        """;

    private const string TableSql = """
        SELECT c.relkind, c.relpersistence,
               NOT c.relispartition AND EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = c.oid) OR c.relkind <> 'p' AND EXISTS (SELECT FROM pg_inherits i WHERE i.inhparent = c.oid),
               c.relrowsecurity, EXISTS (SELECT FROM pg_rewrite r WHERE r.ev_class = c.oid),
               quote_ident(pg_get_userbyid(c.relowner)),
               (SELECT string_agg(o, ', ') FROM (SELECT unnest(c.reloptions) UNION ALL SELECT 'toast.' || unnest(t.reloptions) FROM pg_class t WHERE t.oid = c.reltoastrelid) x(o)),
               pg_get_partkeydef(c.oid), CASE WHEN c.relispartition THEN pg_get_expr(c.relpartbound, c.oid) END,
               (SELECT n.nspname FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhparent JOIN pg_namespace n ON n.oid = p.relnamespace WHERE i.inhrelid = c.oid AND c.relispartition),
               (SELECT p.relname FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhparent WHERE i.inhrelid = c.oid AND c.relispartition)
        FROM pg_class c WHERE c.oid = $1::regclass
        """;

    private const string ColumnsSql = """
        SELECT a.attnum::int, a.attname, a.atttypid, a.atttypmod, format_type(a.atttypid, a.atttypmod),
               CASE WHEN a.attcollation <> t.typcollation THEN quote_ident(cn.nspname) || '.' || quote_ident(co.collname) END,
               coalesce(co.collisdeterministic AND co.oid < 16384, true), a.attnotnull, pg_get_expr(d.adbin, d.adrelid), a.attidentity, a.attgenerated <> '',
               (SELECT sq.oid::regclass::text FROM pg_depend p JOIN pg_class sq ON sq.oid = p.refobjid AND sq.relkind = 'S'
                WHERE p.classid = 'pg_attrdef'::regclass AND p.objid = d.oid AND p.refclassid = 'pg_class'::regclass LIMIT 1),
               (SELECT quote_ident(n.nspname) || '.' || quote_ident(sq.relname)
                FROM pg_depend p JOIN pg_class sq ON sq.relkind = 'S' JOIN pg_namespace n ON n.oid = sq.relnamespace
                WHERE CASE WHEN a.attidentity = ''
                      THEN p.classid = 'pg_attrdef'::regclass AND p.objid = d.oid AND p.refclassid = 'pg_class'::regclass AND p.refobjid = sq.oid
                      ELSE p.classid = 'pg_class'::regclass AND p.objid = sq.oid AND p.refclassid = 'pg_class'::regclass AND p.refobjid = a.attrelid
                           AND p.refobjsubid = a.attnum AND p.deptype = 'i' END LIMIT 1),
               CASE co.collprovider WHEN 'c' THEN co.collcollate IN ('C', 'POSIX', 'C.UTF-8', 'C.utf8')
                   WHEN 'd' THEN (SELECT b.datlocprovider = 'c' AND b.datcollate IN ('C', 'POSIX', 'C.UTF-8', 'C.utf8') FROM pg_database b WHERE b.datname = current_database())
                   ELSE co.oid IS NULL END
        FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
        LEFT JOIN pg_collation co ON co.oid = a.attcollation LEFT JOIN pg_namespace cn ON cn.oid = co.collnamespace
        LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE a.attrelid = $1::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
        """;

    private const string ConstraintsSql = """
        SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = $1::regclass AND contype IN ('c', 'p', 'u', 'x')
        ORDER BY contype = 'c', conname
        """;

    private const string ForeignKeysSql = "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'f' AND conrelid = $1::regclass AND conparentid = 0 ORDER BY conname";

    private const string IndexesSql = """
        SELECT c.relname, pg_get_indexdef(i.indexrelid) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
        WHERE i.indrelid = $1::regclass AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x'))
        ORDER BY c.relname
        """;

    // Only columns by whose equality the index tells rows apart: not those that it merely includes, nor others of an exclusion constraint.
    private const string UniqueSql = """
        SELECT c.relname, ARRAY(
            SELECT CASE WHEN (k.oid IS NULL OR (SELECT oprname FROM pg_operator WHERE oid = k.conexclop[n]) = '=')
                         AND coalesce((SELECT collisdeterministic FROM pg_collation WHERE oid = i.indcollation[n - 1]), true) THEN i.indkey[n - 1]::int ELSE 0 END
            FROM generate_series(1, i.indnkeyatts) n)
        FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid LEFT JOIN pg_constraint k ON k.conindid = i.indexrelid AND k.contype = 'x'
        WHERE i.indrelid = $1::regclass AND (i.indisunique OR i.indisexclusion) ORDER BY c.relname
        """;

    private const string TriggersSql = """
        SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = $1::regclass AND NOT tgisinternal AND tgparentid = 0 AND tgname NOT LIKE '~~shardproxy%'
        ORDER BY tgname
        """;

    private const string PartitionsSql = """
        SELECT n.nspname, c.relname FROM pg_partition_tree($1::regclass) t JOIN pg_class c ON c.oid = t.relid JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE t.level > 0 ORDER BY t.level, n.nspname, c.relname
        """;

    private const string SettingsSql = """
        SELECT format('ALTER TABLE ONLY %s ALTER COLUMN %I SET STORAGE %s', $1::regclass, attname,
               CASE attstorage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END)
        FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped AND attstorage <> typstorage
        UNION ALL
        SELECT format('ALTER TABLE ONLY %s ALTER COLUMN %I SET COMPRESSION %s', $1::regclass, attname, CASE attcompression WHEN 'l' THEN 'lz4' ELSE 'pglz' END)
        FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped AND attcompression <> ''
        UNION ALL
        SELECT format('ALTER TABLE ONLY %s ALTER COLUMN %I SET STATISTICS %s', $1::regclass, attname, attstattarget)
        FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped AND attstattarget >= 0
        UNION ALL
        SELECT format('ALTER TABLE ONLY %s ALTER COLUMN %I SET (%s)', $1::regclass, attname, array_to_string(attoptions, ', '))
        FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped AND attoptions IS NOT NULL
        UNION ALL
        SELECT pg_get_statisticsobjdef(oid) FROM pg_statistic_ext WHERE stxrelid = $1::regclass
        UNION ALL
        SELECT format('ALTER TABLE ONLY %s REPLICA IDENTITY %s', $1::regclass, CASE relreplident WHEN 'f' THEN 'FULL' WHEN 'n' THEN 'NOTHING'
               ELSE format('USING INDEX %I', (SELECT ic.relname FROM pg_index i JOIN pg_class ic ON ic.oid = i.indexrelid WHERE i.indrelid = c.oid AND i.indisreplident)) END)
        FROM pg_class c WHERE oid = $1::regclass AND relkind = 'r' AND relreplident <> 'd'
        UNION ALL
        SELECT format('ALTER TABLE ONLY %s %s TRIGGER %I', $1::regclass, CASE tgenabled WHEN 'D' THEN 'DISABLE' WHEN 'A' THEN 'ENABLE ALWAYS' ELSE 'ENABLE REPLICA' END, tgname)
        FROM pg_trigger WHERE tgrelid = $1::regclass AND NOT tgisinternal AND tgenabled <> 'O' AND tgname NOT LIKE '~~shardproxy%'
        UNION ALL
        SELECT format('GRANT %s (%I) ON %s TO %s%s', x.privilege_type, a.attname, $1::regclass,
               CASE WHEN x.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(x.grantee)) END, CASE WHEN x.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
        FROM pg_attribute a, LATERAL aclexplode(a.attacl) x WHERE a.attrelid = $1::regclass AND NOT a.attisdropped AND a.attnum > 0
        """;

    private const string GrantsSql = """
        SELECT format('GRANT %s ON %s TO %s%s', x.privilege_type, $1::regclass::text,
                      CASE WHEN x.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(x.grantee)) END, CASE WHEN x.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
        FROM pg_class c, LATERAL aclexplode(c.relacl) x WHERE c.oid = $1::regclass AND x.grantee <> c.relowner
        """;

    /// <summary>The table's full name, or null when the home node has no such relation.</summary>
    public static async Task<QualifiedName?> ResolveAsync(NpgsqlConnection connection, string? schema, string name, CancellationToken cancellationToken)
    {
        var found = await connection.RowsAsync(NameSql, r => new QualifiedName(r.GetString(0), r.GetString(1)), cancellationToken, schema ?? "", name);
        return found.Count == 0 ? null : found[0];
    }

    /// <summary>A table's definition, with those of all partitions below it.</summary>
    public static async Task<TableDefinition> InspectAsync(NpgsqlConnection connection, QualifiedName name, CancellationToken cancellationToken)
    {
        var table = await InspectOneAsync(connection, name, cancellationToken);
        if (table.PartitionKeySql is null)
        {
            return table;
        }

        var partitions = ImmutableArray.CreateBuilder<TableDefinition>();
        foreach (var partition in await PartitionsAsync(connection, name, cancellationToken))
        {
            partitions.Add(await InspectOneAsync(connection, partition, cancellationToken));
        }

        return table with { Partitions = partitions.ToImmutable() };
    }

    /// <summary>All partitions below a partitioned table, parents before their partitions; none for another table.</summary>
    public static Task<List<QualifiedName>> PartitionsAsync(NpgsqlConnection connection, QualifiedName name, CancellationToken cancellationToken) =>
        connection.RowsAsync(PartitionsSql, r => new QualifiedName(r.GetString(0), r.GetString(1)), cancellationToken, name.ToString());

    private static async Task<TableDefinition> InspectOneAsync(NpgsqlConnection connection, QualifiedName name, CancellationToken cancellationToken)
    {
        var table = name.ToString();
        var head = (await connection.RowsAsync(
            TableSql,
            r => new TableDefinition
            {
                Name = name,
                Kind = r.GetChar(0),
                Persistence = r.GetChar(1),
                Inherits = r.GetBoolean(2),
                HasRowSecurity = r.GetBoolean(3),
                HasRules = r.GetBoolean(4),
                OwnerSql = r.GetString(5),
                Options = Text(r, 6),
                PartitionKeySql = Text(r, 7),
                BoundSql = Text(r, 8),
                Parent = r.IsDBNull(9) ? null : new QualifiedName(r.GetString(9), r.GetString(10)),
            },
            cancellationToken,
            table)).Single();
        return head with
        {
            Columns = await ColumnsAsync(connection, name, cancellationToken),
            Constraints = await NamedAsync(ConstraintsSql),
            ForeignKeys = await NamedAsync(ForeignKeysSql),
            References = await ForeignKeysAsync(connection, [name], cancellationToken),
            Indexes = await NamedAsync(IndexesSql),
            UniqueIndexes = [.. await connection.RowsAsync(
                UniqueSql, r => new UniqueIndex(r.GetString(0), [.. r.GetFieldValue<int[]>(1)]), cancellationToken, table)],
            Triggers = await NamedAsync(TriggersSql),
            Settings = [.. await connection.RowsAsync(SettingsSql, r => r.GetString(0), cancellationToken, table)],
            Grants = [.. await connection.RowsAsync(GrantsSql, r => r.GetString(0), cancellationToken, table)],
        };

        async Task<ImmutableArray<NamedDefinition>> NamedAsync(string sql) =>
            [.. await connection.RowsAsync(sql, r => new NamedDefinition(r.GetString(0), r.GetString(1)), cancellationToken, table)];
    }

    /// <summary>Columns in physical order, dropped ones left out.</summary>
    public static async Task<ImmutableArray<ColumnDefinition>> ColumnsAsync(NpgsqlConnection connection, QualifiedName name, CancellationToken cancellationToken) =>
    [
        .. await connection.RowsAsync(
            ColumnsSql,
            r => new ColumnDefinition(
                r.GetInt32(0), r.GetString(1), r.GetFieldValue<uint>(2), r.GetInt32(3), r.GetString(4), Text(r, 5), r.GetBoolean(6), r.GetBoolean(7), Text(r, 8),
                r.GetChar(9), r.GetBoolean(10), Text(r, 11), Text(r, 12), r.GetBoolean(13)),
            cancellationToken,
            name.ToString()),
    ];

    /// <summary>All foreign keys from or to the tables.</summary>
    public static async Task<ImmutableArray<ForeignKey>> ForeignKeysAsync(NpgsqlConnection connection, IReadOnlyCollection<QualifiedName> tables, CancellationToken cancellationToken) =>
        [.. await connection.RowsAsync(ForeignKey.Query(tables), r => ForeignKey.Parse(r.GetString(0)), cancellationToken)];

    private static string? Text(NpgsqlDataReader reader, int ordinal) => reader.IsDBNull(ordinal) ? null : reader.GetString(ordinal);
}
