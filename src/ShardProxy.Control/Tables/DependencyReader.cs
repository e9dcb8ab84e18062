using System.Collections.Immutable;
using System.Globalization;
using System.Text.RegularExpressions;
using Npgsql;
using ShardProxy.Control.Nodes;
using ShardProxy.Model.Topology;

namespace ShardProxy.Control.Tables;

/// <summary>
/// Finds what a table needs from pg_depend: types of its columns, functions of its defaults, checks, indexes and triggers, what those need in turn, and the
/// functions whose names stand in their bodies. The same SQL tells on a node what it has there, so that two texts can be compared. The connection's search_path
/// has to be pg_catalog alone, for names to come out in full.
/// </summary>
internal static partial class DependencyReader
{
    private const string ClosureSql = """
        WITH RECURSIVE need(classid, objid) AS (
            SELECT 'pg_class'::regclass::oid, $1::regclass::oid
            UNION SELECT 'pg_proc'::regclass::oid, p FROM unnest($2::text[]::oid[]) p
            UNION
            SELECT x.classid, x.objid FROM need n CROSS JOIN LATERAL (
                SELECT d.refclassid, d.refobjid FROM pg_depend d
                WHERE d.classid = n.classid AND d.objid = n.objid AND d.refobjid >= 16384
                  AND (d.deptype = 'e' OR NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = n.classid AND e.objid = n.objid AND e.deptype = 'e'))
                UNION
                SELECT d.classid, d.objid FROM pg_depend d
                WHERE d.refclassid = n.classid AND d.refobjid = n.objid AND d.deptype IN ('a', 'i') AND n.classid IN ('pg_class'::regclass, 'pg_type'::regclass)
                  AND (d.classid IN ('pg_attrdef'::regclass, 'pg_constraint'::regclass, 'pg_trigger'::regclass)
                       OR d.classid = 'pg_class'::regclass AND EXISTS (SELECT FROM pg_class i WHERE i.oid = d.objid AND i.relkind IN ('i', 'I', 'c')))
                  AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = n.classid AND e.objid = n.objid AND e.deptype = 'e')
            ) x(classid, objid)
            WHERE NOT (n.classid = 'pg_class'::regclass AND n.objid <> $1::regclass AND (SELECT relkind FROM pg_class WHERE oid = n.objid) NOT IN ('c', 'i', 'I')))
        SELECT DISTINCT classid, objid FROM need
        WHERE NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = need.classid AND e.objid = need.objid AND e.deptype = 'e')
        """;

    private const string TypeSql = """
        SELECT CASE t.typtype
            WHEN 'e' THEN format('CREATE TYPE %s AS ENUM (%s)', t.oid::regtype, (SELECT string_agg(quote_literal(enumlabel), ', ' ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = t.oid))
            WHEN 'c' THEN format('CREATE TYPE %s AS (%s)', t.oid::regtype, (SELECT string_agg(format('%I %s%s', attname, format_type(atttypid, atttypmod),
                CASE WHEN attcollation NOT IN (0, (SELECT typcollation FROM pg_type WHERE oid = atttypid)) THEN ' COLLATE ' || attcollation::regcollation ELSE '' END), ', ' ORDER BY attnum)
                FROM pg_attribute WHERE attrelid = t.typrelid AND attnum > 0 AND NOT attisdropped))
            WHEN 'd' THEN format('CREATE DOMAIN %s AS %s%s%s%s%s', t.oid::regtype, format_type(typbasetype, typtypmod),
                CASE WHEN typcollation NOT IN (0, (SELECT b.typcollation FROM pg_type b WHERE b.oid = t.typbasetype)) THEN ' COLLATE ' || typcollation::regcollation ELSE '' END,
                ' DEFAULT ' || pg_get_expr(typdefaultbin, 0), CASE WHEN typnotnull THEN ' NOT NULL' ELSE '' END,
                (SELECT string_agg(format(' CONSTRAINT %I %s', conname, pg_get_constraintdef(oid)), '' ORDER BY conname) FROM pg_constraint WHERE contypid = t.oid AND contype = 'c'))
            WHEN 'r' THEN (SELECT format('CREATE TYPE %s AS RANGE (SUBTYPE = %s, SUBTYPE_OPCLASS = %I.%I%s%s, MULTIRANGE_TYPE_NAME = %s)', t.oid::regtype, r.rngsubtype::regtype, n.nspname, o.opcname,
                CASE WHEN rngcollation <> 0 THEN ', COLLATION = ' || rngcollation::regcollation ELSE '' END, CASE WHEN rngsubdiff <> 0 THEN ', SUBTYPE_DIFF = ' || rngsubdiff ELSE '' END, rngmultitypid::regtype)
                FROM pg_range r JOIN pg_opclass o ON o.oid = rngsubopc JOIN pg_namespace n ON n.oid = opcnamespace WHERE rngtypid = t.oid AND rngcanonical = 0) END
        FROM pg_type t WHERE t.oid = $1::text::oid AND t.typisdefined AND (t.typtype <> 'c' OR (SELECT relkind FROM pg_class WHERE oid = t.typrelid) = 'c')
        """;

