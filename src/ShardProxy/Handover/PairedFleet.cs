using System.Collections.Immutable;
using ShardProxy.DataPath;
using ShardProxy.Model.Fleet;
using ShardProxy.Model.Routing;

namespace ShardProxy.Handover;

/// <summary>This process's data plane and, while a hand-over is under way, the other process's: no routing table is ever known to one of them only.</summary>
internal sealed class PairedFleet(DataPlane own, ProcessHandover handover) : IProxyFleet
{
    public async ValueTask<ImmutableArray<EpochReport>> PublishAsync(RoutingTable table, DrainScope scope, TimeSpan deadline, CancellationToken cancellationToken)
    {
        var elsewhere = handover.PublishElsewhereAsync(table.Epoch, scope, deadline, cancellationToken);
        var here = await own.PublishAsync(table, scope, deadline, cancellationToken);
        return await elsewhere is { } report ? here.Add(report) : here;
    }

    public ImmutableArray<int> MovesInTheWay => own.MovesInTheWay;

    // Nothing moves while there are two.
    public ValueTask<long> OldestTransactionOnRangeMsAsync(int rangeId, CancellationToken cancellationToken) => own.OldestTransactionOnRangeMsAsync(rangeId, cancellationToken);
}
