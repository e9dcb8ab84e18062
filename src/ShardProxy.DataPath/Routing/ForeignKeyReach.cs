using System.Collections.Immutable;
using ShardProxy.Model.Errors;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Topology;
using ShardProxy.Sql;

namespace ShardProxy.DataPath.Routing;

/// <summary>
/// What a write has to do with foreign keys beyond its own tables. Where a parent's rows are deleted, or get other values in referenced columns, PostgreSQL looks
/// for children on each node, and what it finds has to be whole (DESIGN section 5): rows that move must not be there twice, and no child may be elsewhere.
/// </summary>
/// <param name="Refusal">A check would be needed that nobody can make yet; SHP-627.</param>
/// <param name="Groups">Groups of tables whose rows are looked for, or written, on every node: none of their ranges may move meanwhile.</param>
/// <param name="IsChanging">One of those tables is being placed.</param>
internal sealed record ForeignKeyReach(ShardProxyError? Refusal, ImmutableArray<int> Groups, bool IsChanging)
{
    private static readonly ForeignKeyReach None = new(null, [], false);

    public static ForeignKeyReach Of(StatementShape shape, RoutingTable table, bool defaultSearchPath)
    {
        if (table.Schema.ForeignKeys.IsEmpty)
        {
            return None;
        }

        ShardProxyError? refusal = null;
        var reached = new HashSet<QualifiedName>();
        foreach (var relation in shape.Relations)
        {
            if (!table.Schema.IsInForeignKey(relation.Name) || Parts(shape, relation) is not { } parts)
            {
                continue;
            }

            foreach (var key in table.Schema.ForeignKeys)
            {
                if (parts.Stores is { } stored && IsNamed(key.Child) && (stored.IsEmpty || key.ChildColumns.Any(c => stored.Contains(c))))
                {
                    refusal ??= Waiting(key, table);
                }

                if (parts.Removes is { } removed && IsNamed(key.Parent) && (removed.IsEmpty || key.ParentColumns.Any(c => removed.Contains(c))))
                {
                    reached.Add(key.Parent);
                }
            }

            bool IsNamed(QualifiedName name) => name.Name == relation.Name && (relation.Schema ?? (defaultSearchPath ? RelationResolver.DefaultSchema : name.Schema)) == name.Schema;
        }

        return reached.Count == 0 ? refusal is null ? None : None with { Refusal = refusal } : Follow(table, reached, refusal, checksWaiting: shape.Kind is not (StatementKind.Truncate or StatementKind.DropTable));
    }

    // From parents to their children, and on where those are written too.
    private static ForeignKeyReach Follow(RoutingTable table, HashSet<QualifiedName> reached, ShardProxyError? refusal, bool checksWaiting)
    {
        var groups = new SortedSet<int>();
        var isChanging = false;
        var waiting = new Queue<QualifiedName>(reached);
        while (waiting.TryDequeue(out var parent))
        {
            foreach (var key in table.Schema.ForeignKeys.Where(k => k.Parent == parent))
            {
                if (checksWaiting)
                {
                    refusal ??= Waiting(key, table);
                }

                var child = table.FindTable(key.Child);
                isChanging |= child is { IsChanging: true };
                if (child is { Placement: TablePlacement.Sharded } && table.FindTable(parent) is not { Placement: TablePlacement.Sharded })
                {
                    groups.Add(child.GroupId);
                }

                // TRUNCATE … CASCADE asks no constraint for its actions.
                if ((key.Cascades || !checksWaiting) && reached.Add(key.Child))
                {
                    waiting.Enqueue(key.Child);
                }
            }
        }

        return new ForeignKeyReach(refusal, [.. groups], isChanging);
    }

    private static ShardProxyError? Waiting(ForeignKey key, RoutingTable table) =>
        ForeignKeyRule.Judge(key, table.FindTable(key.Child), table.FindTable(key.Parent), out var error) == ForeignKeyVerdict.Waits ? error : null;

    // The columns whose values come (as a child) or go (as a parent); empty ones stand for all, null for none.
    private static (ImmutableArray<string>? Stores, ImmutableArray<string>? Removes)? Parts(StatementShape shape, RelationUse relation) => relation.Role switch
    {
        RelationRole.Insert => ([], shape.Insert is { } insert && !shape.HasModifyingCte
            ? insert.ConflictUpdateColumns.IsEmpty ? null : insert.ConflictUpdateColumns
            : ImmutableArray<string>.Empty),
        RelationRole.Update => shape.Update is { AssignedColumns: { IsEmpty: false } assigned } && !shape.HasModifyingCte ? (assigned, assigned) : ([], []),
        RelationRole.Delete => (null, []),
        RelationRole.Merge => ([], []),
        RelationRole.Utility when shape.Kind is StatementKind.Truncate or StatementKind.DropTable => (null, []),
        RelationRole.Utility when shape.Copy is { IsFrom: true } => ([], null),
        _ => null,
    };
}
