using System.Collections.Immutable;
using ShardProxy.DataPath.Sessions;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Topology;
using ShardProxy.Sql;

namespace ShardProxy.DataPath.Routing;

/// <summary>A column of the key that an INSERT leaves to its default, or computes.</summary>
/// <param name="Column">The column.</param>
/// <param name="Position">The position at which its rows have DEFAULT, or expressions; -1 when they do not have the column.</param>
/// <param name="IsComputed">Some of its rows have expressions there.</param>
internal sealed record DefaultedKey(TableColumn Column, int Position, bool IsComputed = false);

/// <summary>
/// INSERTs whose key, or a part of it, is the column's default or an expression. A server would make the value where the row is stored, which depends on the
/// value: so it is made before, put into the statement, and the statement is routed by it.
/// </summary>
internal static class KeyDefaults
{
    /// <summary>How such an INSERT runs; null: it is none, or the default cannot be made here.</summary>
    public static RoutePlan? TryPlan(StatementShape shape, InsertSummary insert, PlacedTable target, RoutingTable table)
    {
        if (insert.Places is null || insert.Source == InsertSource.Select || insert.Rows.Any(r => r.Length != insert.Rows[0].Length))
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

        return defaulted.Count == 0 ? null : RoutePlanner.Simple(table, RouteKind.DefaultKeys, isWrite: true) with
        {
            GroupId = target.GroupId,
            Tables = [target],
            DefaultedKeys = defaulted.ToImmutable(),
        };
    }

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
