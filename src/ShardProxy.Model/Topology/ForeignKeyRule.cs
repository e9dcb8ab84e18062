using System.Collections.Immutable;
using ShardProxy.Model.Errors;

namespace ShardProxy.Model.Topology;

/// <summary>What becomes of a foreign key where its tables are.</summary>
public enum ForeignKeyVerdict
{
    /// <summary>Each node can check it, and act on it, for its own rows.</summary>
    Kept,

    /// <summary>
    /// An unsharded table references a sharded one by its key: nobody can check it until the table is sharded beside the other. Until then what would need a
    /// check is refused.
    /// </summary>
    Waits,

    /// <summary>It cannot be kept.</summary>
    Refused,
}

/// <summary>
/// Which foreign keys PostgreSQL's own checks keep over several nodes: those whose two rows are on one node always, because the parent is on all of them, or
/// because both tables are of one group and the constraint holds their whole keys together.
/// </summary>
public static class ForeignKeyRule
{
    /// <param name="key">The constraint.</param>
    /// <param name="child">Where its referencing table is; null for an unsharded one.</param>
    /// <param name="parent">Where its referenced table is; null for an unsharded one.</param>
    /// <param name="error">SHP-627 when it is refused, or as a statement gets it that would need a check while it waits.</param>
    public static ForeignKeyVerdict Judge(ForeignKey key, PlacedTable? child, PlacedTable? parent, out ShardProxyError? error)
    {
        ArgumentNullException.ThrowIfNull(key);
        error = null;
        switch (child?.Placement, parent?.Placement)
        {
            case (null, null or TablePlacement.Replicated):
                return ForeignKeyVerdict.Kept;
            case ({ } own, null):
                error = Error(key, $"{key.Parent} is on the home node only", own == TablePlacement.Replicated
                    ? $"First REPLICATE TABLE {key.Parent}, or drop the constraint."
                    : $"First REPLICATE TABLE {key.Parent}, or shard it by the referenced column; or drop the constraint.");
                return ForeignKeyVerdict.Refused;
            case (TablePlacement.Replicated, TablePlacement.Sharded):
                error = Error(key, $"rows of {key.Child} are on every node, and those of {key.Parent} are not", "Drop the constraint, or shard the referencing table beside the other.");
                return ForeignKeyVerdict.Refused;
            case (null, TablePlacement.Sharded):
                return JudgeWaiting(key, parent!, out error);
            case (TablePlacement.Sharded, TablePlacement.Sharded) when child!.GroupId != parent!.GroupId:
                error = Error(key, "the two tables are not in one group", "Shard the referencing table by the referencing column with COLOCATE WITH, replicate the referenced one, or drop the constraint.");
                return ForeignKeyVerdict.Refused;
            case (TablePlacement.Sharded, TablePlacement.Sharded) when !IsOnKeys(key, child!, parent!):
                error = Error(key, "it does not have the shard keys of both tables, column for column", "Add the keys to it (and to the unique constraint it references), replicate the referenced table, or drop it.");
                return ForeignKeyVerdict.Refused;
        }

        if (child!.Placement == TablePlacement.Sharded && ChangesKey(key, child, parent!))
        {
            error = Error(key, "an action of it would set the shard key of rows, which then were on the wrong node", "Use NO ACTION, RESTRICT, CASCADE of deletions, or SET NULL of other columns.");
            return ForeignKeyVerdict.Refused;
        }

        if (child.Placement == TablePlacement.Replicated && key.HasMovingDefault && (key.OnDelete == 'd' || key.OnUpdate == 'd'))
        {
            error = Error(key, "SET DEFAULT would give each node another value", "Use a constant as the column's default, or another action.");
            return ForeignKeyVerdict.Refused;
        }

        return ForeignKeyVerdict.Kept;
    }

    private static ForeignKeyVerdict JudgeWaiting(ForeignKey key, PlacedTable parent, out ShardProxyError? error)
    {
        var columns = KeyOf(parent).Select(k => key.ParentColumns.IndexOf(k) is >= 0 and var at ? key.ChildColumns[at] : null).ToList();
        if (columns.Contains(null))
        {
            error = Error(key, $"it does not have the shard key of {key.Parent}", "Drop it, choose the shard key from the referenced columns, or replicate the referenced table.");
            return ForeignKeyVerdict.Refused;
        }

        error = Error(
            key,
            $"{key.Parent} is sharded, and {key.Child} is not yet",
            $"SHARD TABLE {key.Child} BY … ({string.Join(", ", columns.Select(c => SqlIdentifier.Quote(c!)))}) COLOCATE WITH {key.Parent} on the console; or drop the constraint.");
        return ForeignKeyVerdict.Waits;
    }

    private static bool IsOnKeys(ForeignKey key, PlacedTable child, PlacedTable parent) =>
        KeyOf(child).Zip(KeyOf(parent)).All(pair => key.ChildColumns.IndexOf(pair.First) is >= 0 and var at && key.ParentColumns[at] == pair.Second);

    // Where both rows are of one key, an update of the parent's that stays on its node takes the child's along to the same place.
    private static bool ChangesKey(ForeignKey key, PlacedTable child, PlacedTable parent)
    {
        var own = KeyOf(child).ToImmutableHashSet();
        return (key.OnDelete == 'd' && own.Overlaps(key.DeleteSets))
            || (key.OnUpdate == 'd' && own.Overlaps(key.ChildColumns))
            || (key.OnUpdate == 'c' && parent.Placement == TablePlacement.Replicated && own.Overlaps(key.ChildColumns));
    }

    private static IEnumerable<string> KeyOf(PlacedTable table) => table.KeyColumns.Select(k => table.Columns[k].Name);

    private static ShardProxyError Error(ForeignKey key, string why, string hint) => new(
        "0A000", "SHP-627", $"foreign key {SqlIdentifier.Quote(key.Name)} of table {key.Child} to {key.Parent} cannot be checked: {why}", hint);
}
