using System.Text;
using ShardProxy.DataPath.Execution;
using ShardProxy.DataPath.Routing;
using ShardProxy.DataPath.Servers;
using ShardProxy.Model.Errors;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Topology;
using ShardProxy.Sql;
using ShardProxy.Wire.Messages;

namespace ShardProxy.DataPath.Sessions;

/// <summary>
/// Prepared statements of SQL and of the protocol share their names (PostgreSQL documentation, "PREPARE"; "Extended Query"). What the protocol
/// prepared has a name of the proxy's on the servers: where SQL names it, the server is given it under the client's name too, until the
/// transaction ends. What SQL prepared is on the server that the session keeps for it, and the protocol's requests for it go there.
/// </summary>
internal static class StatementNames
{
    /// <summary>Why a PREPARE or EXECUTE may not run, or null. The text of an EXECUTE does not show which tables it is about: its statement does.</summary>
    public static ShardProxyError? Refusal(Session session, StatementShape shape, RoutingTable table)
    {
        if (shape.Kind == StatementKind.Deallocate || shape.Prepared?.Name is not { } name)
        {
            return null;
        }

        if (shape.Kind == StatementKind.Prepare)
        {
            var count = session.Prepared.Count;
            for (var i = 0; i < session.HeldCount; i++)
            {
                count += session.Held(i).SqlStatements?.Count ?? 0;
            }

            return count >= session.Services.Options.MaxPreparedPerClient ? SessionErrors.TooManyStatements : null;
        }

        if (session.IsTransparent || (Parsed(session, name)?.Shape ?? FindSql(session, name)?.Statement.Shape) is not { } target)
        {
            return null;
        }

        if (target.Transaction is not null || ReferenceEquals(target, StatementShape.Unread))
        {
            return RoutingErrors.Unsupported;
        }

        if (target.Kind == StatementKind.Prepare && NamesPlaced(session, target, table))
        {
            // Where it could be run otherwise, that has been done before (ExecuteExpansion).
            return RoutingErrors.Unsupported;
        }

        var plan = RoutePlanner.PlanFor(target, table, session.HasDefaultSearchPath);
        return plan.Refusal ?? (plan is { Kind: RouteKind.Home or RouteKind.AnyNode, IsChanging: false } ? null : RoutingErrors.Unsupported);
    }

    /// <summary>The statement names a table that is not only the home node's, or a view over such.</summary>
    public static bool NamesPlaced(Session session, StatementShape shape, RoutingTable table) =>
        shape.Relations.Any(r => RelationResolver.Resolve(table, r.Schema, r.Name, session.HasDefaultSearchPath, out _) != RelationClass.Unsharded);

    /// <summary>SQL has prepared a statement of that name and it is still there.</summary>
    public static bool HasSql(Session session, string name) => FindSql(session, name) is not null;

    /// <summary>The held server on which SQL has prepared a statement of that name, or may have: a function prepares unseen. Null for none.</summary>
    public static ServerConnection? Holder(Session session, string name)
    {
        ServerConnection? likely = null;
        for (var i = 0; name.Length > 0 && i < session.HeldCount; i++)
        {
            var server = session.Held(i);
            if (server.SqlStatements?.ContainsKey(name) == true)
            {
                return server;
            }

            likely ??= ((server.Found | server.Suspected) & StateKinds.Prepared) != 0 ? server : null;
        }

        return likely;
    }

    /// <summary>What stands for a statement that SQL has prepared: bound and described on its server under its own name, followed like its EXECUTE.</summary>
    public static async ValueTask<PreparedStatement> StandInAsync(Session session, string name)
    {
        var sql = Encoding.UTF8.GetBytes("EXECUTE " + SqlIdentifier.Quote(name));
        var literals = new LiteralList();
        var scan = session.Services.Analyzer.Scan(sql, 0, literals);
        var shape = scan.Shape ?? await session.Services.Analyzer.AnalyzeAsync(sql, session.Connection.Closed).ConfigureAwait(false);
        return PreparedStatement.OfSql(name, sql, shape, literals);
    }

    /// <summary>
    /// Writes what gives the server the protocol's statement that a SQL statement names, or takes back one that is not the client's any more.
    /// Hidden, without Sync; false when there is nothing to do.
    /// </summary>
    public static bool Lend(Session session, ServerConnection server, StatementShape shape)
    {
        if (shape.Prepared?.Name is not { } name)
        {
            return false;
        }

        var wanted = Parsed(session, name);
        PreparedStatement? there = null;
        var isKnown = server.Lent?.TryGetValue(name, out there) == true;
        if (isKnown ? there is not null && ReferenceEquals(there, wanted) : wanted is null)
        {
            return false;
        }

        var bytes = Encoding.UTF8.GetBytes(name);
        var types = wanted is null ? null : TypedStatements.TypesOn(server, wanted);
        if (isKnown)
        {
            WriteClose(server, bytes);
        }

        if (wanted is not null)
        {
            TypedStatements.WriteParse(server, bytes, wanted, types);
            server.Owed.Enqueue(ReplyKind.Parse, isHidden: true, wanted);
        }

        (server.Lent ??= new Dictionary<string, PreparedStatement?>(StringComparer.Ordinal))[name] = wanted;
        server.HasUnsynced = true;
        session.HasSuspicion = true;
        return true;
    }

