using ShardProxy.Model.Routing;
using ShardProxy.Model.Topology;
using ShardProxy.Sql;

namespace ShardProxy.DataPath.Routing;

/// <summary>What a relation name in a statement stands for.</summary>
internal enum RelationClass
{
    Unsharded,
    Placed,

    /// <summary>A view or the like over placed tables.</summary>
    Opaque,

    /// <summary>A placed name without schema under a search_path the proxy cannot resolve.</summary>
    Ambiguous,
}

/// <summary>Resolves relation names against the routing table. Unqualified names mean schema public, as under the default search_path.</summary>
internal static class RelationResolver
{
    /// <summary>The schema of unqualified names.</summary>
    public const string DefaultSchema = "public";

    public static RelationClass Resolve(RoutingTable table, string? schema, string name, bool defaultSearchPath, out PlacedTable? placed)
    {
        placed = null;
        if (!table.IsPlacedName(name))
        {
            return RelationClass.Unsharded;
        }

        if (schema is null && !defaultSearchPath)
        {
            return RelationClass.Ambiguous;
        }

        var qualified = new QualifiedName(schema ?? DefaultSchema, name);
        placed = table.FindTable(qualified);
        if (placed is not null)
        {
            return RelationClass.Placed;
        }

        return table.OpaqueRelations.Contains(qualified) ? RelationClass.Opaque : RelationClass.Unsharded;
    }

    /// <summary>True when every node has all tables that the statement names, as far as is known. What a prepared statement of SQL names is not.</summary>
    public static bool AreEverywhere(RoutingTable table, StatementShape shape, bool defaultSearchPath)
    {
        foreach (var relation in shape.Relations)
        {
            if (Resolve(table, relation.Schema, relation.Name, defaultSearchPath, out _) != RelationClass.Placed)
            {
                return false;
            }
        }

        // A literal that means a relation (nextval('s'), 's'::regclass) is looked up when the statement is read.
        return shape.Prepared is null && !shape.Functions.Any(f => f.Name is "nextval" or "currval" or "setval") && !shape.Text.Contains("regclass", StringComparison.OrdinalIgnoreCase);
    }
}
