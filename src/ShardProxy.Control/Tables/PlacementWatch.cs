using ShardProxy.Catalog;
using ShardProxy.Model.Topology;

namespace ShardProxy.Control.Tables;

/// <summary>Placements that take moves, and so outlast a statement or a leader.</summary>
internal static class PlacementWatch
{
    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(50);

    /// <summary>Waits only until the first move of a table's placement is under way, if it takes any. The rest goes on.</summary>
    /// <returns>That migration; null when the placement is done.</returns>
    public static async Task<int?> FirstMoveAsync(
        Task<TableResult> placement, QualifiedName table, RoutingCatalog catalog, Func<int, int?> migrationOfGroup, TimeProvider time, CancellationToken cancellationToken)
    {
        while (!placement.IsCompleted)
        {
            var state = await catalog.LoadAsync(cancellationToken);
            if (state.Tables.FirstOrDefault(t => t.Name.Name == table.Name && (table.Schema is null || t.Name.Schema == table.Schema)) is { } placed
                && migrationOfGroup(placed.GroupId) is { } migration)
            {
                return migration;
            }

            await Task.WhenAny(placement, Task.Delay(Poll, time, cancellationToken));
        }

        await placement;
        return null;
    }

    /// <summary>Goes on with tables whose rows were on their way when the last leader ended, as long as this process leads. Never throws.</summary>
    public static async Task ResumeAsync(TableDistributor tables, Func<bool> isLeading, TimeSpan pause, TimeProvider time, CancellationToken stopToken)
    {
        while (isLeading() && !stopToken.IsCancellationRequested)
        {
            try
            {
                await tables.ResumeAsync(stopToken);
                return;
            }
            catch (Exception) when (!stopToken.IsCancellationRequested)
            {
                await Task.Delay(pause, time, stopToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
            catch (Exception)
            {
                return;
            }
        }
    }
}
