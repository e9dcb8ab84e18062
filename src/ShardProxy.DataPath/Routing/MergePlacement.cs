using System.Collections.Immutable;
using ShardProxy.Model.Topology;
using ShardProxy.Sql;

namespace ShardProxy.DataPath.Routing;

/// <summary>Which source rows of a MERGE into a sharded table a node needs.</summary>
internal enum MergeSource
{
    /// <summary>All: it only writes rows that match, and each of those is on one node.</summary>
    All,

    /// <summary>Those of keys that the node owns: only there they can match, and there they are inserted.</summary>
    ByKey,

    /// <summary>Those that it has: the source is a table that goes with the target.</summary>
    Own,
}

/// <summary>How the source of a MERGE into a sharded table is spread.</summary>
/// <param name="Source">What a node needs.</param>
/// <param name="KeyColumns">The source's columns that equal the target's key, in the key's order; empty for <see cref="MergeSource.All"/>.</param>
internal sealed record MergePlacement(MergeSource Source, ImmutableArray<string> KeyColumns)
{
    /// <summary>Null when a source row could be inserted on a node that cannot tell whether it matches.</summary>
    public static MergePlacement? Of(StatementShape shape, PlacedTable?[] placed, int target)
    {
        if (shape.Supplied?.Merge is not { } merge || placed[target] is not { Placement: TablePlacement.Sharded } written)
        {
            return null;
        }

        var key = ImmutableArray.CreateBuilder<string>();
        foreach (var column in written.KeyColumns)
        {
            if (merge.Equalities.Where(e => e.Target == written.Columns[column].Name).Select(e => e.Source).FirstOrDefault() is { } source)
            {
                key.Add(source);
            }
        }

        if (key.Count < written.KeyColumns.Length || !merge.Inserts.All(i => InsertsKey(i, written, key)))
        {
            return merge.Inserts.IsEmpty ? new MergePlacement(MergeSource.All, []) : null;
        }

        var isOwn = merge.SourceRelation >= 0
            && placed[merge.SourceRelation] is { Placement: TablePlacement.Sharded } own
            && own.GroupId == written.GroupId
            && !shape.Relations[merge.SourceRelation].HasColumnAliases
            && own.KeyColumns.Select((k, i) => own.Columns[k].Name == key[i] && own.Columns[k].TypeOid == written.Columns[written.KeyColumns[i]].TypeOid).All(same => same);
        return new MergePlacement(isOwn ? MergeSource.Own : MergeSource.ByKey, key.ToImmutable());
    }

    private static bool InsertsKey(MergeInsert insert, PlacedTable written, ImmutableArray<string>.Builder key)
    {
        var columns = insert.Columns.IsEmpty ? [.. written.Columns.Select(c => c.Name)] : insert.Columns;
        for (var i = 0; i < key.Count; i++)
        {
            var at = columns.IndexOf(written.Columns[written.KeyColumns[i]].Name);
            if (at < 0 || at >= insert.SourceColumns.Length || insert.SourceColumns[at] != key[i])
            {
                return false;
            }
        }

        return true;
    }
}
