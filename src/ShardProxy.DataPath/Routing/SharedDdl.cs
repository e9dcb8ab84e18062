using System.Text.RegularExpressions;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Topology;
using ShardProxy.Sql;

namespace ShardProxy.DataPath.Routing;

/// <summary>
/// Plans of DDL about what tables use rather than tables: schemas, types, functions, extensions, operators, collations, rights. Once a table is placed every
/// node has them, so that a statement means the same on each. What refers to something that only the home node has (a function on an unsharded table's
/// type, an index of an unsharded table) stays at home: a node that lacks both the object and what it needs is passed over.
/// </summary>
internal static partial class SharedDdl
{
    /// <summary>A plan, or null when the statement is about something else.</summary>
    public static RoutePlan? TryPlan(StatementShape shape, UtilitySummary utility, RoutingTable table, PlacedTable?[] placed)
    {
        if (!IsShared(utility.Object) || placed.Any(p => p is not null) || utility.IsTemporary || utility.Names.Any(n => n.Schema == "pg_temp"))
        {
            return null;
        }

        if (utility is { Object: UtilityObject.Schema, Verb: UtilityVerb.Rename } && table.Tables.Any(t => utility.Names.Any(n => n.Name == t.Name.Schema)))
        {
            // Placed tables are known by their names.
            return RoutePlanner.Refuse(table, RoutingErrors.Unsupported);
        }

        var isNew = utility.Verb is UtilityVerb.Create or UtilityVerb.Grant or UtilityVerb.Comment;
        return RoutePlanner.Simple(table, shape.ForbidsTransactionBlock ? RouteKind.BroadcastOutside : RouteKind.BroadcastInTransaction, isWrite: true) with
        {
            OtherNodesSql = OtherNodesSql(shape, utility),
            IsShared = true,
            WaitsForMoves = !isNew,
            ChangesSchema = utility.Verb is not (UtilityVerb.Grant or UtilityVerb.Comment),
        };
    }

    private static bool IsShared(UtilityObject kind) => kind is UtilityObject.Schema or UtilityObject.Type or UtilityObject.Function or UtilityObject.Extension
        or UtilityObject.Code or UtilityObject.Privileges or UtilityObject.Index;

    // DROP of several objects of which some are the home node's alone; the elements of CREATE SCHEMA, which are tables and views.
    private static string? OtherNodesSql(StatementShape shape, UtilitySummary utility)
    {
        if (shape.LiteralCount > 0 || shape.ParameterCount > 0 || shape.Text.EndsWith('…'))
        {
            return null;
        }

        if (utility.Verb == UtilityVerb.Drop && !utility.IfExists && DropHead().Match(shape.Text) is { Success: true } head)
        {
            return $"{head.Value} if exists{shape.Text[head.Length..]}";
        }

        return utility is { Object: UtilityObject.Schema, Verb: UtilityVerb.Create } && SchemaHead().Match(shape.Text) is { Success: true } schema ? schema.Value : null;
    }

    [GeneratedRegex("""^drop (schema|type|domain|function|procedure|routine|aggregate|operator class|operator family|operator|extension|cast|collation|conversion|(trusted |procedural )*language|transform|access method|text search (configuration|dictionary|parser|template)|statistics)(?= )""", RegexOptions.CultureInvariant)]
    private static partial Regex DropHead();

    [GeneratedRegex("""^create schema( if not exists)?( (?!authorization\b)("([^"]|"")*"|[^\s";]+))?( authorization ("([^"]|"")*"|[^\s";]+))?""", RegexOptions.CultureInvariant)]
    private static partial Regex SchemaHead();
}
