using System.Collections.Immutable;
using Npgsql;
using ShardProxy.Catalog;
using ShardProxy.Control.Nodes;
using ShardProxy.Model.Fleet;
using ShardProxy.Model.Keys;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Topology;
using ShardProxy.Model.Workload;

namespace ShardProxy.Control.Tables;

/// <summary>
/// Gets to know the keys of RANGE groups that were empty when they were made, or have grown since: where a range has many rows but no known key inside, the
/// quantiles of its keys become marks of the scale. So the load history tells its parts apart, and the planner can split it. No row and no bound moves.
/// </summary>
internal sealed class KeyScaleLearner(RoutingCatalog catalog, NodeConnections connections, IProxyFleet fleet)
{
    /// <summary>Fewer rows are not worth a mark.</summary>
    private const int MinimumRows = 1000;

    /// <summary>Rows of the table on the range's node when it was looked at: again only when they have doubled, since a look reads the range.</summary>
    private readonly Dictionary<(int RangeId, QualifiedName Table), long> _seenRows = [];

    private static readonly TimeSpan PublishDeadline = TimeSpan.FromSeconds(5);

    /// <summary>Looks at one range of those that are due; the number of marks made.</summary>
    public async Task<int> LearnAsync(CancellationToken cancellationToken)
    {
        var state = await catalog.LoadAsync(cancellationToken);
        foreach (var group in state.Groups.Where(g => g.Scale is not null))
        {
            foreach (var range in group.Ranges)
            {
                if (Room(group.Scale!, range) is { } room
                    && state.Moves.All(m => m.RangeId != range.Id)
                    && await ReadAsync(state, group, range, cancellationToken) is { Count: > 0 } keys
                    && await AddAsync(group.Id, range, room, keys, cancellationToken) is > 0 and var made)
                {
                    return made;
                }
            }
        }

        return 0;
    }

    /// <summary>The buckets that wait for marks, behind the last known key of a range; null when there are none. Keys that grow leave half of the last range's for later.</summary>
    internal static (int First, int Count)? Room(KeyScale scale, ShardRange range)
    {
        var last = range.From;
        foreach (var mark in scale.Marks)
        {
            if (mark.Position > last && (range.To is not { } to || mark.Position < to))
            {
                last = mark.Position;
            }
        }

        var first = BucketMap.Of(last) + 1;
        var end = range.To is { } bound ? BucketMap.Of(bound - 1) : BucketMap.BucketsPerGroup - 1;
        var count = end - first + 1;
        return count < 2 ? null : (first, range.To is null ? Math.Max(1, count / 2) : count);
    }

    private async Task<List<(int Bucket, ImmutableArray<string> Key)>?> ReadAsync(CatalogState state, TableGroup group, ShardRange range, CancellationToken cancellationToken)
    {
        await using var connection = await connections.OpenAsync(state.Nodes.Single(n => n.Id == range.NodeId), cancellationToken);
        foreach (var table in state.Tables.Where(t => t.GroupId == group.Id && t.Placement == TablePlacement.Sharded && !t.IsChanging && !t.IsPartitioned))
        {
            var behind = group.Scale!.Marks.LastOrDefault(m => m.Position >= range.From && (range.To is not { } to || m.Position < to));
            ImmutableArray<KeyColumn> columns = [.. table.KeyColumns.Select((c, i) => new KeyColumn(SqlIdentifier.Quote(table.Columns[c].Name), group.KeyTypes[i]))];
            var part = behind is null ? range : range with { From = behind.Position };
            var where = KeySpaceSql.OwnedPredicate(group, columns, [part]);

            // What the server keeps statistics of says whether it is worth while to look.
            var rows = await connection.ScalarAsync<long>("SELECT pg_catalog.pg_stat_get_live_tuples($1::regclass)", cancellationToken, table.Name.ToString());
            if (rows < Math.Max(MinimumRows, 2 * _seenRows.GetValueOrDefault((range.Id, table.Name))))
            {
                continue;
            }

            _seenRows[(range.Id, table.Name)] = rows;
            if (await connection.ScalarAsync<long>($"SELECT count(*) FROM (SELECT FROM ONLY {table.Name} WHERE {where} LIMIT {MinimumRows}) t", cancellationToken) >= MinimumRows)
            {
                return await KeySample.ReadAsync(connection, table.Name, [.. table.KeyColumns.Select((c, i) => (table.Columns[c].Name, group.KeyTypes[i]))], cancellationToken, where);
            }
        }

        return null;
    }

    private async Task<int> AddAsync(
        int groupId, ShardRange range, (int First, int Count) room, List<(int Bucket, ImmutableArray<string> Key)> keys, CancellationToken cancellationToken)
    {
        var made = 0;
        var state = await catalog.TryUpdateAsync(
            s =>
            {
                made = 0;
                var group = s.Groups.FirstOrDefault(g => g.Id == groupId);
                if (group?.Scale is not { } scale || !group.Ranges.Contains(range) || Room(scale, range) != room)
                {
                    return null;
                }

                var marks = scale.Marks.ToList();
                var taken = -1;
                foreach (var (bucket, key) in keys)
                {
                    var at = room.First + (int)((long)bucket * room.Count / BucketMap.BucketsPerGroup);
                    if (at == taken || KeyBound.TryParse(group.KeyTypes, key) is not { } bound || !IsInside(scale, range, bound))
                    {
                        continue;
                    }

                    marks.Add(new KeyMark(BucketMap.FirstHash(at), bound));
                    taken = at;
                    made++;
                }

                return made == 0 ? null : s with
                {
                    Groups = s.Groups.Replace(group, group.WithScale(new KeyScale([.. marks.OrderBy(m => m.Position)]))),
                };
            },
            cancellationToken);
        if (state is null)
        {
            return 0;
        }

        await fleet.PublishAsync(state.ToRoutingTable(), DrainScope.None, PublishDeadline, cancellationToken);
        return made;
    }

    // Behind every key known of the range, and below its end.
    private static bool IsInside(KeyScale scale, ShardRange range, KeyBound bound)
    {
        foreach (var mark in scale.Marks)
        {
            var isUpper = range.To is { } to && mark.Position >= to;
            if (mark.Bound.Ordered.SequenceCompareTo(bound.Ordered) >= 0 != isUpper)
            {
                return false;
            }
        }

        return true;
    }
}
