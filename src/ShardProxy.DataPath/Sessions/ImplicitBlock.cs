using ShardProxy.DataPath.Execution;
using ShardProxy.DataPath.Routing;
using ShardProxy.DataPath.Servers;
using ShardProxy.Model.Errors;

namespace ShardProxy.DataPath.Sessions;

/// <summary>
/// The proxy's own block around what PostgreSQL runs as one transaction without BEGIN: the statements of a query string, and of a pipeline up to its Sync
/// (PostgreSQL documentation, "Multiple Statements in a Simple Query" and "Pipelining"). The client does not see it.
/// </summary>
internal static class ImplicitBlock
{
    public static void Begin(Session session) => session.Transaction.Begin(session.Settings, null, isImplicit: true);

    /// <summary>
    /// What a pipeline has executed on one server since the last Sync becomes the first part of a block that other nodes can join: a BEGIN within an implicit
    /// transaction takes along what came before it. Call with nothing owed.
    /// </summary>
    /// <exception cref="ShardProxyException">SHP-215: the server does not begin a block there.</exception>
    /// <exception cref="EndOfStreamException">The server was lost.</exception>
    public static async ValueTask BeginBehindAsync(Session session, ServerPipeline pipeline)
    {
        if (pipeline.Server is not { IsBroken: false } server || !(await SideDialog.RunAsync(server, "BEGIN").ConfigureAwait(false)).IsOk)
        {
            throw new ShardProxyException(RoutingErrors.PipelineNodes);
        }

        server.HasUnsynced = false;
        Begin(session);
        session.Transaction.Join(server);
        pipeline.EndStatements();
    }

    /// <summary>Commits it if nothing has failed.</summary>
    public static async ValueTask EndAsync(Session session)
    {
        if (session.Transaction.State == BlockState.Failed)
        {
            await TransactionExecutor.RollbackBlockAsync(session).ConfigureAwait(false);
        }
        else
        {
            await TransactionExecutor.CommitBlockAsync(session).ConfigureAwait(false);
        }
    }
}
