using ShardProxy.Catalog;
using ShardProxy.Model.Errors;
using ShardProxy.Model.Fleet;
using ShardProxy.Model.Routing;

namespace ShardProxy.Control.Migration;

/// <summary>Splits and merges ranges: metadata only, no row moves.</summary>
/// <param name="catalog">The truth.</param>
/// <param name="fleet">The data planes.</param>
/// <param name="migrationOf">The migration that a range takes part in or waits for, if any; the catalog knows only those that have begun.</param>
public sealed class RangeSplitter(RoutingCatalog catalog, IProxyFleet fleet, Func<int, int?>? migrationOf = null)
{
    private static readonly TimeSpan PublishDeadline = TimeSpan.FromSeconds(5);

    /// <summary>
    /// Cuts a range in two at a hash, or at a position of a RANGE group's scale, which becomes the first of the upper half. The lower half keeps the id.
    /// </summary>
    /// <returns>The id of the upper half.</returns>
    /// <exception cref="ShardProxyException">SHP-501, 503, 512, 517.</exception>
    public async Task<int> SplitAsync(int rangeId, long at, CancellationToken cancellationToken)
    {
        var upperId = 0;
        var state = await catalog.TryUpdateAsync(
            s =>
            {
                var range = Find(s, rangeId);
                var group = s.Groups.Single(g => g.Id == range.GroupId);
                if (group.Scale is { } scale)
                {
                    // No key lies between two marks: the next mark is the same point.
                    var mark = scale.Next(Math.Max(at, range.From + 1), range.To) ?? throw new ShardProxyException(ControlErrors.SplitPlaceUnknown(rangeId));
                    return Split(s, range, mark.Position, out upperId);
                }

                if (at <= range.From || (range.To is { } to && at >= to))
                {
                    throw new ShardProxyException(ControlErrors.SplitOutside(rangeId));
                }

                return Split(s, range, at, out upperId);
            },
            cancellationToken);
        await fleet.PublishAsync(state!.ToRoutingTable(), DrainScope.None, PublishDeadline, cancellationToken);
        return upperId;
    }

    /// <summary>Cuts a range of a RANGE group in two at a key, which becomes the first of the upper half. The lower half keeps the id.</summary>
    /// <returns>The id of the upper half.</returns>
    /// <exception cref="ShardProxyException">SHP-501, 503, 512.</exception>
    public async Task<int> SplitAtAsync(int rangeId, KeyBound at, CancellationToken cancellationToken)
    {
        var upperId = 0;
        var state = await catalog.TryUpdateAsync(
            s =>
            {
                var group = s.Groups.Single(g => g.Id == Find(s, rangeId).GroupId);
                var (scaled, position) = group.WithMark(at);
                var range = scaled.Ranges.Single(r => r.Id == rangeId);
                if (position <= range.From || position >= range.To)
                {
                    throw new ShardProxyException(ControlErrors.SplitOutside(rangeId));
                }

                return Split(s with { Groups = s.Groups.Replace(group, scaled) }, range, position, out upperId);
            },
            cancellationToken);
        await fleet.PublishAsync(state!.ToRoutingTable(), DrainScope.None, PublishDeadline, cancellationToken);
        return upperId;
    }

    /// <summary>
    /// Joins two neighbours on one node; the lower one's id stays. The load history is kept by bucket, so the merged range has that of both.
    /// </summary>
    /// <returns>The id of the merged range.</returns>
    /// <exception cref="ShardProxyException">SHP-501 unknown, 503 being moved or waiting to be, 508 no neighbours on one node.</exception>
    public async Task<int> MergeAsync(int firstId, int secondId, CancellationToken cancellationToken)
    {
        var mergedId = 0;
        var state = await catalog.TryUpdateAsync(
            s =>
            {
                var (a, b) = (Find(s, firstId), Find(s, secondId));
                var (lower, upper) = a.From < b.From ? (a, b) : (b, a);
                if (lower.Id == upper.Id || lower.GroupId != upper.GroupId || lower.To != upper.From || lower.NodeId != upper.NodeId)
                {
                    throw new ShardProxyException(ControlErrors.Preflight(
                        $"ranges {firstId} and {secondId} are not neighbours on one node", "Move one of them first; SHOW RANGES lists them."));
                }

                mergedId = lower.Id;
                var group = s.Groups.Single(g => g.Id == lower.GroupId);
                var merged = group.Ranges.Remove(upper).Replace(lower, lower with { To = upper.To });
                return s with { Groups = s.Groups.Replace(group, group.WithRanges(merged)) };
            },
            cancellationToken);
        await fleet.PublishAsync(state!.ToRoutingTable(), DrainScope.None, PublishDeadline, cancellationToken);
        return mergedId;
    }

    private static CatalogState Split(CatalogState state, ShardRange range, long at, out int upperId)
    {
        upperId = state.NextRangeId;
        return state.WithRange(range.Id, range with { To = at }, range with { Id = upperId, From = at }) with { NextRangeId = upperId + 1 };
    }

    private ShardRange Find(CatalogState state, int rangeId)
    {
        if (state.Moves.FirstOrDefault(m => m.RangeId == rangeId) is { } move)
        {
            throw new ShardProxyException(ControlErrors.RangeBusy(rangeId, move.MigrationId));
        }

        if (migrationOf?.Invoke(rangeId) is { } waiting)
        {
            throw new ShardProxyException(ControlErrors.RangeBusy(rangeId, waiting));
        }

        return state.FindRange(rangeId) ?? throw new ShardProxyException(ControlErrors.RangeUnknown(rangeId));
    }
}
