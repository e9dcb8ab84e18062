using ShardProxy.DataPath.Servers;
using ShardProxy.DataPath.Sessions;
using ShardProxy.Model.Errors;

namespace ShardProxy.DataPath;

/// <summary>Pausing, resuming and killing.</summary>
internal sealed class DataPlaneControl(DataPathServices services, SessionRegistry registry) : IDataPlaneControl
{
    private static readonly TimeSpan LookEvery = TimeSpan.FromMilliseconds(10);

    public async ValueTask PauseAsync(string? database, CancellationToken cancellationToken)
    {
        var databases = database is null ? services.Pools.Databases.Append(services.Options.Database).Distinct(StringComparer.Ordinal).ToArray() : [database];
        var started = services.Time.GetTimestamp();
        foreach (var one in databases)
        {
            services.Pools.Pause(one, isPaused: true);
        }

        try
        {
            while (registry.All().Count(s => databases.Contains(s.Identity.Database, StringComparer.Ordinal) && IsAtWork(s)) is > 0 and var left)
            {
                if (services.Time.GetElapsedTime(started) > services.Options.PoolWait)
                {
                    throw new ShardProxyException(PoolErrors.NotQuiet(left, services.Options.PoolWait));
                }

                await Task.Delay(LookEvery, services.Time, cancellationToken).ConfigureAwait(false);
            }
        }
        catch
        {
            foreach (var one in databases)
            {
                services.Pools.Pause(one, isPaused: false);
            }

            throw;
        }
    }

    public IReadOnlyList<string> Resume(string? database)
    {
        string[] databases = [.. services.Pools.Paused.Where(d => database is null || string.Equals(d, database, StringComparison.Ordinal))];
        foreach (var one in databases)
        {
            services.Pools.Pause(one, isPaused: false);
        }

        return databases;
    }

    public bool Kill(long sessionId)
    {
        if (registry.All().FirstOrDefault(s => s.ProcessId == sessionId) is not { } session)
        {
            return false;
        }

        session.AskToEnd(new EndRequest(StopErrors.Killed, services.Time.GetTimestamp(), AfterTransaction: false, StateSince: null));
        _ = SessionEnding.CancelAsync(session);
        return true;
    }

    // A client that keeps a server for its temporary tables or the like is not waited for while it does nothing with it, or is held itself.
    private static bool IsAtWork(Session session) =>
        session.HeldServers() is { Length: > 0 } held
        && (session.Transaction.State != BlockState.Idle || (session.WaitingSince == 0 && (session.State == "active" || held.Any(s => !s.IsPinned))));
}
