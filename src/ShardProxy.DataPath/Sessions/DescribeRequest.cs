using System.Text;
using ShardProxy.DataPath.Execution;
using ShardProxy.DataPath.Routing;
using ShardProxy.DataPath.Servers;
using ShardProxy.Sql;
using ShardProxy.Wire.Messages;

namespace ShardProxy.DataPath.Sessions;

/// <summary>
/// Describe of a statement or a portal (PostgreSQL documentation, "Extended Query"). A server that holds it answers; what the proxy carries out
/// itself is described here.
/// </summary>
internal sealed class DescribeRequest(Session session, ClientStatements names, ServerPipeline pipeline)
{
    private const string PortalName = "shardproxy_describe";

    /// <summary>Takes one Describe message.</summary>
    public async ValueTask RunAsync(ReadOnlyMemory<byte> payload)
    {
        var (kind, name) = FrontendReader.Target(payload.Span);
        var statement = kind == (byte)'S' ? names.Find(name) ?? await pipeline.FindSqlAsync(name).ConfigureAwait(false) : names.FindPortal(name)?.Statement;
        if (statement is null)
        {
            if (kind == (byte)'S' || !await pipeline.TryForwardAsync(FrontendTag.Describe, payload, ReplyKind.DescribePortal, name).ConfigureAwait(false))
            {
                await pipeline.FailAsync(() => names.NotThere(kind, name)).ConfigureAwait(false);
            }

            return;
        }

        await pipeline.SettleParseAsync(except: statement).ConfigureAwait(false);
        if (statement.IsLocalIn(session))
        {
            await pipeline.DrainAsync().ConfigureAwait(false);
            if (pipeline.SkipsToSync)
            {
                return;
            }

            pipeline.AnswerParse();
            if (kind == (byte)'S')
            {
                MessageWriter.Header(session.Output, BackendTag.ParameterDescription, 2);
                MessageWriter.Int16(session.Output, 0);
            }

            MessageWriter.Empty(session.Output, BackendTag.NoData);
            return;
        }

        if (kind == (byte)'P' && names.FindPortal(name) is { Server: { } bound, Open: null })
        {
            await pipeline.UseAsync(bound).ConfigureAwait(false);
            MessageWriter.Target(bound.Output, FrontendTag.Describe, kind, payload.Span[1..^1]);
            bound.Owed.Enqueue(ReplyKind.DescribePortal, isHidden: false, names.FindPortal(name)!.Statement);
            bound.HasUnsynced = true;
            return;
        }

        if (kind == (byte)'P' && await IsRunNextAsync(names.FindPortal(name)!, name).ConfigureAwait(false))
        {
            return;
        }

        var server = session.OpenResults?.ServerFor(statement.Shape) is { } workspace
            ? await pipeline.UseAsync(workspace).ConfigureAwait(false)
            : await UseServerAsync(session, pipeline, statement.Shape).ConfigureAwait(false);
        await pipeline.LendAsync(server, statement.Shape).ConfigureAwait(false);
        if (kind == (byte)'S')
        {
            pipeline.Provide(server, statement);
            MessageWriter.Target(server.Output, FrontendTag.Describe, kind, statement.ServerName);
            server.Owed.Enqueue(ReplyKind.DescribeStatement, isHidden: false, statement);
            server.HasUnsynced = true;
            return;
        }

        // A portal over several nodes: its rows look as they would on one. It must not stay there: that server alone has not all of them.
        pipeline.Provide(server, statement);
        var portal = names.FindPortal(name)!;
        StatementProvision.WriteBind(server, portal, PortalName, isHidden: true);
        var portalName = Encoding.ASCII.GetBytes(PortalName);
        MessageWriter.Target(server.Output, FrontendTag.Describe, kind, portalName);
        server.Owed.Enqueue(ReplyKind.DescribePortal, isHidden: false);
        MessageWriter.Target(server.Output, FrontendTag.Close, kind, portalName);
        server.Owed.Enqueue(ReplyKind.Close, isHidden: true);
    }

    /// <summary>
    /// For a statement that is only parsed or described there: any node if each has all its tables, else the home node, which does. Waits while one of them
    /// changes its placement.
    /// </summary>
    public static async ValueTask<ServerConnection> UseServerAsync(Session session, ServerPipeline pipeline, StatementShape shape)
    {
        if (StatementDispatch.IsChanging(session, shape))
        {
            // The replies so far must not wait with it.
            await pipeline.DrainAsync().ConfigureAwait(false);
            await StatementDispatch.UntilPlacedAsync(session, shape).ConfigureAwait(false);
        }

        return RelationResolver.AreEverywhere(session.Services.Holder.Current, shape, session.HasDefaultSearchPath)
            ? await pipeline.UseAnyAsync().ConfigureAwait(false) : (await pipeline.UseAsync(session.HomeNode, null).ConfigureAwait(false))!;
    }

    // Where all nodes' rows are the answer, each tells what they look like as it is run: what most drivers send behind a Bind is then one exchange. While rows
    // move they are gathered, and a gathering describes no portal.
    private async ValueTask<bool> IsRunNextAsync(Portal portal, string name)
    {
        var dispatch = portal.Dispatch;
        if (dispatch.Plan?.Kind != RouteKind.Scatter || portal.HasRun || portal.Open is not null || dispatch.Table.Moves.Length > 0
            || !await session.Input.RunsNextAsync(name, session.Connection.Closed).ConfigureAwait(false))
        {
            return false;
        }

        portal.IsDescribedByRun = true;
        return true;
    }
}
