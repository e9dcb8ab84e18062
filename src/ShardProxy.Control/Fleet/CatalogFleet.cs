using System.Collections.Immutable;
using Npgsql;
using ShardProxy.Catalog.Fleet;
using ShardProxy.Model.Fleet;
using ShardProxy.Model.Routing;

namespace ShardProxy.Control.Fleet;

/// <summary>
/// This process's data plane, which is told directly, and the other proxies, which see the catalog change and answer in their documents (DESIGN section 6). A
/// proxy that was expelled counts once it is barred on the nodes.
/// </summary>
public sealed class CatalogFleet(IProxyFleet own, FleetRoster roster, TimeProvider time) : IProxyFleet
{
    public async ValueTask<ImmutableArray<EpochReport>> PublishAsync(RoutingTable table, DrainScope scope, TimeSpan deadline, CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();

        // Who has made itself known before this look is waited for; who does so behind it reads a placement that is this one or later.
        var isKnown = LookAsync(cancellationToken);
        var here = await own.PublishAsync(table, scope, deadline, cancellationToken);
        if (!await KnownInTimeAsync())
        {
            return [.. here, new EpochReport("?", table.Epoch, false, 1, 0)];
        }

        while (true)
        {
            // The signal is taken before the look: whatever changes after it completes it.
            var changed = roster.Changed;
            var others = roster.Others.Where(p => !p.IsBarred).ToList();
            var left = deadline - time.GetElapsedTime(started);
            if (left <= TimeSpan.Zero || others.TrueForAll(p => HasDrained(p, table.Epoch, scope)))
            {
                return [.. here, .. others.Select(p => Report(p, table.Epoch, scope))];
            }

            try
            {
                await changed.WaitAsync(left, time, cancellationToken);
            }
            catch (TimeoutException)
            {
                // The next round reports who is missing.
            }
        }

        // A hold must not last because the catalog is slow.
        async Task<bool> KnownInTimeAsync()
        {
            try
            {
                var left = deadline - time.GetElapsedTime(started);
                return isKnown.IsCompleted ? await isKnown : left > TimeSpan.Zero && await isKnown.WaitAsync(left, time, cancellationToken);
            }
            catch (TimeoutException)
            {
                return false;
            }
        }
    }

    // A hint for picking the moment: the others' transactions show in their answers.
    public ValueTask<long> OldestTransactionOnRangeMsAsync(int rangeId, CancellationToken cancellationToken) => own.OldestTransactionOnRangeMsAsync(rangeId, cancellationToken);

    public ImmutableArray<int> MovesInTheWay => [.. own.MovesInTheWay.Union(roster.Others.Where(p => !p.IsExpelled).SelectMany(p => p.InTheWay))];

    private async Task<bool> LookAsync(CancellationToken cancellationToken)
    {
        try
        {
            await roster.RefreshAsync(cancellationToken);
            return true;
        }
        catch (Exception e) when (e is NpgsqlException or IOException or TimeoutException)
        {
            return false;
        }
    }

    private EpochReport Report(ProxyRecord proxy, long epoch, DrainScope scope) => HasDrained(proxy, epoch, scope)
        ? new EpochReport(proxy.Id, epoch, true, 0, 0)
        : new EpochReport(proxy.Id, epoch, false, 1, (long)roster.SilenceOf(proxy.Id).TotalMilliseconds);

    private static bool HasDrained(ProxyRecord proxy, long epoch, DrainScope scope) =>
        !proxy.IsExpelled && proxy.Epoch >= epoch
        && (!scope.AllEarlierStatements || proxy.DrainedEpoch >= epoch)
        && scope.RangeIds.All(id => proxy.DrainedRanges.Any(d => d.RangeId == id && d.Epoch >= epoch));
}
