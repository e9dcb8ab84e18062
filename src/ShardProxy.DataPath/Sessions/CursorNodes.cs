using ShardProxy.DataPath.Execution;
using ShardProxy.DataPath.Servers;
using ShardProxy.Model.Topology;
using ShardProxy.Sql;

namespace ShardProxy.DataPath.Sessions;

/// <summary>Where a session's SQL cursors are: FETCH, MOVE and CLOSE name no table, they go where DECLARE went.</summary>
internal sealed class CursorNodes
{
    private readonly Dictionary<string, (ServerConnection Server, long Transaction)> _cursors = new(StringComparer.Ordinal);

    /// <summary>True for statements that go to a cursor.</summary>
    public static bool Concerns(StatementShape shape) => shape.Kind is StatementKind.Fetch or StatementKind.Close;

    /// <summary>CLOSE ALL; a cursor of that name stands in quotes.</summary>
    public static bool IsCloseAll(StatementShape shape) =>
        shape.Kind == StatementKind.Close && string.Equals(NameIn(shape), "all", StringComparison.OrdinalIgnoreCase);

    /// <summary>The cursor that a DECLARE, FETCH, MOVE or CLOSE names, in quotes where the text has it so.</summary>
    public static string NameIn(StatementShape shape)
    {
        // The second word of DECLARE and the last of the others; the text is normalised, so that the same name is the same word.
        var text = shape.Text.AsSpan().Trim(" ;");
        if (shape.Kind == StatementKind.DeclareCursor)
        {
            text = text[(text.IndexOf(' ') + 1)..];
            return text[..End(text)].ToString();
        }

        if (text is [.., '"'])
        {
            var start = text.Length - 1;
            do
            {
                start = text[..start].LastIndexOf('"');
            }
            while (start > 0 && text[start - 1] == '"' && --start > 0);
            return text[Math.Max(0, start)..].ToString();
        }

        return text[(text.LastIndexOf(' ') + 1)..].ToString();
    }

    // Behind the name at the text's beginning.
    private static int End(ReadOnlySpan<char> text)
    {
        if (text is not ['"', ..])
        {
            return text.IndexOf(' ') is >= 0 and var space ? space : text.Length;
        }

        var at = 1;
        while (at < text.Length && (text[at] != '"' || (at + 1 < text.Length && text[at + 1] == '"')))
        {
            at += text[at] == '"' ? 2 : 1;
        }

        return Math.Min(at + 1, text.Length);
    }

    /// <summary>CLOSE ALL on the session's servers but one, which is to answer it.</summary>
    public static async ValueTask CloseElsewhereAsync(Session session, ServerConnection answering)
    {
        session.OpenResults?.CloseAll();
        foreach (var server in session.HeldServers())
        {
            if (ReferenceEquals(server, answering) || server.IsBroken || server.Key.IsWorkspace)
            {
                continue;
            }

            try
            {
                await SideDialog.RunAsync(server, "CLOSE ALL").ConfigureAwait(false);
                VariableExecutor.Suspect(session, server, StateKinds.Cursors);
            }
            catch (EndOfStreamException)
            {
                ServerLoss.Drop(session, server);
            }
        }
    }

    /// <summary>A DECLARE has succeeded on a server.</summary>
    public void Note(Session session, StatementShape shape, ServerConnection server)
    {
        // Those of earlier transactions are gone, but for the ones WITH HOLD, which keep their server.
        foreach (var (name, cursor) in _cursors)
        {
            if (!IsThere(session, cursor.Server, cursor.Transaction))
            {
                _cursors.Remove(name);
            }
        }

        _cursors[NameIn(shape)] = (server, session.Transaction.Number);
    }

    /// <summary>A cursor of that name was declared on one node and is there still, unless it was closed.</summary>
    public bool IsOpen(Session session, string name) => _cursors.TryGetValue(name, out var cursor) && IsThere(session, cursor.Server, cursor.Transaction);

    /// <summary>A CLOSE has succeeded.</summary>
    public void Forget(StatementShape shape)
    {
        if (IsCloseAll(shape))
        {
            _cursors.Clear();
        }
        else
        {
            _cursors.Remove(NameIn(shape));
        }
    }

    /// <summary>The node of the cursor a FETCH, MOVE or CLOSE names; null where it is not known: a function may have opened it.</summary>
    public Node? Find(Session session, StatementShape shape)
    {
        if (IsCloseAll(shape))
        {
            return session.FindHeld(session.HomeNode.Id) is null && session.HeldCount > 0 ? session.Held(0).Node : null;
        }

        if (_cursors.TryGetValue(NameIn(shape), out var cursor) && IsThere(session, cursor.Server, cursor.Transaction))
        {
            return cursor.Server.Node;
        }

        // What a function opened is where the transaction is, if that is one place.
        return session.Transaction.Participants is [var only] ? only.Node : null;
    }

    private static bool IsThere(Session session, ServerConnection server, long transaction) =>
        (transaction == session.Transaction.Number || (server.Found & StateKinds.Cursors) != 0) && ReferenceEquals(session.FindHeld(server.Node.Id), server);
}