    private const string CollationSql = """
        SELECT format('CREATE COLLATION %s (PROVIDER = %s, %s, DETERMINISTIC = %s)', c.oid::regcollation, CASE j->>'collprovider' WHEN 'i' THEN 'icu' WHEN 'b' THEN 'builtin' ELSE 'libc' END,
            CASE WHEN j->>'collprovider' = 'c' THEN format('LC_COLLATE = %L, LC_CTYPE = %L', collcollate, collctype) ELSE format('LOCALE = %L', coalesce(j->>'colliculocale', j->>'colllocale')) END, j->>'collisdeterministic')
        FROM pg_collation c CROSS JOIN to_jsonb(c) j WHERE c.oid = $1::text::oid
        """;

    private const string ExtensionSql =
        "SELECT format('CREATE EXTENSION %I SCHEMA %I VERSION %L', extname, nspname, extversion) FROM pg_extension e JOIN pg_namespace n ON n.oid = extnamespace WHERE e.oid = $1::text::oid";

    private const string SchemasSql = """
        SELECT n.oid FROM pg_namespace n WHERE n.nspname NOT LIKE 'pg\_%' AND n.nspname NOT IN ('information_schema', 'shardproxy', 'shardproxy_catalog')
          AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_namespace'::regclass AND e.objid = n.oid AND e.deptype = 'e')
        """;

    // What superuser bits a role has is its home node's business too.
    private const string RolesSql = """
        WITH RECURSIVE need AS (
            SELECT refobjid AS oid FROM pg_shdepend WHERE refclassid = 'pg_authid'::regclass AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
              AND (classid, objid) IN (SELECT * FROM unnest($1::text[]::oid[], $2::text[]::oid[]))
            UNION SELECT m.roleid FROM need JOIN pg_auth_members m ON m.member = need.oid)
        SELECT quote_ident(rolname), format('CREATE ROLE %I %s %s %s %s %s %s %s CONNECTION LIMIT %s', rolname,
                CASE WHEN rolsuper THEN 'SUPERUSER' ELSE '' END, CASE WHEN rolcanlogin THEN 'LOGIN' ELSE '' END, CASE WHEN rolinherit THEN '' ELSE 'NOINHERIT' END,
                CASE WHEN rolcreaterole THEN 'CREATEROLE' ELSE '' END, CASE WHEN rolcreatedb THEN 'CREATEDB' ELSE '' END, CASE WHEN rolbypassrls THEN 'BYPASSRLS' ELSE '' END,
                ' PASSWORD ' || quote_literal(rolpassword), rolconnlimit),
            (SELECT array_agg(format('GRANT %I TO %I', p.rolname, a.rolname)) FROM pg_auth_members m JOIN pg_authid p ON p.oid = m.roleid WHERE m.member = a.oid)
        FROM pg_authid a WHERE oid IN (SELECT oid FROM need) AND oid >= 16384
        """;

    private const string OthersSql = """
        WITH o AS (
            SELECT 'pg_proc'::regclass::oid AS classid, oid, pronamespace AS nsp FROM pg_proc p WHERE prokind IN ('f', 'p', 'w')
                AND prolang NOT IN (SELECT oid FROM pg_language WHERE lanname IN ('internal', 'c')) AND NOT EXISTS (SELECT FROM pg_depend i WHERE i.classid = 'pg_proc'::regclass AND i.objid = p.oid AND i.deptype = 'i')
            UNION ALL SELECT 'pg_type'::regclass::oid, oid, typnamespace FROM pg_type WHERE typtype IN ('e', 'd', 'r') OR typtype = 'c' AND typrelid IN (SELECT oid FROM pg_class WHERE relkind = 'c')
            UNION ALL SELECT 'pg_collation'::regclass::oid, oid, collnamespace FROM pg_collation
            UNION ALL SELECT 'pg_extension'::regclass::oid, oid, 0 FROM pg_extension)
        SELECT classid, oid FROM o WHERE oid >= 16384 AND nsp NOT IN (SELECT oid FROM pg_namespace WHERE nspname IN ('shardproxy', 'shardproxy_catalog', 'information_schema'))
          AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = o.classid AND e.objid = o.oid AND e.deptype = 'e') ORDER BY oid
        """;

