using System.Collections.Immutable;
using Npgsql;
using ShardProxy.Control.Nodes;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Topology;

namespace ShardProxy.Control.Schema;

/// <summary>Reads the queries of views from the home node, and who may read what they read.</summary>
internal static class ViewReader
{
    private const int MaxSqlChars = 65_536;

    private const string Sql = """
        WITH RECURSIVE below(view, oid) AS (
            SELECT c.oid, c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            JOIN unnest($1::text[], $2::text[]) AS w(nsp, rel) ON w.nsp = n.nspname AND w.rel = c.relname WHERE c.relkind = 'v'
            UNION
            SELECT b.view, p.refobjid FROM below b JOIN pg_rewrite r ON r.ev_class = b.oid AND r.rulename = '_RETURN'
            JOIN pg_depend p ON p.classid = 'pg_rewrite'::regclass AND p.objid = r.oid AND p.refclassid = 'pg_class'::regclass AND p.refobjid <> b.oid)
        SELECT n.nspname, c.relname, rtrim(pg_get_viewdef(c.oid), ';'),
            ARRAY(SELECT a.rolname::text FROM pg_roles a WHERE a.rolcanlogin
                AND NOT EXISTS (SELECT FROM below b WHERE b.view = c.oid AND NOT has_table_privilege(a.oid, b.oid, 'SELECT')) ORDER BY 1)
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid IN (SELECT view FROM below) ORDER BY 1, 2
        """;

    /// <param name="home">With search_path pg_catalog alone: names come out in full.</param>
    /// <param name="views">Views and materialised views; the latter are left out.</param>
    /// <param name="cancellationToken">Ends the call.</param>
    public static async Task<ImmutableArray<ViewDefinition>> ReadAsync(NpgsqlConnection home, ImmutableArray<QualifiedName> views, CancellationToken cancellationToken) =>
        views.IsEmpty ? [] :
        [
            .. (await home.RowsAsync(
                Sql,
                r => new ViewDefinition(new QualifiedName(r.GetString(0), r.GetString(1)), r.GetString(2), [.. r.GetFieldValue<string[]>(3)]),
                cancellationToken,
                views.Select(v => v.Schema).ToArray(),
                views.Select(v => v.Name).ToArray())).Where(v => v.Sql.Length <= MaxSqlChars),
        ];
}
