using System.Collections.Immutable;
using ShardProxy.Model.Errors;
using ShardProxy.Model.Keys;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Topology;
using ShardProxy.Sql;

namespace ShardProxy.DataPath.Routing;

/// <summary>Where a keyed statement goes.</summary>
internal enum KeyRoute
{
    /// <summary>To one node.</summary>
    Node,

    /// <summary>One of its ranges is being cut over, and this transaction has not touched it: hold, then route again.</summary>
    Hold,

    Refused,
}

/// <summary>Shape + values + one routing table → node. Allocates nothing.</summary>
internal static class Router
{
    // IN lists over composite keys multiply; above this the statement is refused.
    private const int MaxCombinations = 10_000;
    private const int MaxKeyColumns = 32;

    /// <summary>Finds the one node all keys are on, and records the ranges they are in.</summary>
    /// <param name="plan">A plan of kind ByKey.</param>
    /// <param name="input">Where the values are.</param>
    /// <param name="table">The routing table of this statement.</param>
    /// <param name="activity">For ranges this transaction has touched already: those are never held.</param>
    /// <param name="touches">Gets the ranges.</param>
    /// <param name="nodeId">The node.</param>
    /// <param name="firstHash">The hash of the first key found, for the load map; null when no key was found.</param>
    /// <param name="error">Set when refused.</param>
    public static KeyRoute Route(
        RoutePlan plan, in KeyInput input, RoutingTable table, SessionActivity? activity, TouchSet touches, out int nodeId, out long? firstHash, out ShardProxyError? error)
    {
        nodeId = 0;
        firstHash = null;
        error = null;
        var hold = false;
        var group = table.Group(plan.GroupId);
        Span<int> choice = stackalloc int[MaxKeyColumns];
        foreach (var lookup in plan.Lookups)
        {
            choice.Clear();
            var combinations = 0;
            do
            {
                if (++combinations > MaxCombinations)
                {
                    error = RoutingErrors.SeveralNodes;
                    return KeyRoute.Refused;
                }

                var outcome = Place(lookup, group, input, choice, out var first, out var last);
                if (outcome == KeyOutcome.Unproven)
                {
                    error = RoutingErrors.UnprovenKey;
                    return KeyRoute.Refused;
                }

                if (outcome == KeyOutcome.NoRow)
                {
                    continue;
                }

                firstHash ??= first;
                for (var (at, end) = (group.IndexOf(first), group.IndexOf(last)); at <= end; at++)
                {
                    var range = group.Ranges[at];
                    if (nodeId == 0)
                    {
                        nodeId = range.NodeId;
                    }
                    else if (nodeId != range.NodeId)
                    {
                        error = RoutingErrors.SeveralNodes;
                        return KeyRoute.Refused;
                    }

                    touches.AddRange(range.Id);
                    hold |= table.Moves.Length > 0 && table.MoveOf(range.Id) is { IsHeld: true } && activity?.HasTouched(range.Id, plan.GroupId) != true;
                }
            }
            while (Next(lookup.Alternatives, choice));
        }

        if (nodeId == 0)
        {
            // No key can match, or the server will reject the value: the home node says which.
            nodeId = table.HomeNode.Id;
        }

        return hold ? KeyRoute.Hold : KeyRoute.Node;
    }

    /// <summary>The node of each row that an INSERT stores, and the ranges they are in; null when a row's cannot be proven.</summary>
    public static int[]? RouteRows(RoutePlan plan, in KeyInput input, RoutingTable table, TouchSet touches)
    {
        var group = table.Group(plan.GroupId);
        var nodes = new int[plan.Lookups.Length];
        Span<int> choice = stackalloc int[MaxKeyColumns];
        choice.Clear();
        for (var row = 0; row < nodes.Length; row++)
        {
            switch (Place(plan.Lookups[row], group, input, choice, out var place, out _))
            {
                case KeyOutcome.Unproven:
                    return null;
                case KeyOutcome.NoRow:
                    // The server will reject the value.
                    nodes[row] = table.HomeNode.Id;
                    break;
                default:
                    var range = group.Locate(place);
                    touches.AddRange(range.Id);
                    nodes[row] = range.NodeId;
                    break;
            }
        }

        return nodes;
    }

    /// <summary>The nodes that have rows of any of the keys; null when the keys are too many or one of them cannot be told.</summary>
    public static List<int>? Owners(RoutePlan plan, in KeyInput input, RoutingTable table)
    {
        var group = table.Group(plan.GroupId);
        var owners = new List<int>();
        Span<int> choice = stackalloc int[MaxKeyColumns];
        foreach (var lookup in plan.Lookups)
        {
            choice.Clear();
            var combinations = 0;
            do
            {
                var (first, last) = (0L, 0L);
                var outcome = ++combinations > MaxCombinations ? KeyOutcome.Unproven : Place(lookup, group, input, choice, out first, out last);
                if (outcome == KeyOutcome.Unproven)
                {
                    return null;
                }

                if (outcome == KeyOutcome.NoRow)
                {
                    continue;
                }

                for (var (at, end) = (group.IndexOf(first), group.IndexOf(last)); at <= end; at++)
                {
                    if (!owners.Contains(group.Ranges[at].NodeId))
                    {
                        owners.Add(group.Ranges[at].NodeId);
                    }
                }
            }
            while (Next(lookup.Alternatives, choice));
        }

        return owners.Count > 0 ? owners : null;
    }

    /// <summary>The predicate that leaves only rows this node owns, for a relation written as <paramref name="qualifier"/>.</summary>
    public static string OwnedPredicate(RoutingTable table, PlacedTable placed, int nodeId, string qualifier)
    {
        var group = table.Group(placed.GroupId);
        var columns = placed.KeyColumns.Select((c, i) => new KeyColumn($"{qualifier}.{SqlIdentifier.Quote(placed.Columns[c].Name)}", group.KeyTypes[i])).ToImmutableArray();
        return KeySpaceSql.OwnedPredicate(group, columns, [.. group.Ranges.Where(r => r.NodeId == nodeId)]);
    }

    /// <summary>The first and the last place in the key space that rows of one choice of alternatives can have; the same one for a whole key.</summary>
    private static KeyOutcome Place(KeyLookup lookup, TableGroup group, in KeyInput input, ReadOnlySpan<int> choice, out long first, out long last)
    {
        if (group.Scale is { } scale)
        {
            return RangePlaces.Find(lookup, scale, input, choice, out first, out last);
        }

        (first, last) = (0, 0);
        var reader = new HashReader();
        var table = lookup.Table;
        var noRow = false;
        for (var i = lookup.Alternatives.Length - 1; i >= 0; i--)
        {
            var column = table.Columns[table.KeyColumns[i]];
            var type = KeyTypes.FromOid(column.TypeOid) ?? throw new InvalidOperationException("a key column has a type that cannot be a key");
            var outcome = KeyResolver.Resolve(input, lookup.Alternatives[i][choice[i]], type, column.TypeModifier, lookup.IsAssignment, ref reader);
            if (outcome == KeyOutcome.Unproven)
            {
                return outcome;
            }

            noRow |= outcome == KeyOutcome.NoRow;
        }

        first = last = reader.Hash;
        return noRow ? KeyOutcome.NoRow : KeyOutcome.Found;
    }

    // Counts through the alternatives of all key columns like an odometer.
    private static bool Next(ImmutableArray<ImmutableArray<KeySource>> alternatives, Span<int> choice)
    {
        for (var i = 0; i < alternatives.Length; i++)
        {
            if (++choice[i] < alternatives[i].Length)
            {
                return true;
            }

            choice[i] = 0;
        }

        return false;
    }
}
