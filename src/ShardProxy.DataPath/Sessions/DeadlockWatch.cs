using System.Globalization;
using System.Text;
using ShardProxy.DataPath.Servers;
using ShardProxy.Model.Topology;

namespace ShardProxy.DataPath.Sessions;

/// <summary>
/// Finds deadlocks over several nodes: transactions that wait for each other's locks in a circle no single server sees. Every <see cref="Every"/> the nodes
/// are asked who blocks the servers that have worked for long (<c>pg_blocking_pids</c>), and the answers are joined by transaction. A circle that is still
/// there when they are asked again, with every statement in it the same, is one: the youngest transaction's statement is ended with 40P01 (DESIGN section 7).
/// Deadlocks on one node are PostgreSQL's own to find, unless they are met here first. Asks nobody as long as fewer than two transactions over several nodes
/// are at work for long, and seldom as long as they are the same ones in the same statements.
/// </summary>
internal sealed class DeadlockWatch : IDisposable
{
    public static readonly TimeSpan Every = TimeSpan.FromMilliseconds(100);

    /// <summary>What a statement that waits for a lock has taken at least before anybody is asked.</summary>
    private static readonly TimeSpan Suspicious = TimeSpan.FromMilliseconds(150);

    /// <summary>Asked again behind this time if nobody new waits: a statement under way may come to wait, too.</summary>
    private static readonly TimeSpan SameAgain = TimeSpan.FromMilliseconds(700);

    /// <summary>A node that takes longer does not hold up the search among the others.</summary>
    private static readonly TimeSpan AnswerLimit = TimeSpan.FromSeconds(2);

    /// <summary>What an ended statement is given to be gone before the next look.</summary>
    private static readonly TimeSpan Again = TimeSpan.FromMilliseconds(30);

    private readonly SessionRegistry _registry;
    private readonly DataPathServices _services;
    private readonly CancellationTokenSource _stopping = new();
    private readonly Task _watching;

    // Who was asked about last, by the statements' time-stamps, and when.
    private HashSet<(Session Session, long Since)> _asked = [];
    private long _askedAt;

    public DeadlockWatch(SessionRegistry registry, DataPathServices services)
    {
        _registry = registry;
        _services = services;
        _watching = WatchAsync();
    }

    public void Dispose()
    {
        _stopping.Cancel();
        _stopping.Dispose();
    }

    /// <summary>Ends when it was disposed.</summary>
    public Task Watching => _watching;

    private async Task WatchAsync()
    {
        var stopping = _stopping.Token;
        while (!stopping.IsCancellationRequested)
        {
            await Task.Delay(Every, _services.Time, stopping).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (!stopping.IsCancellationRequested)
            {
                try
                {
                    await LookAsync(stopping).ConfigureAwait(false);
                }
                catch (Exception) when (!stopping.IsCancellationRequested)
                {
                    // Without this watch deadlocks would last until a time-out: whatever has gone wrong, it looks again.
                }
            }
        }
    }

