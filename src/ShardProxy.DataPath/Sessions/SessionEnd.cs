using ShardProxy.DataPath.Servers;
using ShardProxy.Sql;
using ShardProxy.Wire.Messages;

namespace ShardProxy.DataPath.Sessions;

/// <summary>
/// When a server's end is its client's end too, as it would be without a proxy: it held state of that client alone, a time-out of the
/// client's own ended it, or a client has just asked for the end of backends by their process ids. What ends servers otherwise, such as a
/// restart, is not the client's concern.
/// </summary>
internal static class SessionEnd
{
    private const string Terminate = "pg_terminate_backend";

    /// <summary>Called before a statement is sent: whoever ends backends is remembered.</summary>
    public static void Note(Session session, StatementShape shape)
    {
        foreach (var function in shape.Functions)
        {
            if (function.Name == Terminate)
            {
                session.Services.Kills.Note();
            }
        }
    }

    /// <summary>
    /// After a backend was ended: the leased server, or another one if it is that backend, which may not have noticed yet. A server that answers
    /// was not meant, for it would have ended before it read the question.
    /// </summary>
    /// <exception cref="ServerUnavailableException">None could be had.</exception>
    public static async ValueTask<ServerConnection> NoVictimAsync(Session session, ServerConnection server)
    {
        while (session.Services.Kills.IsRecent && !ReferenceEquals(server, session.Assigned)
            && !await ServerCheck.IsAliveAsync(server, session.Services.Options.ServerConnectTimeout, session.Services.Time).ConfigureAwait(false))
        {
            var pool = server.Pool;
            pool.Return(server);
            server = await pool.LeaseAsync(session.HeldCount > 0, session.Connection.Closed, session.Assigned).ConfigureAwait(false);
        }

        return server;
    }

    /// <summary>Ends the session if its lost server's last words are for the client.</summary>
    /// <exception cref="SessionEndedException">They are.</exception>
    public static void ThrowIfTold(Session session, ServerConnection server, bool wasPinned)
    {
        // Writing to it may have failed before its last words were read.
        server.KeepLastWords();
        if (server.LastWords is { } words && session.HeldCount <= 1 && IsTold(session, words, wasPinned))
        {
            throw new SessionEndedException(words);
        }
    }

    /// <summary>Ends the session if the server it stands for was ended while it was idle.</summary>
    /// <param name="server">The one it got instead, or the same.</param>
    /// <exception cref="SessionEndedException">It was.</exception>
    public static void ThrowIfEnded(Session session, ServerConnection server)
    {
        if (session.Assigned is not { } assigned || ReferenceEquals(assigned, server) || assigned.Node.Id != server.Node.Id || assigned.LastWords is not { } words)
        {
            return;
        }

        session.Assigned = null;
        if (IsTold(session, words, wasPinned: false))
        {
            throw new SessionEndedException(words);
        }
    }

    // 57P05 and 25P03 are idle_session_timeout and idle_in_transaction_session_timeout.
    private static bool IsTold(Session session, byte[] words, bool wasPinned) =>
        wasPinned || ErrorFields.Read(words).SqlState switch
        {
            "57P01" => session.Services.Kills.IsRecent,
            "57P05" or "25P03" => true,
            _ => false,
        };
}
