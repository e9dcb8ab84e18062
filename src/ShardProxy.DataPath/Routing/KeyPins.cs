using System.Collections.Immutable;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Topology;
using ShardProxy.Sql;

namespace ShardProxy.DataPath.Routing;

/// <summary>
/// Finds, for every sharded relation of a statement, the constants its key columns must equal: pins of its own, and pins carried
/// over equalities between key columns of the same type.
/// </summary>
internal static class KeyPins
{
    /// <summary>Alternatives a key column may have before the statement is not looked at further.</summary>
    private const int MaxAlternatives = 1000;

    /// <summary>
    /// The lookup of each sharded relation, or null when one of them is not pinned: by its whole key, or in a RANGE group by its first columns or a comparison.
    /// </summary>
    /// <param name="shape">The statement.</param>
    /// <param name="routing">For the groups' methods.</param>
    /// <param name="tables">Per relation index its placed table, or null.</param>
    public static List<KeyLookup>? Find(StatementShape shape, RoutingTable routing, PlacedTable?[] tables)
    {
        var pins = new Dictionary<(int Relation, string Column), ImmutableArray<KeySource>>();
        foreach (var relation in shape.Relations)
        {
            if (tables[relation.Index] is { Placement: TablePlacement.Sharded } table && !relation.HasColumnAliases)
            {
                foreach (var pin in relation.Pins)
                {
                    if (IsKeyColumn(table, pin.Column) && (pin.IsQualified || IsOnlyHere(shape, tables, relation, pin.Column)) && pin.Values.Length <= MaxAlternatives)
                    {
                        pins.TryAdd((relation.Index, pin.Column), pin.Values);
                    }
                }
            }
        }

        var limits = KeyLimits.Read(shape, routing, tables, IsOnlyHere);
        Carry(shape, tables, pins, limits);
        var lookups = new List<KeyLookup>();
        foreach (var relation in shape.Relations)
        {
            if (tables[relation.Index] is not { Placement: TablePlacement.Sharded } table || relation.Role == RelationRole.Insert)
            {
                continue;
            }

            var alternatives = ImmutableArray.CreateBuilder<ImmutableArray<KeySource>>();
            foreach (var column in table.KeyColumns)
            {
                if (!pins.TryGetValue((relation.Index, table.Columns[column].Name), out var values))
                {
                    break;
                }

                alternatives.Add(values);
            }

            var lookup = new KeyLookup(table, alternatives.ToImmutable(), IsAssignment: false);
            if (alternatives.Count < table.KeyColumns.Length)
            {
                lookup = lookup with { Limits = limits.Of(relation.Index, table, alternatives.Count) };
                if (routing.Group(table.GroupId).Method != ShardingMethod.Range || (alternatives.Count == 0 && lookup.Limits.IsEmpty))
                {
                    return null;
                }
            }

            AddDistinct(lookups, lookup);
        }

        return lookups;
    }

    /// <summary>
    /// Every other sharded relation is of the target's group and joined to it by the whole key, so that for a row of the target only rows of its own key
    /// count.
    /// </summary>
    public static bool AreJoined(StatementShape shape, PlacedTable?[] tables, int target)
    {
        var joined = Joined(shape, tables, target);
        return shape.Relations.All(r => tables[r.Index] is not { Placement: TablePlacement.Sharded } || joined.Contains(r.Index));
    }

    /// <summary>The sharded relations, the target among them, of which for a row of the target only rows of its own key count.</summary>
    public static HashSet<int> Joined(StatementShape shape, PlacedTable?[] tables, int target)
    {
        var reached = new HashSet<(int Relation, int KeyColumn)>();
        for (var k = 0; k < tables[target]!.KeyColumns.Length; k++)
        {
            reached.Add((target, k));
        }

        for (var changed = true; changed;)
        {
            changed = false;
            foreach (var equality in shape.Equalities)
            {
                if (tables[equality.FromRelation] is { Placement: TablePlacement.Sharded } from
                    && tables[equality.ToRelation] is { Placement: TablePlacement.Sharded } to
                    && from.GroupId == to.GroupId
                    && !shape.Relations[equality.FromRelation].HasColumnAliases
                    && !shape.Relations[equality.ToRelation].HasColumnAliases
                    && KeyPosition(from, equality.FromColumn) is >= 0 and var key
                    && KeyPosition(to, equality.ToColumn) == key
                    && from.Columns[from.KeyColumns[key]].TypeOid == to.Columns[to.KeyColumns[key]].TypeOid
                    && reached.Contains((equality.FromRelation, key)))
                {
                    changed |= reached.Add((equality.ToRelation, key));
                }
            }
        }

        return [.. shape.Relations
            .Where(r => tables[r.Index] is { Placement: TablePlacement.Sharded } table && Enumerable.Range(0, table.KeyColumns.Length).All(k => reached.Contains((r.Index, k))))
            .Select(r => r.Index)];
    }

    private static int KeyPosition(PlacedTable table, string column)
    {
        for (var k = 0; k < table.KeyColumns.Length; k++)
        {
            if (string.Equals(table.Columns[table.KeyColumns[k]].Name, column, StringComparison.Ordinal))
            {
                return k;
            }
        }

        return -1;
    }

    private static void Carry(StatementShape shape, PlacedTable?[] tables, Dictionary<(int, string), ImmutableArray<KeySource>> pins, KeyLimits limits)
    {
        for (var changed = true; changed;)
        {
            changed = false;
            foreach (var equality in shape.Equalities)
            {
                if (tables[equality.FromRelation] is { Placement: TablePlacement.Sharded } from
                    && tables[equality.ToRelation] is { Placement: TablePlacement.Sharded } to
                    && !shape.Relations[equality.FromRelation].HasColumnAliases
                    && !shape.Relations[equality.ToRelation].HasColumnAliases
                    && IsKeyColumn(from, equality.FromColumn)
                    && IsKeyColumn(to, equality.ToColumn)
                    && from.Columns[from.ColumnIndex(equality.FromColumn)].TypeOid == to.Columns[to.ColumnIndex(equality.ToColumn)].TypeOid)
                {
                    changed |= pins.TryGetValue((equality.FromRelation, equality.FromColumn), out var values) && pins.TryAdd((equality.ToRelation, equality.ToColumn), values);
                    changed |= limits.Carry((equality.FromRelation, equality.FromColumn), (equality.ToRelation, equality.ToColumn));
                }
            }
        }
    }

    private static bool IsKeyColumn(PlacedTable table, string column)
    {
        foreach (var index in table.KeyColumns)
        {
            if (string.Equals(table.Columns[index].Name, column, StringComparison.Ordinal))
            {
                return true;
            }
        }

        return false;
    }

    // An unqualified column belongs to this relation only when no other relation of its block can have it.
    private static bool IsOnlyHere(StatementShape shape, PlacedTable?[] tables, RelationUse relation, string column)
    {
        foreach (var other in shape.Blocks[relation.BlockIndex])
        {
            if (other != relation.Index && (tables[other] is not { } table || shape.Relations[other].HasColumnAliases || table.ColumnIndex(column) >= 0))
            {
                return false;
            }
        }

        return true;
    }

    private static void AddDistinct(List<KeyLookup> lookups, KeyLookup lookup)
    {
        foreach (var other in lookups)
        {
            if (other.Alternatives.Length == lookup.Alternatives.Length
                && other.Table.GroupId == lookup.Table.GroupId
                && other.Limits.SequenceEqual(lookup.Limits)
                && other.Alternatives.Zip(lookup.Alternatives).All(p => p.First.SequenceEqual(p.Second)))
            {
                return;
            }
        }

        lookups.Add(lookup);
    }
}
