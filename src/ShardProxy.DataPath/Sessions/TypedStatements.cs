using ShardProxy.DataPath.Execution;
using ShardProxy.DataPath.Routing;
using ShardProxy.DataPath.Servers;
using ShardProxy.DataPath.Types;
using ShardProxy.Model.Errors;
using ShardProxy.Sql;
using ShardProxy.Wire.Messages;

namespace ShardProxy.DataPath.Sessions;

/// <summary>
/// Brings statements and their parameters to servers whose node numbers the user's types otherwise than the home node (<see cref="TypeTable"/>). Clients declare and write
/// the home node's numbers. On other servers nothing is looked at.
/// </summary>
internal static class TypedStatements
{
    /// <summary>Gives the server the statement and binds the portal there.</summary>
    /// <exception cref="ShardProxyException">SHP-230: the node is not known to have a type of the parameters.</exception>
    public static ValueTask BindAsync(ServerPipeline pipeline, ServerConnection server, Portal portal, string portalName)
    {
        if (server.Types is not null && portal.Statement.ParameterTypes is null && TypeTable.IsOpen(portal.Parameters, portal.Statement.TypeOids))
        {
            return Slow(pipeline, server, portal, portalName);
        }

        pipeline.Provide(server, portal.Statement);
        StatementProvision.WriteBind(server, portal, portalName);
        return ValueTask.CompletedTask;

        // What the parameters are, only the server can say.
        static async ValueTask Slow(ServerPipeline pipeline, ServerConnection server, Portal portal, string portalName)
        {
            pipeline.Provide(server, portal.Statement);
            MessageWriter.Target(server.Output, FrontendTag.Describe, (byte)'S', portal.Statement.ServerName);
            server.Owed.Enqueue(ReplyKind.DescribeStatement, isHidden: true, portal.Statement);
            await pipeline.DrainAsync().ConfigureAwait(false);
            if (!pipeline.SkipToSync && !pipeline.SkipsToSync)
            {
                StatementProvision.WriteBind(server, portal, portalName);
            }
        }
    }

    /// <summary>
    /// Looks at a COPY on one server whose node numbers types otherwise: rows in binary have the types' numbers in them, and of no message is it told where. False when the
    /// error has been written.
    /// </summary>
    public static async ValueTask<bool> MayCopyAsync(Session session, ServerConnection server, StatementShape shape, ReadOnlyMemory<byte> text)
    {
        if (shape.Copy is not { Format: CopyFormat.Binary })
        {
            return true;
        }

        if (shape.Enclosed is not { } query)
        {
            session.Fail(RoutingErrors.BinaryCopyTypes);
            return false;
        }

        var read = await SideDialog.OrLostAsync(StatementCheck.RunAsync(server, text[query.In(text.Span)], [])).ConfigureAwait(false);
        if (read is null)
        {
            ServerLoss.Report(session, server, mayHaveWritten: false);
            return false;
        }

        if (!read.IsOk)
        {
            session.Fail(read.ErrorPayload!);
            return false;
        }

        if (RowShape.Types(read.RowDescription).Any(t => server.Types!.ToNode.IsDeep(t)))
        {
            session.Fail(RoutingErrors.BinaryCopyTypes);
            return false;
        }

        return true;
    }

    /// <summary>Writes a portal's Execute.</summary>
    /// <exception cref="ShardProxyException">SHP-230: it is a binary COPY.</exception>
    public static void WriteExecute(ServerConnection server, Portal portal, string portalName, ReadOnlySpan<byte> payload)
    {
        if (server.Types is not null && portal.Statement.Shape.Copy is { Format: CopyFormat.Binary })
        {
            throw new ShardProxyException(RoutingErrors.BinaryCopyTypes);
        }

        ResultReading? reading = null;
        if (server.Types is { } table && portal.Parameters.ResultFormats.Contains((short)1))
        {
            var statement = portal.Statement;
            if (statement.ResultTypes is null)
            {
                MessageWriter.Target(server.Output, FrontendTag.Describe, (byte)'P', System.Text.Encoding.UTF8.GetBytes(portalName));
                server.Owed.Enqueue(ReplyKind.DescribePortal, isHidden: true, statement);
            }

            reading = statement.ResultTypes is { } types && table.PatchFor(types, portal.Parameters.ResultFormats) is null
                ? null : new ResultReading(statement, [.. portal.Parameters.ResultFormats]);
        }

        MessageWriter.Raw(server.Output, FrontendTag.Execute, payload);
        server.Owed.Enqueue(ReplyKind.Execute, isHidden: false, reading: reading);
        server.HasUnsynced = true;
    }

    /// <summary>The declared types of a statement's parameters in the numbers of a server's node; null when they are as the client has declared them.</summary>
    /// <exception cref="ShardProxyException">SHP-230.</exception>
    public static uint[]? TypesOn(ServerConnection server, PreparedStatement statement) =>
        server.Types is { } table && TypeTable.HasUserTypes(statement.TypeOids) ? table.TypesOnNode(statement.TypeOids) : null;

    /// <summary>Writes the Parse that gives a server a statement.</summary>
    public static void WriteParse(ServerConnection server, ReadOnlySpan<byte> name, PreparedStatement statement, uint[]? types)
    {
        if (types is not null)
        {
            MessageWriter.Parse(server.Output, name, statement.Sql, types.AsSpan());
        }
        else
        {
            MessageWriter.Parse(server.Output, name, statement.Sql, statement.EncodedTypes);
        }
    }
}
