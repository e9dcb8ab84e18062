using ShardProxy.Catalog;
using ShardProxy.Model.Fleet;
using ShardProxy.Model.Routing;

namespace ShardProxy.Control.Migration.ReadingAhead;

/// <summary>
/// Says in the catalog whether clients that ask for it may read a range at the node it is moving to. Taking it back is followed by the barrier of every epoch: only when no
/// statement planned under it is left may rows be taken from the copy, or its stream end.
/// </summary>
internal static class ReadAheadPermission
{
    /// <summary>The copy has caught up.</summary>
    public static async Task GiveAsync(MigrationContext context, CancellationToken cancellationToken)
    {
        var state = await context.Catalog.TryUpdateAsync(
            s => s.FindMove(context.Id) is { Phase: MovePhase.Ghosts, AllowsReadAhead: false } move && s.FindRange(context.RangeId)?.NodeId == move.SourceNodeId
                ? s.WithMove(context.Id, move with { AllowsReadAhead = true }) : null,
            cancellationToken);
        if (state is not null)
        {
            await context.Fleet.PublishAsync(state.ToRoutingTable(), DrainScope.None, TimeSpan.FromSeconds(5), cancellationToken);
        }
    }

    /// <summary>The state without it, or null when it has none. To be published with a barrier.</summary>
    public static CatalogState? TakeBack(MigrationContext context, CatalogState state) =>
        state.FindMove(context.Id) is { AllowsReadAhead: true } move ? state.WithMove(context.Id, move with { AllowsReadAhead = false }) : null;
}