    private const string BodiesSql = """
        SELECT p.oid, p.proname, CASE WHEN p.prosqlbody IS NULL THEN p.prosrc ELSE pg_get_functiondef(p.oid) END FROM pg_proc p
        WHERE p.oid >= 16384 AND p.prokind IN ('f', 'p') AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_proc'::regclass AND e.objid = p.oid AND e.deptype = 'e')
          AND p.pronamespace NOT IN (SELECT oid FROM pg_namespace WHERE nspname IN ('shardproxy', 'shardproxy_catalog'))
        """;

    /// <summary>All that a table needs, and every schema, so that a search_path means the same everywhere.</summary>
    public static async Task<ImmutableArray<TableDependency>> ReadAsync(NpgsqlConnection home, TableDefinition table, CancellationToken cancellationToken)
    {
        // What a partition needs beside what its table does.
        var found = new List<TableDependency>();
        foreach (var part in table.Tree)
        {
            found.AddRange(await ReadAsync(home, part.Name, cancellationToken));
        }

        return [.. found.GroupBy(d => (d.Kind, d.Noun, d.Identity)).Select(g => g.OrderBy(d => d.IsOptional).First()).OrderBy(d => d.Kind)];
    }

    private static async Task<ImmutableArray<TableDependency>> ReadAsync(NpgsqlConnection home, QualifiedName table, CancellationToken cancellationToken)
    {
        var bodies = await home.RowsAsync(BodiesSql, r => (Oid: r.GetFieldValue<uint>(0), Name: r.GetString(1), Source: r.GetString(2)), cancellationToken);
        var called = new HashSet<uint>();
        List<(uint Class, uint Object)> closure;
        while (true)
        {
            closure = await home.RowsAsync(ClosureSql, r => (r.GetFieldValue<uint>(0), r.GetFieldValue<uint>(1)), cancellationToken, table.ToString(), Texts(called));
            var words = bodies.Where(b => closure.Any(c => c.Object == b.Oid)).SelectMany(b => Word().Matches(b.Source).Select(m => m.Value)).ToHashSet(StringComparer.OrdinalIgnoreCase);
            var before = called.Count;
            called.UnionWith(bodies.Where(b => words.Contains(b.Name)).Select(b => b.Oid));
            if (called.Count == before)
            {
                break;
            }
        }

        // Statements on one node may use any function or type; what of them needs an unsharded table stays at home.
        var others = await home.RowsAsync(OthersSql, r => (Class: r.GetFieldValue<uint>(0), Object: r.GetFieldValue<uint>(1)), cancellationToken);
        var schemas = await home.RowsAsync(SchemasSql, r => r.GetFieldValue<uint>(0), cancellationToken);
        var namespaces = await home.ScalarAsync<uint>("SELECT 'pg_namespace'::regclass::oid", cancellationToken);
        var all = closure.Concat(schemas.Select(s => (Class: namespaces, Object: s))).Distinct().ToList();
        var found = ImmutableArray.CreateBuilder<TableDependency>();
        found.AddRange(await home.RowsAsync(
            RolesSql,
            r => new TableDependency(DependencyKind.Role, r.GetString(0), "ROLE", r.GetString(1), r.IsDBNull(2) ? [] : [.. r.GetFieldValue<string[]>(2)]),
            cancellationToken,
            Texts(all.Select(o => o.Class)),
            Texts(all.Select(o => o.Object))));
        foreach (var (classId, objectId) in all.Concat(others.Except(all)))
        {
            if (await ReadAsync(home, Text(classId), Text(objectId), cancellationToken) is { } dependency)
            {
                found.Add(dependency with { IsOptional = !all.Contains((classId, objectId)) });
            }
        }

        return [.. found.OrderBy(d => d.Kind)];
    }

    /// <summary>The text that makes an object, as this server has it; null when it has none of that identity.</summary>
    public static async Task<string?> DefinitionAsync(NpgsqlConnection connection, TableDependency dependency, CancellationToken cancellationToken)
    {
        var (lookup, sql) = dependency.Kind switch
        {
            DependencyKind.Type => ("to_regtype($1)::oid", TypeSql),
            DependencyKind.Function => ("to_regprocedure($1)::oid", "SELECT pg_get_functiondef($1::text::oid)"),
            DependencyKind.Collation => ("to_regcollation($1)::oid", CollationSql),
            DependencyKind.Extension => ("(SELECT oid FROM pg_extension WHERE quote_ident(extname) = $1)", ExtensionSql),
            DependencyKind.Schema => ("to_regnamespace($1)::oid", ""),
            _ => ("to_regrole($1)::oid", ""),
        };
        if (await connection.ScalarAsync<uint>($"SELECT coalesce({lookup}, 0)", cancellationToken, dependency.Identity) is not (> 0 and var oid))
        {
            return null;
        }

        // A schema or role of that name is as good as any other.
        return sql.Length == 0 ? dependency.CreateSql : await connection.ScalarAsync<string>(sql, cancellationToken, Text(oid)) ?? "";
    }

