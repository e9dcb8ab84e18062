using System.Collections.Immutable;
using ShardProxy.Model.Routing;

namespace ShardProxy.Model.Fleet;

/// <summary>
/// The data planes as the control plane sees them: values down, reports up. With one proxy this is the process's own data
/// path; with several it goes through the catalog and expels those that stay silent.
/// </summary>
public interface IProxyFleet
{
    /// <summary>
    /// Makes <paramref name="table"/> the current one in every live proxy and waits until each has drained
    /// <paramref name="scope"/> or <paramref name="deadline"/> has passed. The table stays current either way. It must already be
    /// the catalog's truth: this call never decides anything.
    /// </summary>
    /// <returns>One report a proxy; drained only if every one says so.</returns>
    ValueTask<ImmutableArray<EpochReport>> PublishAsync(RoutingTable table, DrainScope scope, TimeSpan deadline, CancellationToken cancellationToken);

    /// <summary>
    /// Age in milliseconds of the oldest open transaction that has touched the range, over all proxies; 0 when there is none.
    /// A hint for picking the moment of a cutover, never a proof.
    /// </summary>
    ValueTask<long> OldestTransactionOnRangeMsAsync(int rangeId, CancellationToken cancellationToken);

    /// <summary>Migrations whose open rollback window statements wait for, such as TRUNCATE and DDL: it had better close.</summary>
    ImmutableArray<int> MovesInTheWay => [];
}
