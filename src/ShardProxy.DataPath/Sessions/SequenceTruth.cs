using ShardProxy.DataPath.Servers;
using ShardProxy.Model.Topology;
using ShardProxy.Sql;
using ShardProxy.Wire.Messages;

namespace ShardProxy.DataPath.Sessions;

/// <summary>
/// Keeps <c>currval</c> and <c>lastval</c> true (PostgreSQL documentation, "Sequence Manipulation Functions"). A server connection remembers the
/// values drawn on it; whose they are is noted. Before another session draws, they are discarded; before a session reads, it gets the
/// connection with its own values, or an error. From its first read a session keeps that server.
/// </summary>
internal static class SequenceTruth
{
    private static readonly byte[] Discard = "DISCARD SEQUENCES"u8.ToArray();
    private static readonly byte[] PortalName = "sp_sequences"u8.ToArray();

    /// <summary>The statement may draw a value: it says so, inserts, or runs code the proxy does not know.</summary>
    public static bool MayDraw(StatementShape shape, StateKinds left)
    {
        if (shape.Kind is StatementKind.Insert or StatementKind.Merge || shape.HasModifyingCte || (left & StateKinds.Anything) == StateKinds.Anything)
        {
            return true;
        }

        if (shape.Kind == StatementKind.Copy)
        {
            return shape.Copy is { IsFrom: true };
        }

        foreach (var function in shape.Functions)
        {
            if (function.Name is "nextval" or "setval")
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>The statement asks for values drawn before.</summary>
    public static bool Reads(StatementShape shape)
    {
        foreach (var function in shape.Functions)
        {
            if (function.Name is "currval" or "lastval")
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Called before a server is leased for a statement: makes it the one with the session's values where that can be had.</summary>
    public static void BeforeLease(Session session, Node node, StatementShape shape)
    {
        if (session.SequenceServer is { } own && own.Node.Id == node.Id && Reads(shape) && session.FindHeld(node.Id) is null)
        {
            session.NextServer = own;
        }
    }

    /// <summary>
    /// Called with the leased server before the statement is written to it. Writes what takes other sessions' values away. False when the
    /// values the statement asks for are gone.
    /// </summary>
    public static bool AfterLease(Session session, ServerConnection server, StatementShape shape)
    {
        var reads = Reads(shape);
        if (!reads && !MayDraw(shape, StateRules.After(shape)))
        {
            return true;
        }

        var isOwn = server.SequenceOwner == session.ProcessId;
        if (reads)
        {
            if (session.SequenceServer is not null && !(isOwn && ReferenceEquals(session.SequenceServer, server)))
            {
                return false;
            }

            if (session.SequenceServer is not null)
            {
                session.Pin(server, StateKinds.Sequences);
            }
        }
        else
        {
            session.SequenceServer = server;
            session.DrawnNumbers.IsLast &= ReferenceEquals(session.DrawnNumbers.Statement, shape);
        }

        if (!isOwn)
        {
            if (server.SequenceOwner != 0)
            {
                Write(server);
            }

            server.SequenceOwner = session.ProcessId;
        }

        return true;
    }

    /// <summary>DISCARD SEQUENCES or DISCARD ALL has run on the server.</summary>
    public static void Forget(Session session, ServerConnection server)
    {
        server.Found &= ~StateKinds.Sequences;
        server.SequenceOwner = 0;
        session.SequenceServer = null;
        session.DrawnNumbers.Clear();
    }

    // In front of the statement at hand, in the protocol that is under way.
    private static void Write(ServerConnection server)
    {
        if (!server.HasUnsynced)
        {
            SideDialog.Send(server, Discard);
            return;
        }

        MessageWriter.Parse(server.Output, ""u8, Discard, [0, 0]);
        server.UnnamedStatement = null;
        server.Owed.Enqueue(ReplyKind.Parse, isHidden: true);
        MessageWriter.Header(server.Output, FrontendTag.Bind, PortalName.Length + 1 + 1 + 6);
        MessageWriter.Text(server.Output, PortalName);
        MessageWriter.Text(server.Output, ""u8);
        MessageWriter.Int16(server.Output, 0);
        MessageWriter.Int16(server.Output, 0);
        MessageWriter.Int16(server.Output, 0);
        server.Owed.Enqueue(ReplyKind.Bind, isHidden: true);
        MessageWriter.Header(server.Output, FrontendTag.Execute, PortalName.Length + 1 + 4);
        MessageWriter.Text(server.Output, PortalName);
        MessageWriter.Int32(server.Output, 0);
        server.Owed.Enqueue(ReplyKind.Execute, isHidden: true);
        MessageWriter.Target(server.Output, FrontendTag.Close, (byte)'P', PortalName);
        server.Owed.Enqueue(ReplyKind.Close, isHidden: true);
    }
}
