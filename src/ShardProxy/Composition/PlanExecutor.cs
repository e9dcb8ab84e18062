using ShardProxy.Control;
using ShardProxy.Control.Planner;
using ShardProxy.Model.Errors;

namespace ShardProxy.Composition;

/// <summary>Carries the planner's steps out by the control plane.</summary>
internal sealed class PlanExecutor(ControlPlane control, TopologyView topology) : IPlanExecutor
{
    public async ValueTask SplitAsync(int rangeId, long at, CancellationToken cancellationToken) =>
        await control.SplitAsync(rangeId, at, cancellationToken);

    public async ValueTask<MoveOutcome> MoveAsync(int rangeId, int targetNodeId, CancellationToken cancellationToken)
    {
        try
        {
            var result = await control.MoveAsync(rangeId, topology.Current.Node(targetNodeId).Name, wait: true, cancellationToken);
            return result.Error is { } error
                ? new MoveOutcome(false, $"{error.Message} ({error.Code})")
                : new MoveOutcome(true, result.Notice ?? "moved");
        }
        catch (ShardProxyException e)
        {
            return new MoveOutcome(false, e.Message);
        }
    }
}