    private static async Task<TableDependency?> ReadAsync(NpgsqlConnection home, string classId, string objectId, CancellationToken cancellationToken)
    {
        var (type, identity, catalog) = (await home.RowsAsync(
            "SELECT type, identity, $1::text::oid::regclass::text FROM pg_identify_object($1::text::oid, $2::text::oid, 0)", r => (r.GetString(0), r.GetString(1), r.GetString(2)), cancellationToken, classId, objectId)).Single();
        switch (catalog)
        {
            case "pg_namespace":
                return new TableDependency(DependencyKind.Schema, identity, "SCHEMA", $"CREATE SCHEMA {identity}", await RightsAsync("SCHEMA", "nspowner", "nspacl"));
            case "pg_extension":
                return new TableDependency(DependencyKind.Extension, identity, "EXTENSION", (await home.ScalarAsync<string>(ExtensionSql, cancellationToken, objectId))!, []);
            case "pg_collation":
                return new TableDependency(DependencyKind.Collation, identity, "COLLATION", (await home.ScalarAsync<string>(CollationSql, cancellationToken, objectId))!, []);
            case "pg_type" when await home.ScalarAsync<string>(TypeSql, cancellationToken, objectId) is { } definition:
                var noun = definition.StartsWith("CREATE DOMAIN", StringComparison.Ordinal) ? "DOMAIN" : "TYPE";
                return new TableDependency(DependencyKind.Type, identity, noun, definition, await RightsAsync(noun, "typowner", "typacl"));
            case "pg_type" when await home.ScalarAsync<bool>(
                "SELECT typelem <> 0 AND typsubscript = 'array_subscript_handler'::regproc OR typtype = 'm' OR typrelid = (SELECT oid FROM pg_class WHERE oid = typrelid AND relkind = 'c') FROM pg_type WHERE oid = $1::text::oid", cancellationToken, objectId):
                return null;
            case "pg_proc" when await home.ScalarAsync<bool>("SELECT prokind IN ('f', 'p', 'w') FROM pg_proc WHERE oid = $1::text::oid", cancellationToken, objectId):
                var routine = type == "procedure" ? "PROCEDURE" : "FUNCTION";
                return new TableDependency(
                    DependencyKind.Function, identity, routine, (await home.ScalarAsync<string>("SELECT pg_get_functiondef($1::text::oid)", cancellationToken, objectId))!, await RightsAsync(routine, "proowner", "proacl"));
            case "pg_class" or "pg_attrdef" or "pg_constraint" or "pg_trigger" or "pg_rewrite" or "pg_publication_rel" or "pg_statistic_ext":
                // The table's own parts; other tables, indexes and sequences are no things to be made here.
                return null;
            default:
                return new TableDependency(DependencyKind.Other, identity, type, "", []);
        }

        async Task<ImmutableArray<string>> RightsAsync(string noun, string owner, string acl)
        {
            var rows = await home.RowsAsync(
                $"""
                SELECT quote_ident(pg_get_userbyid({owner})), {acl} IS NOT NULL,
                    (SELECT array_agg(format('GRANT %s ON {noun} %s TO %s%s', x.privilege_type, $2, CASE WHEN x.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(x.grantee)) END,
                        CASE WHEN x.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)) FROM aclexplode({acl}) x WHERE x.grantee <> {owner})
                FROM {catalog} WHERE oid = $1::text::oid
                """,
                r => (Owner: r.GetString(0), HasRights: r.GetBoolean(1), Grants: r.IsDBNull(2) ? [] : r.GetFieldValue<string[]>(2)),
                cancellationToken,
                objectId,
                identity);
            var (ownerName, hasRights, grants) = rows.Single();
            string[] revoked = hasRights ? [$"REVOKE ALL ON {noun} {identity} FROM PUBLIC"] : [];
            return [$"ALTER {noun} {identity} OWNER TO {ownerName}", .. revoked, .. grants];
        }
    }

    private static string Text(uint oid) => oid.ToString(CultureInfo.InvariantCulture);

    private static string[] Texts(IEnumerable<uint> oids) => [.. oids.Select(Text)];

    [GeneratedRegex(@"[\p{L}_][\p{L}\p{Nd}_$]*", RegexOptions.CultureInvariant)]
    private static partial Regex Word();
}