    private async Task LookAsync(CancellationToken stopping)
    {
        var waiters = _registry.All().Where(IsSuspicious).ToList();
        if (waiters.Count(w => w.HeldServers().Select(s => s.Node.Id).Distinct().Count() > 1) < 2)
        {
            return;
        }

        var asked = waiters.Select(w => (w, w.StateSince)).ToHashSet();
        if (asked.IsSubsetOf(_asked) && _services.Time.GetElapsedTime(_askedAt) < SameAgain)
        {
            return;
        }

        var ended = new HashSet<(Session, long)>();
        var isFree = false;
        while (!isFree && !stopping.IsCancellationRequested)
        {
            (_asked, _askedAt) = (asked, _services.Time.GetTimestamp());
            var suspects = await CirclesAsync(stopping).ConfigureAwait(false);
            var circles = suspects.Count > 0 ? await CirclesAsync(stopping).ConfigureAwait(false) : [];
            var victims = circles.Where(c => c.TrueForAll(m => suspects.Exists(s => s.Contains(m)))).Select(Youngest).Where(ended.Add).ToList();
            victims.ForEach(End);

            // Where one was found there may be more behind it that share its members.
            isFree = victims.Count == 0;
            await Task.Delay(isFree ? TimeSpan.Zero : Again, _services.Time, stopping).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        static (Session Session, long Since) Youngest(List<(Session Session, long Since)> circle) =>
            circle.MaxBy(m => m.Session.TransactionSince is 0 ? m.Since : m.Session.TransactionSince);
    }

    /// <summary>Circles of sessions with their statements' time-stamps, each of which was in the same statement before and after the nodes were asked.</summary>
    private async Task<List<List<(Session Session, long Since)>>> CirclesAsync(CancellationToken stopping)
    {
        // Looked at before the nodes are asked: a statement that ends meanwhile is another one afterwards.
        var since = new Dictionary<Session, long>();
        var owners = new Dictionary<(int Node, int ProcessId), Session>();
        var working = new List<ServerConnection>();
        foreach (var session in _registry.All())
        {
            if (session.State == "active")
            {
                since[session] = session.StateSince;
            }

            foreach (var server in session.HeldServers())
            {
                owners[(server.Node.Id, server.ProcessId)] = session;
                if (server.Owed.Count > 0 && since.ContainsKey(session))
                {
                    working.Add(server);
                }
            }
        }

        var graph = new WaitGraph<Session>();
        foreach (var node in working.GroupBy(s => s.Node.Id).ToList())
        {
            foreach (var (waiter, holder) in await BlockersAsync(node.First(), [.. node.Select(s => s.ProcessId)], stopping).ConfigureAwait(false))
            {
                if (owners.TryGetValue((node.Key, waiter), out var waiting) && owners.TryGetValue((node.Key, holder), out var holding))
                {
                    graph.Add(waiting, holding);
                }
            }
        }

        return
        [
            .. graph.Circles()
                .Where(c => c.TrueForAll(s => since.TryGetValue(s, out var before) && s.State == "active" && s.StateSince == before))
                .Select(c => c.ConvertAll(s => (s, since[s]))),
        ];
    }

    private bool IsSuspicious(Session session) =>
        session.State == "active" && _services.Time.GetElapsedTime(session.StateSince) >= Suspicious && session.HeldServers().Any(s => s.Owed.Count > 0);

    private void End((Session Session, long Since) found)
    {
        var victim = found.Session;
        if (victim.State != "active" || victim.StateSince != found.Since)
        {
            return;
        }

        _services.Counters.AddDeadlock();
        victim.Relay.CancelReason = StopErrors.Deadlock;
        _ = SessionEnding.CancelAsync(victim);
    }

    // Asked on a connection of its own, as the role of one who waits: anybody may ask who blocks whom.
    private async Task<List<(int Waiter, int Holder)>> BlockersAsync(ServerConnection of, int[] processIds, CancellationToken stopping)
    {
        var found = new List<(int, int)>();
        ServerConnection? server = null;
        try
        {
            server = await _services.Pools.Get(of.Node, of.Key with { IsWorkspace = true }).LeaseAsync(joins: true, stopping).ConfigureAwait(false);
            using var deadline = new CancellationTokenSource(AnswerLimit, _services.Time);
            await using var giveUp = deadline.Token.Register(static s => ((ServerConnection)s!).Abort(), server);
            var ids = string.Join(',', processIds.Select(p => p.ToString(CultureInfo.InvariantCulture)));
            var result = await SideDialog.RunAsync(server, $"SELECT w, b FROM pg_catalog.unnest('{{{ids}}}'::pg_catalog.int4[]) w, pg_catalog.unnest(pg_catalog.pg_blocking_pids(w)) b").ConfigureAwait(false);
            foreach (var row in result.Rows)
            {
                found.Add((Number(row[0]!), Number(row[1]!)));
            }
        }
        catch (Exception e) when (e is ServerUnavailableException or EndOfStreamException or OperationCanceledException)
        {
            // Asked again at the next look.
        }
        finally
        {
            server?.Pool.Return(server);
        }

        return found;

        static int Number(byte[] text) => int.Parse(Encoding.ASCII.GetString(text), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture);
    }
}
