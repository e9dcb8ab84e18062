using System.Globalization;
using System.Text;
using ShardProxy.DataPath.Servers;
using ShardProxy.Model.Topology;

namespace ShardProxy.DataPath.Sessions;

/// <summary>
/// Finds deadlocks over several nodes: transactions that wait for each other's locks in a circle no single server sees. Every <see cref="Every"/> the nodes
/// are asked who blocks the servers that have worked for long (<c>pg_blocking_pids</c>), and the answers are joined by transaction. A circle that is still
/// there at the next look, with every statement in it the same, is one: the youngest transaction's statement is ended with 40P01 (DESIGN section 7).
/// Deadlocks on one node are PostgreSQL's own to find. Asks nobody as long as fewer than two transactions over several nodes are at work for long.
/// </summary>
internal sealed class DeadlockWatch : IDisposable
{
    public static readonly TimeSpan Every = TimeSpan.FromMilliseconds(250);

    /// <summary>What a statement that waits for a lock has taken at least before anybody is asked.</summary>
    private static readonly TimeSpan Suspicious = TimeSpan.FromMilliseconds(300);

    private readonly SessionRegistry _registry;
    private readonly DataPathServices _services;
    private readonly CancellationTokenSource _stopping = new();
    private readonly Task _watching;
    private Dictionary<Session, long> _suspects = [];

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
            _suspects = [];
            return;
        }

        // Looked at before the nodes are asked: a statement that ends meanwhile is another one at the next look.
        var since = waiters.ToDictionary(w => w, w => w.StateSince);
        var owners = new Dictionary<(int Node, int ProcessId), Session>();
        foreach (var session in _registry.All())
        {
            foreach (var server in session.HeldServers())
            {
                owners[(server.Node.Id, server.ProcessId)] = session;
            }
        }

        var graph = new WaitGraph<Session>();
        var asked = waiters.SelectMany(w => w.HeldServers()).Where(s => s.Owed.Count > 0).GroupBy(s => s.Node.Id).ToList();
        foreach (var node in asked)
        {
            foreach (var (waiter, holder) in await BlockersAsync(node.First(), [.. node.Select(s => s.ProcessId)], stopping).ConfigureAwait(false))
            {
                if (owners.TryGetValue((node.Key, waiter), out var waiting) && owners.TryGetValue((node.Key, holder), out var holding))
                {
                    graph.Add(waiting, holding);
                }
            }
        }

        var suspects = new Dictionary<Session, long>();
        foreach (var circle in graph.Circles().Where(c => c.TrueForAll(since.ContainsKey)))
        {
            if (circle.TrueForAll(s => _suspects.TryGetValue(s, out var before) && before == since[s] && s.StateSince == before))
            {
                End(circle.MaxBy(s => s.TransactionSince is 0 ? s.StateSince : s.TransactionSince)!);
            }
            else
            {
                circle.ForEach(s => suspects[s] = since[s]);
            }
        }

        _suspects = suspects;
    }

    private bool IsSuspicious(Session session) =>
        session.State == "active" && _services.Time.GetElapsedTime(session.StateSince) >= Suspicious && session.HeldServers().Any(s => s.Owed.Count > 0);

    private void End(Session victim)
    {
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
