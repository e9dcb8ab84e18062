using ShardProxy.Model.Errors;
using ShardProxy.Model.Routing;
using ShardProxy.Sql;

namespace ShardProxy.DataPath.Routing;

/// <summary>Statements that run code out of the proxy's sight which names placed tables: triggers and the like of what they write, queries of materialised views.</summary>
internal static class OpaqueCode
{
    /// <summary>The refusal, or null.</summary>
    public static ShardProxyError? Refusal(StatementShape shape, RoutingTable table, bool defaultSearchPath)
    {
        if (shape is { Kind: StatementKind.OtherDdl, Utility: { Object: UtilityObject.MaterializedView, Verb: UtilityVerb.Create or UtilityVerb.Other } }
            && shape.Relations.Any(r => RelationResolver.Resolve(table, r.Schema, r.Name, defaultSearchPath, out _) != RelationClass.Unsharded))
        {
            return RoutingErrors.OpaqueResult;
        }

        if (table.Schema.OpaqueTargets.IsEmpty)
        {
            return null;
        }

        foreach (var relation in shape.Relations)
        {
            var isWritten = relation.Role is RelationRole.Insert or RelationRole.Update or RelationRole.Delete or RelationRole.Merge
                || (relation.Role == RelationRole.Utility && (shape.Kind == StatementKind.Truncate || shape.Copy is { IsFrom: true }));
            if (isWritten && table.Schema.IsOpaqueTarget(relation.Schema ?? (defaultSearchPath ? RelationResolver.DefaultSchema : null), relation.Name))
            {
                return RoutingErrors.OpaqueTarget;
            }
        }

        return null;
    }
}
