using System.Collections.Immutable;
using ShardProxy.DataPath.Sessions;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Topology;
using ShardProxy.Sql;

namespace ShardProxy.DataPath.Routing;

/// <summary>A column that an INSERT leaves to its default, or computes, and that gets its value before the statement is sent.</summary>
/// <param name="Column">The column.</param>
/// <param name="Position">The position at which its rows have DEFAULT, or expressions; -1 when they do not have the column.</param>
/// <param name="IsComputed">Some of its rows have expressions there.</param>
internal sealed record DefaultedKey(TableColumn Column, int Position, bool IsComputed = false);

/// <summary>
/// INSERTs whose key, or a part of it, is the column's default or an expression. A server would make the value where the row is stored, which depends on the
/// value: so it is made before, put into the statement, and the statement is routed by it. And INSERTs that several nodes store, with columns of which each
/// node would make a value of its own: the moment of the transaction, and everything that is drawn for a replicated table.
/// </summary>
internal static class KeyDefaults
{
    /// <summary>How such an INSERT runs; null: it is none, or the default cannot be made here.</summary>
    public static RoutePlan? TryPlan(StatementShape shape, InsertSummary insert, PlacedTable target, RoutingTable table)
    {
        if (!CanBeGiven(insert))
        {
            return null;
        }

        var defaulted = ImmutableArray.CreateBuilder<DefaultedKey>();
        foreach (var key in target.KeyColumns)
        {
            var column = target.Columns[key];
            var position = PositionOf(insert, key, column.Name);
            if (position >= 0 && !insert.DefaultPositions.Contains(position))
            {
                if (insert.OverridesByUser && column.Default is { IsIdentity: true })
                {
                    return null;
                }

                if (insert.Rows.Any(r => r[position] is null))
                {
                    // PostgreSQL's own functions change no table: computed by themselves they do what they do in the row.
                    if (!shape.Functions.All(f => f.Schema is null or "pg_catalog" && BuiltinFunctions.Contains(f.Name)))
                    {
                        return null;
                    }

                    defaulted.Add(new DefaultedKey(column, position, IsComputed: true));
                }
            }
            else if (CanMake(insert, target, column))
            {
                defaulted.Add(new DefaultedKey(column, position));
            }
            else
            {
                return null;
            }
        }

        if (insert.RowCount > 1)
        {
            defaulted.AddRange(AbsentMoments(insert, target).Where(m => defaulted.All(k => k.Column != m.Column)));
        }

        return defaulted.Count == 0 ? null : Plan(table, target, defaulted.ToImmutable());
    }

    /// <summary>Columns whose default is the transaction's moment and that the rows do not have.</summary>
    public static ImmutableArray<DefaultedKey> AbsentMoments(InsertSummary insert, PlacedTable target) =>
        [.. target.Columns.Index()
            .Where(c => c.Item.Default is { Kind: ColumnDefaultKind.Moment })
            .Select(c => new DefaultedKey(c.Item, PositionOf(insert, c.Index, c.Item.Name)))
            .Where(k => k.Position < 0 || insert.DefaultPositions.Contains(k.Position))];

    /// <summary>Rows that may go to several nodes are given the moment that each of those would take for itself; null: they have it.</summary>
    public static RoutePlan? TryMoments(InsertSummary insert, PlacedTable target, RoutingTable table) =>
        insert.RowCount <= 1 || AbsentMoments(insert, target) is not { IsEmpty: false } moments ? null
        : CanBeGiven(insert) ? Plan(table, target, moments)
        : RoutePlanner.Refuse(table, Execution.ExecutionErrors.GatherTime);

    /// <summary>An INSERT into a replicated table is given everything that each node would make for itself; null: it has that, or it cannot be given.</summary>
    public static RoutePlan? TryReplicated(StatementShape shape, InsertSummary insert, PlacedTable target, RoutingTable table)
    {
        if (!CanBeGiven(insert))
        {
            return null;
        }

        // What PostgreSQL's own functions give differs at most by what they draw; those that are the same everywhere may stay.
        var isComputed = shape.Functions.Any(f => !PureFunctions.Contains(f) && !WritePlanner.IsNow(f));
        if (isComputed && !shape.Functions.All(f => f.Schema is null or "pg_catalog" && BuiltinFunctions.Contains(f.Name)))
        {
            return null;
        }

        var made = ImmutableArray.CreateBuilder<DefaultedKey>();
        foreach (var (index, column) in target.Columns.Index())
        {
            var position = PositionOf(insert, index, column.Name);
            if (position >= 0 && !insert.DefaultPositions.Contains(position))
            {
                if (isComputed && insert.Rows.Any(r => r[position] is null))
                {
                    made.Add(new DefaultedKey(column, position, IsComputed: true));
                }
            }
            else if (column.Default is { Kind: ColumnDefaultKind.Sequence or ColumnDefaultKind.RandomUuid or ColumnDefaultKind.Moment })
            {
                if (!CanMake(insert, target, column))
                {
                    return null;
                }

                made.Add(new DefaultedKey(column, position));
            }
        }

        return made.Count == 0 ? null : Plan(table, target, made.ToImmutable());
    }

    /// <summary>Where its parts stand is known, and its rows are alike.</summary>
    public static bool CanBeGiven(InsertSummary insert) =>
        insert.Places is not null && insert.Source != InsertSource.Select && insert.Rows.All(r => r.Length == insert.Rows[0].Length);

    private static RoutePlan Plan(RoutingTable table, PlacedTable target, ImmutableArray<DefaultedKey> made) => RoutePlanner.Simple(table, RouteKind.DefaultKeys, isWrite: true) with
    {
        GroupId = target.GroupId,
        Tables = [target],
        DefaultedKeys = made,
    };

    /// <summary>The values given for the key do not count: the server would draw others.</summary>
    public static bool Ignores(InsertSummary insert, PlacedTable target) =>
        insert.OverridesByUser && target.KeyColumns.Any(k => target.Columns[k].Default is { IsIdentity: true });

    private static bool CanMake(InsertSummary insert, PlacedTable target, TableColumn column) => column.Default switch
    {
        null => !column.IsGenerated,
        { Kind: ColumnDefaultKind.Expression } => false,

        // What is made here passes as given by the user. Other identity columns must not be read otherwise for that.
        { Identity: 'a' } => !insert.OverridesByUser && target.Columns.Count(c => c.Default is { IsIdentity: true }) == 1,
        { Identity: 'd' } => !insert.OverridesByUser,
        _ => true,
    };

    // Without a column list the values are in the table's order, and columns behind the last value are left out.
    private static int PositionOf(InsertSummary insert, int key, string name)
    {
        var position = insert.Columns.IsEmpty ? key : insert.Columns.IndexOf(name);
        return insert.Source == InsertSource.DefaultValues || position >= insert.Rows[0].Length ? -1 : position;
    }
}
