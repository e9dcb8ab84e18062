using ShardProxy.Model.Errors;
using ShardProxy.Model.Plans;
using ShardProxy.Model.Routing;
using ShardProxy.Planning.Placement;

namespace ShardProxy.Control.Planner;

/// <summary>
/// Carries out a plan's splits up to its first move, and that move, each after the guard's check. The rest of the plan is left: it is
/// planned again from what is then seen.
/// </summary>
internal sealed class PlanRunner(IPlanExecutor executor, PlanGuard guard, PlanLog plans, MoveLedger ledger, Func<RoutingTable> currentTable, TimeProvider time)
{
    /// <summary>Runs to the end of the first move. Never throws: a failure is the plan's state and outcome.</summary>
    public async Task<PlacementPlan> RunAsync(PlacementPlan plan, CancellationToken cancellationToken)
    {
        if (plans.TryAdvance(plan.Id, [PlanState.Proposed, PlanState.Approved], PlanState.Executing, "", time.GetUtcNow()) is null)
        {
            return plan;
        }

        if (guard.CheckAhead(plan, currentTable(), ledger.Moves, time.GetUtcNow()) is { IsAllowed: false } ahead)
        {
            return End(plan, PlanState.Refused, ahead.Reason);
        }

        foreach (var step in plan.Steps)
        {
            var table = currentTable();
            var verdict = guard.Check(plan, step, table, ledger.Moves, time.GetUtcNow());
            if (!verdict.IsAllowed)
            {
                return End(plan, PlanState.Refused, verdict.Reason);
            }

            try
            {
                var range = table.Group(step.GroupId).Locate(step.From);
                if (step.Kind == PlanStepKind.Split)
                {
                    await executor.SplitAsync(range.Id, step.SplitAt!.Value, cancellationToken).ConfigureAwait(false);
                    continue;
                }

                var outcome = await executor.MoveAsync(range.Id, step.TargetNodeId, cancellationToken).ConfigureAwait(false);
                return outcome.IsDone ? End(plan, PlanState.Done, outcome.Message) : Failed(plan, step, outcome.Message);
            }
            catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
            {
                return End(plan, PlanState.Failed, "the planner was stopped");
            }
            catch (ShardProxyException e)
            {
                return Failed(plan, step, $"{e.Error.Message} ({e.Error.Code})");
            }
            catch (Exception e)
            {
                return Failed(plan, step, e.Message);
            }
        }

        return End(plan, PlanState.Done, "split");
    }

    private PlacementPlan Failed(PlacementPlan plan, PlanStep step, string why)
    {
        ledger.Failed(step.GroupId, step.From, step.To, time.GetUtcNow());
        return End(plan, PlanState.Failed, why);
    }

    private PlacementPlan End(PlacementPlan plan, PlanState state, string outcome) =>
        plans.TryAdvance(plan.Id, [PlanState.Executing], state, outcome, time.GetUtcNow()) ?? plan;
}