    /// <summary>As <see cref="Lend"/>, in front of a simple query; false when it failed: the client has been told.</summary>
    public static async ValueTask<bool> LendAsync(Session session, ServerConnection server, StatementShape shape)
    {
        if (!Lend(session, server, shape))
        {
            return true;
        }

        DialogResult result;
        try
        {
            result = await SyncAsync(server).ConfigureAwait(false);
        }
        catch (EndOfStreamException)
        {
            ServerLoss.Report(session, server, mayHaveWritten: false);
            return false;
        }

        if (result.IsOk)
        {
            Settled(server, shape);
            return true;
        }

        server.Lent![shape.Prepared!.Name!] = null;
        session.Fail(result.ErrorPayload!);
        return false;
    }

    /// <summary>What was lent for the shape has been answered: a PREPARE may make the name its own.</summary>
    public static void Settled(ServerConnection server, StatementShape shape)
    {
        if (shape.Kind == StatementKind.Prepare && server.Lent?.TryGetValue(shape.Prepared!.Name!, out var lent) == true && lent is null)
        {
            server.Lent.Remove(shape.Prepared.Name!);
        }
    }

    /// <summary>Takes back what was lent to a server, before it is another session's.</summary>
    /// <exception cref="EndOfStreamException">The server was lost; it is marked broken.</exception>
    public static async ValueTask TakeBackAsync(ServerConnection server)
    {
        foreach (var name in server.Lent!.Keys)
        {
            WriteClose(server, Encoding.UTF8.GetBytes(name));
        }

        if (await SyncAsync(server).ConfigureAwait(false) is { IsOk: true })
        {
            server.Lent = null;
        }
    }

    /// <summary>Follows PREPARE and DEALLOCATE that a server has answered.</summary>
    public static void Follow(Session session, StatementShape shape, ReadOnlyMemory<byte> text, ServerConnection server)
    {
        if (shape.Prepared is not { } prepared || session.Relay.Error is not null)
        {
            return;
        }

        if (shape.Kind == StatementKind.Prepare)
        {
            (server.SqlStatements ??= new Dictionary<string, SqlStatement>(StringComparer.Ordinal))[prepared.Name!] = new SqlStatement(shape, ExecuteText.Query(text.Span));
        }
        else if (shape.Kind == StatementKind.Deallocate)
        {
            // In a string with others it went to the server as it is.
            Forget(session, server, prepared.Name);
        }
    }

    /// <summary>A DEALLOCATE of this name, or of all (null), has succeeded on a server.</summary>
    public static void Forget(Session session, ServerConnection server, string? name)
    {
        if (name is null)
        {
            session.Prepared.Clear();
            server.Statements.Clear();
            server.SqlStatements = null;
            server.Lent = null;
        }
        else
        {
            session.Prepared.Remove(name, out _);
            server.SqlStatements?.Remove(name);
            server.Lent?.Remove(name);
        }
    }

    private static PreparedStatement? Parsed(Session session, string name) => session.Prepared.Find(name) is { IsGone: false } statement ? statement : null;

    /// <summary>What SQL has prepared under that name, and where; null for nothing that was seen.</summary>
    public static (SqlStatement Statement, ServerConnection Server)? FindSql(Session session, string name)
    {
        for (var i = 0; i < session.HeldCount; i++)
        {
            if (session.Held(i).SqlStatements?.TryGetValue(name, out var statement) == true)
            {
                return (statement, session.Held(i));
            }
        }

        return null;
    }

    private static void WriteClose(ServerConnection server, byte[] name)
    {
        MessageWriter.Target(server.Output, FrontendTag.Close, (byte)'S', name);
        server.Owed.Enqueue(ReplyKind.Close, isHidden: true);
    }

    private static async ValueTask<DialogResult> SyncAsync(ServerConnection server)
    {
        MessageWriter.Empty(server.Output, FrontendTag.Sync);
        server.Owed.Enqueue(ReplyKind.Sync, isHidden: true);
        server.HasUnsynced = false;
        await server.Output.FlushAsync().ConfigureAwait(false);
        return await SideDialog.CollectAsync(server).ConfigureAwait(false);
    }
}
