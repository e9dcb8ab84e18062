using ShardProxy.Model.Errors;

namespace ShardProxy.DataPath.Sessions;

/// <summary>
/// Looks at all sessions every <see cref="Every"/>: who has been idle for too long or works for too long, and who was asked to end and has
/// not. No statement needs a timer of its own.
/// </summary>
internal sealed class SessionSweep : IDisposable
{
    public static readonly TimeSpan Every = TimeSpan.FromMilliseconds(100);

    /// <summary>A session that has to end at once gets so long to say so to its client.</summary>
    private static readonly TimeSpan EndGrace = TimeSpan.FromSeconds(1);

    private readonly SessionRegistry _registry;
    private readonly DataPathServices _services;
    private readonly ITimer _timer;
    private int _isSweeping;

    public SessionSweep(SessionRegistry registry, DataPathServices services)
    {
        _registry = registry;
        _services = services;
        _timer = services.Time.CreateTimer(static s => ((SessionSweep)s!).Sweep(), this, Every, Every);
    }

    public void Dispose() => _timer.Dispose();

    private void Sweep()
    {
        // A sweep that takes longer than the interval is not joined by another.
        if (Interlocked.Exchange(ref _isSweeping, 1) != 0)
        {
            return;
        }

        try
        {
            foreach (var session in _registry.All())
            {
                Look(session);
            }
        }
        finally
        {
            Volatile.Write(ref _isSweeping, 0);
        }
    }

    private void Look(Session session)
    {
        var time = _services.Time;
        if (session.EndAsked is { AfterTransaction: false, StateSince: null } end)
        {
            if (time.GetElapsedTime(end.RequestedAt) > EndGrace)
            {
                SessionEnding.Cut(session);
            }
            else
            {
                // A statement that was not sent yet when the end was asked for.
                _ = SessionEnding.CancelAsync(session);
            }

            return;
        }

        var since = session.StateSince;
        var elapsed = time.GetElapsedTime(since);
        var options = _services.Options;
        var own = options.LimitsOf(session.Identity.User);
        switch (session.State)
        {
            case "idle" when IsOver(elapsed, own.ClientIdleTimeout ?? options.ClientIdleTimeout):
                EndIdle(session, StopErrors.ClientIdle, "client_idle", since);
                break;
            case "idle in transaction" when IsOver(elapsed, own.IdleInTransactionTimeout ?? options.IdleInTransactionTimeout):
                EndIdle(session, StopErrors.IdleInTransaction, "idle_in_transaction", since);
                break;
            case "active" when IsOver(elapsed, own.StatementTimeout ?? options.StatementTimeout) && session.HeldCount > 0 && session.LastTimeout != since:
                // Once a statement: a server that takes its time to end it is not asked again and again.
                session.LastTimeout = since;
                _services.Counters.AddTimeout("statement");
                session.Relay.CancelReason = StopErrors.StatementTimeout;
                _ = SessionEnding.CancelAsync(session);
                break;
        }
    }

    // Counted once a state: the session may take longer than until the next look to go.
    private void EndIdle(Session session, ShardProxyError error, string kind, long since)
    {
        if (session.EndAsked?.StateSince != since)
        {
            _services.Counters.AddTimeout(kind);
        }

        session.AskToEnd(new EndRequest(error, _services.Time.GetTimestamp(), AfterTransaction: false, since));
    }

    private static bool IsOver(TimeSpan elapsed, TimeSpan limit) => limit > TimeSpan.Zero && elapsed >= limit;
}
