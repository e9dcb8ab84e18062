using System.Collections.Frozen;
using System.Collections.Immutable;
using ShardProxy.DataPath.Sessions;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Topology;
using ShardProxy.Sql;

namespace ShardProxy.DataPath.Routing;

/// <summary>
/// Which statements may be finished by PostgreSQL on rows that were gathered from several nodes. The statement runs unchanged, so that any of PostgreSQL's
/// own meanings hold; refused is only what depends on where a row lies, on the session's server, or does something besides reading.
/// </summary>
internal static class GatherPlanner
{
    // Of PostgreSQL's own functions those that depend on the session or the server, run SQL given as text, or change something.
    private static readonly FrozenSet<string> Excluded = FrozenSet.Create(
        StringComparer.Ordinal,
        "currtid2", "currval", "cursor_to_xml", "cursor_to_xmlschema", "cursor_to_xml_and_xmlschema", "database_to_xml", "database_to_xml_and_xmlschema",
        "database_to_xmlschema", "inet_client_addr", "inet_client_port", "inet_server_addr", "inet_server_port", "lastval", "loread", "lowrite", "nextval",
        "query_to_xml", "query_to_xml_and_xmlschema", "query_to_xmlschema", "schema_to_xml", "schema_to_xml_and_xmlschema", "schema_to_xmlschema",
        "set_config", "setseed", "setval", "table_to_xml", "table_to_xml_and_xmlschema", "table_to_xmlschema", "ts_rewrite", "ts_stat");

    private static readonly string[] ExcludedPrefixes = ["pg_", "lo_", "txid_", "binary_upgrade_"];

    /// <summary>A plan, or null when the statement cannot be carried out this way.</summary>
    public static RoutePlan? TryPlan(StatementShape shape, RoutingTable table, PlacedTable?[] placed)
    {
        if (shape.Gather is not { HasSystemColumns: false, HasLongNames: false } || shape.Unsupported is not null || !(shape.Kind == StatementKind.Select || IsOpen(shape)))
        {
            return null;
        }

        if (shape.Relations.Any(r => placed[r.Index] is not null && (r.HasTableSample || r.Role != RelationRole.Read)))
        {
            return null;
        }

        // A gathered row has another type than its table's.
        if (!shape.Functions.All(f => IsAllowed(f) || table.Schema.IsPureFunction(f.Name)) || (shape.Gather.HasStar && shape.Functions.Any(f => f.Name == "pg_typeof")))
        {
            return null;
        }

        var tables = placed.OfType<PlacedTable>().Distinct().ToImmutableArray();

        // A function of the user's need not be on every node, nor the same there.
        var isColocated = shape.Partial is not null && shape.Functions.All(IsAllowed) && Colocation.Holds(shape, placed);
        if (shape.HasRowLocking && !(isColocated && shape.Partial!.Kind == PartialKind.Locked))
        {
            return null;
        }

        var gather = RoutePlanner.Simple(table, RouteKind.Gather, isWrite: false) with
        {
            Tables = tables,
            IsPartial = isColocated && shape.Partial!.Kind != PartialKind.Rows,
            GroupId = tables.FirstOrDefault(t => t.Placement == TablePlacement.Sharded)?.GroupId ?? 0,
        };
        if (shape.Enclosed is not null)
        {
            return gather with { Kind = RouteKind.Enclosed };
        }

        return isColocated && shape.Partial!.Kind == PartialKind.Rows ? gather with { Kind = RouteKind.Scatter, Otherwise = gather } : gather;
    }

    // Data that goes to a file would go to the home node's.
    private static bool IsOpen(StatementShape shape) => shape.Enclosed is { HasOwnForm: false } && shape.Copy is null or { IsStdio: true };

    /// <summary>One of PostgreSQL's own functions that only computes.</summary>
    internal static bool IsAllowed(FunctionUse function) =>
        function.Schema is null or "pg_catalog"
        && BuiltinFunctions.Contains(function.Name)
        && !Excluded.Contains(function.Name)
        && (function.Name == "pg_typeof" || !Array.Exists(ExcludedPrefixes, p => function.Name.StartsWith(p, StringComparison.Ordinal)));
}
