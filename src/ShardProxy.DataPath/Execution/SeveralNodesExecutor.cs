using ShardProxy.DataPath.Routing;
using ShardProxy.DataPath.Servers;
using ShardProxy.DataPath.Sessions;
using ShardProxy.Sql;

namespace ShardProxy.DataPath.Execution;

/// <summary>Carries a statement out that is not one node's, by whichever executor its plan asks for.</summary>
internal static class SeveralNodesExecutor
{
    /// <summary>Runs it. Writes its reply, no ReadyForQuery, and a RowDescription only when <paramref name="describesRows"/>.</summary>
    /// <returns>True when a closed gate refused it before it had any effect, and nothing was written: route it again.</returns>
    public static async ValueTask<bool> RunAsync(Session session, Dispatch dispatch, StatementShape shape, NodeCommand command, bool describesRows)
    {
        var (plan, table) = (dispatch.Plan, dispatch.Table);
        if (command.Parameters is not null && session.Services.Holder.Types.HasAny)
        {
            if (await CommandTypes.PrepareAsync(session, table, command).ConfigureAwait(false) is not { } prepared)
            {
                return false;
            }

            command = prepared;
        }

        switch (plan.Kind)
        {
            case RouteKind.Aggregate:
                await AggregateExecutor.RunAsync(session, plan, table, shape, command, describesRows).ConfigureAwait(false);
                return false;
            case RouteKind.Scatter:
                await ScatterExecutor.RunAsync(session, dispatch, shape, command, describesRows).ConfigureAwait(false);
                return false;
            case RouteKind.Gather:
                await GatherExecutor.RunAsync(session, plan, table, shape, command, describesRows).ConfigureAwait(false);
                return false;
            case RouteKind.Enclosed:
                await EnclosedQueryExecutor.RunAsync(session, dispatch, shape, command, describesRows).ConfigureAwait(false);
                return false;
            case RouteKind.SplitInsert or RouteKind.NodeWrites or RouteKind.SuppliedWrite:
                return await NodeWriteExecutor.RunAsync(session, dispatch, shape, command, describesRows).ConfigureAwait(false);
            case RouteKind.MoveRows:
                return await RowMoveExecutor.RunAsync(session, dispatch, shape, command, describesRows).ConfigureAwait(false);
            case RouteKind.PullInsert:
                await PullInsertExecutor.RunAsync(session, dispatch, shape, command, describesRows).ConfigureAwait(false);
                return false;
            case RouteKind.WritingWith:
                await WritingWithExecutor.RunAsync(session, dispatch, shape, command, describesRows).ConfigureAwait(false);
                return false;
            case RouteKind.CreateAs:
                await CreateAsExecutor.RunAsync(session, dispatch, shape, command).ConfigureAwait(false);
                return false;
            case RouteKind.CopySharded or RouteKind.CopyReplicated:
                await CopyExecutor.RunAsync(session, plan, table, shape, command.Sql).ConfigureAwait(false);
                return false;
            default:
                await FanOutExecutor.RunAsync(session, plan, table, shape, command, describesRows).ConfigureAwait(false);
                return false;
        }
    }
}
