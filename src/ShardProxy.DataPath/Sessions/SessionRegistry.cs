using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Security.Cryptography;
using ShardProxy.DataPath.Login;
using ShardProxy.Model.Views;
using ShardProxy.Wire.Transport;

namespace ShardProxy.DataPath.Sessions;

/// <summary>All sessions by their numbers.</summary>
internal sealed class SessionRegistry
{
    private readonly ConcurrentDictionary<int, Session> _sessions = new();
    private int _lastProcessId;

    public int Count => _sessions.Count;

    /// <summary>Makes a session with a cancel key of its own.</summary>
    public Session Add(DataPathServices services, ITransportConnection connection, ClientIdentity identity)
    {
        var processId = Interlocked.Increment(ref _lastProcessId) & int.MaxValue;
        var session = new Session(services, connection, identity, processId, RandomNumberGenerator.GetInt32(int.MaxValue));
        _sessions[processId] = session;
        return session;
    }

    public void Remove(Session session) => _sessions.TryRemove(session.ProcessId, out _);

    /// <summary>
    /// The session of a cancel key, or null; the secret is compared in constant time. Several sessions can have been told the process id of
    /// one server, one after another.
    /// </summary>
    public Session? Find(int processId, int secret)
    {
        Span<byte> told = stackalloc byte[sizeof(int)];
        Span<byte> known = stackalloc byte[sizeof(int)];
        BitConverter.TryWriteBytes(told, secret);
        foreach (var (_, session) in _sessions)
        {
            BitConverter.TryWriteBytes(known, session.Secret);
            if (session.KeyProcessId == processId && CryptographicOperations.FixedTimeEquals(told, known))
            {
                return session;
            }
        }

        return null;
    }

    /// <summary>Every session now. Not a copy: one that comes or goes meanwhile may be among them or not.</summary>
    public IEnumerable<Session> All()
    {
        foreach (var (_, session) in _sessions)
        {
            yield return session;
        }
    }

    public ImmutableArray<SessionSnapshot> Snapshots() => [.. _sessions.Values.OrderBy(s => s.ProcessId).Select(Snapshot)];

    private static SessionSnapshot Snapshot(Session session)
    {
        var time = session.Services.Time;
        return new SessionSnapshot(
            session.ProcessId,
            session.Identity.Database,
            session.Identity.User,
            session.Connection.RemoteEndPoint?.ToString() ?? "",
            session.Identity.Startup["application_name"] ?? "",
            session.State,
            string.Join(',', session.HeldServers().Select(s => s.Node.Name)),
            session.Pinned is not null,
            session.PinReason,
            session.ConnectedAt,
            time.GetUtcNow() - time.GetElapsedTime(session.StateSince),
            session.Statements)
        {
            WaitingSince = session.WaitingSince is not 0 and var waiting ? time.GetUtcNow() - time.GetElapsedTime(waiting) : null,
            TransactionMs = session.TransactionSince is not 0 and var transaction ? time.GetElapsedTime(transaction).TotalMilliseconds : null,
            QueryMs = session.State is "active" or "held" ? time.GetElapsedTime(session.StateSince).TotalMilliseconds : null,
            IsEncrypted = session.Connection is Wire.Tls.TlsConnection,
        };
    }
}
