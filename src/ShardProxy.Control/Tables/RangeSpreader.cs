using System.Collections.Immutable;
using ShardProxy.Catalog;
using ShardProxy.Catalog.Journal;
using ShardProxy.Control.Migration;
using ShardProxy.Model.Errors;
using ShardProxy.Model.Fleet;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Topology;

namespace ShardProxy.Control.Tables;

/// <summary>Brings the rows of a sharded table to where a plan wants them, by the same moves as ever: online, verified, one range after another.</summary>
/// <param name="catalog">Where they are.</param>
/// <param name="fleet">The data planes.</param>
/// <param name="move">Moves a range to a node, with no rollback window, and waits for it.</param>
/// <param name="closeWindows">Closes the rollback windows of a group.</param>
internal sealed class RangeSpreader(
    RoutingCatalog catalog, IProxyFleet fleet, Func<int, string, CancellationToken, Task<MoveResult>> move, Func<int, CancellationToken, Task> closeWindows)
{
    private const int Rounds = 100;
    private static readonly TimeSpan PublishDeadline = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(100);

    /// <summary>Moves until every part of the key space is where it is wanted. Others may move ranges meanwhile: it looks again.</summary>
    /// <param name="table">A sharded table.</param>
    /// <param name="wanted">The plan for the group as the state has it: ranges in order that cover the key space; ids are not looked at.</param>
    /// <param name="cancellationToken">Ends it between two moves; what has been moved stays.</param>
    /// <exception cref="ShardProxyException">SHP-506 when a move failed.</exception>
    public async Task SpreadAsync(QualifiedName table, Func<CatalogState, ImmutableArray<PlannedRange>> wanted, CancellationToken cancellationToken)
    {
        for (var round = 0; round < Rounds; round++)
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (GroupOf(await catalog.LoadAsync(cancellationToken), table) is { } before)
            {
                await closeWindows(before.Id, cancellationToken);
            }

            var state = await UpdateAsync(s => Cut(s, table, wanted(s)), cancellationToken) ?? await catalog.LoadAsync(cancellationToken);
            var group = GroupOf(state, table) ?? throw new ShardProxyException(ControlErrors.NotSharded(table.ToString()));
            var plan = wanted(state);
            var ways = group.Ranges.Select(r => (Range: r, To: plan.Where(p => Overlap(p, r)).Select(p => p.NodeId).Distinct().ToList())).ToList();
            if (ways.TrueForAll(w => w.To is [var node] && node == w.Range.NodeId))
            {
                return;
            }

            foreach (var (range, to) in ways.Where(w => w.To is [var node] && node != w.Range.NodeId))
            {
                var result = await move(range.Id, state.Nodes.Single(n => n.Id == to[0]).Name, cancellationToken);
                if (result.Error is { } error && (await catalog.LoadAsync(cancellationToken)).FindRange(range.Id) is not null)
                {
                    throw new ShardProxyException(error);
                }
            }

            // Somebody else's move, by which the ranges could not be cut, ends.
            await Task.Delay(Pause, cancellationToken);
        }

        throw new ShardProxyException(ControlErrors.GroupIsMoving(table.ToString()));
    }

    /// <summary>Changes the placement and tells the proxies.</summary>
    public async Task<CatalogState?> UpdateAsync(Func<CatalogState, CatalogState?> change, CancellationToken cancellationToken)
    {
        var state = await catalog.TryUpdateAsync(change, cancellationToken);
        if (state is not null)
        {
            await fleet.PublishAsync(state.ToRoutingTable(), DrainScope.None, PublishDeadline, cancellationToken);
        }

        return state;
    }

    public static TableGroup? GroupOf(CatalogState state, QualifiedName table) =>
        state.FindTable(table) is { Placement: TablePlacement.Sharded } placed ? state.Groups.Single(g => g.Id == placed.GroupId) : null;

    /// <summary>The plan with neighbours on one node as one: fewer moves, each of which reads the whole table.</summary>
    public static ImmutableArray<PlannedRange> Coarse(ImmutableArray<PlannedRange> plan)
    {
        var runs = ImmutableArray.CreateBuilder<PlannedRange>();
        foreach (var range in plan)
        {
            if (runs.Count > 0 && runs[^1].NodeId == range.NodeId)
            {
                runs[^1] = runs[^1] with { To = range.To };
            }
            else
            {
                runs.Add(range);
            }
        }

        return runs.ToImmutable();
    }

    public static bool Overlap(PlannedRange plan, ShardRange range) => (plan.To is not { } to || range.From < to) && (range.To is not { } end || plan.From < end);

    /// <summary>
    /// The group cut where the plan or the owner changes and nowhere else, so that every range has one owner and one place to go. Null when it is so already, or while
    /// a range of the group moves.
    /// </summary>
    private static CatalogState? Cut(CatalogState state, QualifiedName table, ImmutableArray<PlannedRange> plan)
    {
        if (GroupOf(state, table) is not { } group || state.Moves.Any(m => m.GroupId == group.Id))
        {
            return null;
        }

        var bounds = plan.Select(p => p.From).Concat(group.Ranges.Select(r => r.From)).Distinct().Order().ToList();
        var cut = ImmutableArray.CreateBuilder<ShardRange>();
        var wantedOf = new List<int>();
        var next = state.NextRangeId;
        var used = new HashSet<int>();
        foreach (var from in bounds)
        {
            var owner = group.Locate(from);
            var node = plan.Last(p => p.From <= from).NodeId;
            if (cut.Count > 0 && cut[^1].NodeId == owner.NodeId && wantedOf[^1] == node)
            {
                continue;
            }

            if (cut.Count > 0)
            {
                cut[^1] = cut[^1] with { To = from };
            }

            // The lower part keeps the id, as in any split.
            cut.Add(new ShardRange(owner.From == from && used.Add(owner.Id) ? owner.Id : next++, group.Id, from, null, owner.NodeId));
            wantedOf.Add(node);
        }

        var ranges = cut.ToImmutable();
        return ranges.SequenceEqual(group.Ranges) ? null : state with { Groups = state.Groups.Replace(group, group.WithRanges(ranges)), NextRangeId = next };
    }
}
