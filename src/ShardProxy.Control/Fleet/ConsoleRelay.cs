using System.Collections.Concurrent;
using System.Collections.Immutable;
using ShardProxy.Catalog.Fleet;
using ShardProxy.Catalog.Stores;
using ShardProxy.Model.Console;
using ShardProxy.Model.Errors;

namespace ShardProxy.Control.Fleet;

/// <summary>
/// Passes console statements from a proxy that follows to the one that leads, through the catalog, which both trust and reach: no proxy logs in to another. A statement is
/// carried out by the process that has put its name on it and by no other, so never twice; until then it can be taken back, and after that only its answer tells what came of it.
/// </summary>
/// <param name="store">The catalog.</param>
/// <param name="proxyId">This proxy.</param>
/// <param name="proxies">All that share the catalog.</param>
/// <param name="carryOut">Runs a statement of a user on this proxy's own console.</param>
/// <param name="time">Clock.</param>
public sealed class ConsoleRelay(
    ICatalogStore store, string proxyId, Func<ImmutableArray<ProxyStatus>> proxies, Func<string, string, CancellationToken, ValueTask<ConsoleReply>> carryOut, TimeProvider time)
{
    /// <summary>Longer ones are none that anybody passes on.</summary>
    private const int MaxStatementLength = 64 * 1024;

    private const int MaxRunning = 64;

    private static readonly TimeSpan Round = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan TakeLimit = TimeSpan.FromSeconds(10);

    // Whoever ends in order, or loses its lease, still answers.
    private static readonly TimeSpan LossLimit = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan CatalogLimit = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan AfterWord = TimeSpan.FromSeconds(5);

    private readonly ConsoleMailbox _mailbox = new(store);
    private readonly string _run = Guid.NewGuid().ToString("N");
    private readonly ConcurrentDictionary<string, CancellationTokenSource> _running = new(StringComparer.Ordinal);
    private volatile TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>The proxy that leads, when it is another one and answers.</summary>
    public string? Leader => proxies().FirstOrDefault(p => p is { IsLeading: true, IsThis: false, State: "serving" })?.Id;

    /// <summary>Has a statement carried out by the leader. Its answer, or SHP-523 when it was not begun, or SHP-524 when nobody can tell what came of it.</summary>
    /// <param name="statement">Text without secrets.</param>
    /// <param name="user">Who asks, and may.</param>
    /// <param name="cancellationToken">Ends the wait here and there, as if the client had asked there.</param>
    public async ValueTask<ConsoleReply> AskAsync(string statement, string user, CancellationToken cancellationToken)
    {
        var id = Guid.NewGuid().ToString("N");
        if (Leader is not { } leader || statement.Length > MaxStatementLength)
        {
            return ConsoleReply.Failed(ControlErrors.LeaderDidNotBegin);
        }

        try
        {
            await _mailbox.TryWriteAsync(id, new ConsoleRequest { From = proxyId, To = leader, Statement = statement, User = user }, 0, cancellationToken);
            return await WaitAsync(id, leader, cancellationToken);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            await CancelAsync(id);
            throw;
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            // The catalog is away: whether the leader has the statement nobody can tell.
            return ConsoleReply.Failed(ControlErrors.LeaderLost);
        }
    }

    /// <summary>Follows what is asked of this proxy, and wakes who waits for an answer. Runs until cancelled; never throws.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        await Task.WhenAll(WatchAsync(cancellationToken), TakeRoundsAsync(cancellationToken)).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    private async Task<ConsoleReply> WaitAsync(string id, string leader, CancellationToken cancellationToken)
    {
        var (asked, lastSeen, lostSince) = (time.GetTimestamp(), time.GetTimestamp(), (long?)null);
        while (true)
        {
            var changed = _changed.Task;
            (ConsoleRequest Request, long Version)? found;
            try
            {
                found = await _mailbox.FindAsync(id, cancellationToken);
                lastSeen = time.GetTimestamp();
            }
            catch (Exception) when (!cancellationToken.IsCancellationRequested && time.GetElapsedTime(lastSeen) < CatalogLimit)
            {
                await Task.Delay(Round, time, cancellationToken);
                continue;
            }

            if (found is not var (request, version))
            {
                return ConsoleReply.Failed(ControlErrors.LeaderLost);
            }

            if (request.Reply is { } reply)
            {
                await _mailbox.TryRemoveAsync(id, version, CancellationToken.None);
                return reply;
            }

            lostSince = Leader == leader ? null : lostSince ?? time.GetTimestamp();
            var isLost = lostSince is { } since && time.GetElapsedTime(since) > LossLimit;
            if ((isLost || (request.TakenBy is null && time.GetElapsedTime(asked) > TakeLimit)) && await _mailbox.TryRemoveAsync(id, version, cancellationToken))
            {
                return ConsoleReply.Failed(request.TakenBy is null ? ControlErrors.LeaderDidNotBegin : ControlErrors.LeaderLost);
            }

            await Task.WhenAny(changed, Task.Delay(Round, time, cancellationToken));
            cancellationToken.ThrowIfCancellationRequested();
        }
    }

    // What has not begun is taken back; who carries it out is told that nobody waits.
    private async Task CancelAsync(string id)
    {
        using var limit = new CancellationTokenSource(AfterWord, time);
        try
        {
            while (await _mailbox.FindAsync(id, limit.Token) is var (request, version))
            {
                if (request.TakenBy is null || request.Reply is not null ? await _mailbox.TryRemoveAsync(id, version, limit.Token)
                    : await _mailbox.TryWriteAsync(id, request with { IsCancelled = true }, version, limit.Token))
                {
                    return;
                }
            }
        }
        catch (Exception)
        {
            // The catalog is away; the leader removes what nobody fetches when this proxy is gone.
        }
    }

    private async Task WatchAsync(CancellationToken cancellationToken)
    {
        while (!cancellationToken.IsCancellationRequested)
        {
            try
            {
                await foreach (var _ in _mailbox.WatchAsync(cancellationToken))
                {
                    Interlocked.Exchange(ref _changed, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).TrySetResult();
                }
            }
            catch (Exception) when (!cancellationToken.IsCancellationRequested)
            {
                await Task.Delay(Round, time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    private async Task TakeRoundsAsync(CancellationToken cancellationToken)
    {
        while (!cancellationToken.IsCancellationRequested)
        {
            var changed = _changed.Task;
            try
            {
                await TakeRoundAsync(cancellationToken);
            }
            catch (Exception) when (!cancellationToken.IsCancellationRequested)
            {
                // The catalog is away.
            }

            // A change that the watch did not tell is seen soon.
            await Task.WhenAny(changed, Task.Delay(Round * 4, time, cancellationToken));
        }

        foreach (var running in _running.Values)
        {
            await running.CancelAsync();
        }
    }

    private async Task TakeRoundAsync(CancellationToken cancellationToken)
    {
        foreach (var (id, request, version) in await _mailbox.ListAsync(cancellationToken))
        {
            var isOrphan = !proxies().Any(p => p.Id == request.From && p.State is "serving" or "silent");
            if (request.To != proxyId)
            {
                continue;
            }

            if (_running.TryGetValue(id, out var running))
            {
                if (request.IsCancelled || isOrphan)
                {
                    await running.CancelAsync();
                }
            }
            else if (isOrphan || (request.IsCancelled && request.Reply is null))
            {
                await _mailbox.TryRemoveAsync(id, version, cancellationToken);
            }
            else if (request.TakenBy is not null && request.Reply is null)
            {
                // An earlier process of this proxy had it, or the answer could not be written.
                await _mailbox.TryWriteAsync(id, request with { Reply = ConsoleReply.Failed(ControlErrors.LeaderLost) }, version, cancellationToken);
            }
            else if (request.TakenBy is null && _running.Count < MaxRunning && await _mailbox.TryWriteAsync(id, request with { TakenBy = _run }, version, cancellationToken))
            {
                _ = CarryOutAsync(id, request, cancellationToken);
            }
        }
    }

    private async Task CarryOutAsync(string id, ConsoleRequest request, CancellationToken stop)
    {
        using var cancel = CancellationTokenSource.CreateLinkedTokenSource(stop);
        _running[id] = cancel;
        try
        {
            await Task.Yield();
            var reply = await carryOut(request.Statement, request.User, cancel.Token);
            reply = stop.IsCancellationRequested && reply.Error is not null ? ConsoleReply.Failed(ControlErrors.LeaderLost) : reply;
            using var limit = new CancellationTokenSource(AfterWord, time);
            while (await _mailbox.FindAsync(id, limit.Token) is var (now, version))
            {
                if (now.IsCancelled ? await _mailbox.TryRemoveAsync(id, version, limit.Token) : await _mailbox.TryWriteAsync(id, now with { Reply = reply }, version, limit.Token))
                {
                    break;
                }
            }
        }
        catch (Exception)
        {
            // The catalog is away, and the answer with it: who waits is told that nobody knows, by the next round that finds it not running.
        }
        finally
        {
            _running.TryRemove(id, out _);
        }
    }
}
