using System.Text;
using ShardProxy.DataPath.Execution;
using ShardProxy.DataPath.Routing;
using ShardProxy.DataPath.Servers;
using ShardProxy.Model.Routing;
using ShardProxy.Sql;
using ShardProxy.Wire.Messages;

namespace ShardProxy.DataPath.Sessions;

/// <summary>
/// Portals that the proxy carries out itself: transaction control and settings, and statements over several nodes. Called with nothing owed.
/// </summary>
internal sealed class OwnPortals(Session session, ServerPipeline pipeline)
{
    /// <summary>Runs one. Its reply has been written then; after an error everything up to Sync is skipped.</summary>
    /// <param name="portal">The portal.</param>
    /// <param name="name">Its name.</param>
    /// <param name="execute">Payload of the Execute message; must stay unchanged meanwhile.</param>
    public async ValueTask RunAsync(Portal portal, string name, ReadOnlyMemory<byte> execute)
    {
        var errors = session.Errors;
        if (portal.Statement.IsTransaction && session.Transaction.IsImplicit)
        {
            // What was executed before is to be committed as a whole at the Sync.
            await pipeline.FailAsync(() => session.Fail(RoutingErrors.PipelineNodes)).ConfigureAwait(false);
        }
        else if (portal.Statement.Shape.Transaction is { } transaction && portal.Statement.IsLocalIn(session))
        {
            await pipeline.TransactionCommandAsync(transaction).ConfigureAwait(false);
        }
        else if (portal.Statement.IsLocalIn(session))
        {
            await pipeline.SyncServerAsync().ConfigureAwait(false);
            await SessionCommands.RunAsync(session, portal.Statement.Shape, portal.Statement.Text).ConfigureAwait(false);
        }
        else if (session.Transaction.State == BlockState.Idle && pipeline.HasExecuted && !IsBlockable(portal))
        {
            // What was executed before is an implicit transaction with it.
            await pipeline.FailAsync(() => session.Fail(RoutingErrors.PipelineNodes)).ConfigureAwait(false);
        }
        else if (portal.HasRun && IsRead(portal) && portal.Dispatch.Plan.Kind != RouteKind.Enclosed)
        {
            MessageWriter.CString(session.Output, BackendTag.CommandComplete, "SELECT 0");
        }
        else if (portal.HasRun)
        {
            session.Fail("55000", $"portal \"{name}\" cannot be run");
        }
        else if (!IsRead(portal) && session.Transaction.State == BlockState.Idle && !IsBlockable(portal) && !await IsLastAsync(portal).ConfigureAwait(false))
        {
            await pipeline.FailAsync(() => session.Fail(RoutingErrors.PipelineNodes)).ConfigureAwait(false);
        }
        else
        {
            // From the first of them to the Sync it is one transaction, over whatever nodes: the proxy's own block holds it together.
            if (session.Transaction.State == BlockState.Idle && pipeline.HasExecuted)
            {
                await ImplicitBlock.BeginBehindAsync(session, pipeline).ConfigureAwait(false);
            }
            else if (!IsRead(portal) && session.Transaction.State == BlockState.Idle && IsBlockable(portal) && !await IsLastAsync(portal).ConfigureAwait(false))
            {
                ImplicitBlock.Begin(session);
            }

            portal.HasRun = true;
            if (Kept(portal.Dispatch.Plan, FrontendReader.ExecuteLimit(execute.Span)) is { } gather)
            {
                await OpenAsync(portal, name, gather, execute).ConfigureAwait(false);
                return;
            }

            await RunOnSeveralAsync(portal).ConfigureAwait(false);
        }

        // An error of these commands has been written: the rest of the pipeline is skipped.
        pipeline.SkipToSync |= session.Errors != errors;
    }

    private static bool IsBlockable(Portal portal) => !portal.Statement.Shape.ForbidsTransactionBlock && portal.Dispatch.Plan.Kind != RouteKind.BroadcastOutside;

    private static bool IsRead(Portal portal) => IsRead(portal.Dispatch.Plan);

    // With a row limit the rest of the rows is wanted later, perhaps. A plain aggregate has one row: under a greater limit it is at its end at once.
    private static RoutePlan? Kept(RoutePlan plan, int limit) =>
        limit <= 0 || (plan.Kind == RouteKind.Aggregate && limit > 1) ? null
        : plan.Kind == RouteKind.Gather ? plan
        : plan.Otherwise is { Kind: RouteKind.Gather } gather && IsRead(plan) ? gather : null;

    private static bool IsRead(RoutePlan plan) => plan.Kind is RouteKind.Aggregate or RouteKind.Gather or RouteKind.Scatter or RouteKind.Enclosed;

    // From here on the portal is one of the workspace's, as any other is of its server.
    private async ValueTask OpenAsync(Portal portal, string name, RoutePlan gather, ReadOnlyMemory<byte> execute)
    {
        var errors = session.Errors;
        await pipeline.SyncServerAsync().ConfigureAwait(false);
        pipeline.Server = null;
        var open = session.OpenResults ??= new OpenResults(session);
        await open.SweepAsync().ConfigureAwait(false);
        if (!open.HasRoom)
        {
            await pipeline.FailAsync(() => session.Fail(SessionErrors.TooManyOpenResults)).ConfigureAwait(false);
            return;
        }

        var dispatch = portal.Dispatch;
        var command = new NodeCommand(portal.Statement.Text, portal.Parameters);
        if (await GatherExecutor.KeepAsync(session, gather, dispatch.Table, portal.Statement.Shape, command).ConfigureAwait(false) is not { } statement)
        {
            pipeline.SkipToSync |= session.Errors != errors;
            return;
        }

        var workspace = statement.Workspace;
        portal.Open = open.Add(statement, cursor: null);
        portal.Server = pipeline.Server = workspace;
        statement.WriteBind(name, portal.Parameters);
        if (portal.IsDescribedByRun)
        {
            MessageWriter.Target(workspace.Output, FrontendTag.Describe, (byte)'P', Encoding.UTF8.GetBytes(name));
            workspace.Owed.Enqueue(ReplyKind.DescribePortal, isHidden: false);
        }

        MessageWriter.Raw(workspace.Output, FrontendTag.Execute, execute.Span);
        workspace.Owed.Enqueue(ReplyKind.Execute, isHidden: false);
        pipeline.Add(portal, workspace);
    }

    // Outside a block the proxy commits what it carries out over several nodes at once, if nothing follows: what the client executes after it and before
    // Sync is of the same implicit transaction, and an error there has to undo it.
    // With a COPY the client's data comes first, perhaps not before it is asked for.
    private async ValueTask<bool> IsLastAsync(Portal portal) =>
        portal.Dispatch.Plan.Kind is not (RouteKind.CopySharded or RouteKind.CopyReplicated) && await session.Input.PeekAsync(session.Connection.Closed).ConfigureAwait(false) == FrontendTag.Sync;

    private async ValueTask RunOnSeveralAsync(Portal portal)
    {
        await pipeline.SyncServerAsync().ConfigureAwait(false);
        pipeline.Server = null;
        var dispatch = portal.Dispatch;
        var isNamed = dispatch.Plan.Kind == RouteKind.Scatter && portal.Statement is { CanonicalId: not 0, IsOfSql: false };
        var command = new NodeCommand(portal.Statement.Text, portal.Parameters) { Prepared = isNamed ? portal.Statement : null };
        if (await SeveralNodesExecutor.RunAsync(session, dispatch, portal.Statement.Shape, command, portal.IsDescribedByRun).ConfigureAwait(false))
        {
            session.Fail(ExecutionErrors.FencedTooOften);
        }
    }
}
