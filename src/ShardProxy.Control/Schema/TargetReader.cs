using System.Collections.Immutable;
using Npgsql;
using ShardProxy.Control.Nodes;
using ShardProxy.Model.Topology;

namespace ShardProxy.Control.Schema;

/// <summary>
/// Finds the relations, placed or not, whose writing runs code that names placed tables: by a trigger, a default, a check or a policy with such a function, or by
/// a rule. One node would carry that out on its own rows.
/// </summary>
internal static class TargetReader
{
    private const string Sql = """
        WITH opaque AS (SELECT oid FROM pg_proc WHERE proname = ANY ($1::text[]) AND pronamespace NOT IN (SELECT oid FROM pg_namespace WHERE nspname IN ('pg_catalog', 'shardproxy', 'shardproxy_catalog'))),
        target AS (
            SELECT tgrelid AS oid FROM pg_trigger WHERE tgfoid IN (SELECT oid FROM opaque) AND tgenabled <> 'D'
            UNION SELECT d.adrelid FROM pg_depend p JOIN pg_attrdef d ON p.classid = 'pg_attrdef'::regclass AND p.objid = d.oid WHERE p.refclassid = 'pg_proc'::regclass AND p.refobjid IN (SELECT oid FROM opaque)
            UNION SELECT k.conrelid FROM pg_depend p JOIN pg_constraint k ON p.classid = 'pg_constraint'::regclass AND p.objid = k.oid WHERE p.refclassid = 'pg_proc'::regclass AND p.refobjid IN (SELECT oid FROM opaque)
            UNION SELECT y.polrelid FROM pg_depend p JOIN pg_policy y ON p.classid = 'pg_policy'::regclass AND p.objid = y.oid WHERE p.refclassid = 'pg_proc'::regclass AND p.refobjid IN (SELECT oid FROM opaque)
            UNION SELECT r.ev_class FROM pg_depend p JOIN pg_rewrite r ON p.classid = 'pg_rewrite'::regclass AND p.objid = r.oid AND r.ev_type <> '1' AND r.ev_enabled <> 'D'
            WHERE p.refclassid = 'pg_proc'::regclass AND p.refobjid IN (SELECT oid FROM opaque)
               OR p.refclassid = 'pg_class'::regclass AND p.refobjid <> r.ev_class AND p.refobjid IN (
                   SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN unnest($2::text[], $3::text[]) AS w(nsp, rel) ON w.nsp = n.nspname AND w.rel = c.relname))
        SELECT DISTINCT n.nspname, c.relname FROM target t JOIN pg_class c ON c.oid = t.oid JOIN pg_namespace n ON n.oid = c.relnamespace ORDER BY 1, 2
        """;

    /// <param name="home">With search_path pg_catalog alone.</param>
    /// <param name="placed">The placed tables.</param>
    /// <param name="functions">Names of functions whose bodies name them.</param>
    /// <param name="cancellationToken">Ends the call.</param>
    public static async Task<ImmutableArray<QualifiedName>> ReadAsync(
        NpgsqlConnection home, IReadOnlyCollection<QualifiedName> placed, ImmutableArray<string> functions, CancellationToken cancellationToken) =>
    [
        .. await home.RowsAsync(
            Sql,
            r => new QualifiedName(r.GetString(0), r.GetString(1)),
            cancellationToken,
            functions.ToArray(),
            placed.Select(n => n.Schema).ToArray(),
            placed.Select(n => n.Name).ToArray()),
    ];
}
