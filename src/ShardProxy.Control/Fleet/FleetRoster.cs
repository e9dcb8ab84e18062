using System.Collections.Concurrent;
using System.Collections.Immutable;
using ShardProxy.Catalog.Fleet;

namespace ShardProxy.Control.Fleet;

/// <summary>
/// The other proxies' documents as this process last saw them, kept by a watch and looked through every second besides: a watch is a hint. How long one has
/// been silent is measured by this process's clock from the last change seen, so that no two clocks are compared.
/// </summary>
public sealed class FleetRoster(ProxyDirectory directory, string ownId, TimeProvider time) : IDisposable
{
    private static readonly TimeSpan SilentFrom = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan LookEvery = TimeSpan.FromSeconds(1);

    // Looks further apart than this: the catalog was away, or this process was.
    private static readonly TimeSpan Gap = TimeSpan.FromSeconds(4);
    private readonly ConcurrentDictionary<string, Seen> _seen = new(StringComparer.Ordinal);
    private readonly SemaphoreSlim _reading = new(1, 1);
    private long _lastLook = time.GetTimestamp();
    private long _listeningSince = time.GetTimestamp();
    private TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>The others, by id.</summary>
    public ImmutableArray<ProxyRecord> Others => [.. _seen.Values.Select(s => s.Record).OrderBy(r => r.Id, StringComparer.Ordinal)];

    /// <summary>Completes at the next change of any.</summary>
    public Task Changed => Volatile.Read(ref _changed).Task;

    /// <summary>
    /// How long nothing has been heard of a proxy while it could have been: the time in which this process slept, or could not read the catalog either, does
    /// not count. Zero for one that is not known.
    /// </summary>
    public TimeSpan SilenceOf(string id) =>
        _seen.TryGetValue(id, out var seen) ? time.GetElapsedTime(Math.Max(seen.ChangedAt, Volatile.Read(ref _listeningSince))) : TimeSpan.Zero;

    /// <summary>The version of its document, for who writes over it.</summary>
    public long VersionOf(string id) => _seen.TryGetValue(id, out var seen) ? seen.Version : 0;

    /// <summary>Reads all documents now. What was read first is taken first: an older list never takes the place of a newer one.</summary>
    public async Task RefreshAsync(CancellationToken cancellationToken)
    {
        await _reading.WaitAsync(cancellationToken);
        try
        {
            await ReadAsync(cancellationToken);
        }
        finally
        {
            _reading.Release();
        }
    }

    private async Task ReadAsync(CancellationToken cancellationToken)
    {
        var all = await directory.ListAsync(cancellationToken);
        var now = time.GetTimestamp();
        if (time.GetElapsedTime(Interlocked.Exchange(ref _lastLook, now), now) > Gap)
        {
            Volatile.Write(ref _listeningSince, now);
        }

        foreach (var (record, version) in all)
        {
            Take(record, version);
        }

        foreach (var id in _seen.Keys.Except(all.Select(a => a.Record.Id), StringComparer.Ordinal).ToList())
        {
            _seen.TryRemove(id, out _);
            Signal();
        }
    }

    /// <summary>Follows them until cancelled.</summary>
    public async Task RunAsync(CancellationToken cancellationToken) =>
        await Task.WhenAll(WatchAsync(cancellationToken), LookAsync(cancellationToken)).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);

    public void Dispose() => _reading.Dispose();

    private async Task WatchAsync(CancellationToken cancellationToken)
    {
        while (!cancellationToken.IsCancellationRequested)
        {
            try
            {
                await foreach (var id in directory.WatchAsync(cancellationToken))
                {
                    if (id.Length == 0)
                    {
                        await RefreshAsync(cancellationToken);
                    }
                    else if (id != ownId)
                    {
                        await FindAsync(id, cancellationToken);
                    }
                }
            }
            catch (Exception) when (!cancellationToken.IsCancellationRequested)
            {
                await Task.Delay(LookEvery, time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    private async Task FindAsync(string id, CancellationToken cancellationToken)
    {
        await _reading.WaitAsync(cancellationToken);
        try
        {
            if (await directory.FindAsync(id, cancellationToken) is var (record, version))
            {
                Take(record, version);
            }
        }
        finally
        {
            _reading.Release();
        }
    }

    private async Task LookAsync(CancellationToken cancellationToken)
    {
        while (!cancellationToken.IsCancellationRequested)
        {
            await Task.Delay(LookEvery, time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            try
            {
                await RefreshAsync(cancellationToken);
            }
            catch (Exception) when (!cancellationToken.IsCancellationRequested)
            {
                // The catalog is away; nobody can be heard of now, and nobody is expelled without it.
            }
        }
    }

    private void Take(ProxyRecord record, long version)
    {
        if (record.Id == ownId)
        {
            return;
        }

        var isNew = !_seen.TryGetValue(record.Id, out var seen) || seen.Version != version || seen.Record.Instance != record.Instance;
        if (isNew)
        {
            _seen[record.Id] = new Seen(record, version, time.GetTimestamp());
        }

        if (isNew)
        {
            Signal();
        }
    }

    private void Signal() => Interlocked.Exchange(ref _changed, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).TrySetResult();

    private sealed record Seen(ProxyRecord Record, long Version, long ChangedAt);

    /// <summary>SHOW PROXIES: all that share the catalog, by id.</summary>
    /// <param name="own">What this process tells.</param>
    /// <param name="isLeading">It leads.</param>
    public ImmutableArray<ProxyStatus> Statuses(ProxyRecord own, bool isLeading)
    {
        return
        [
            .. Others.Select(p => new ProxyStatus(p.Id, p.Address, false, p.Leads && !p.IsExpelled, StateOf(p), p.Epoch, SilenceOf(p.Id)))
                .Append(new ProxyStatus(own.Id, own.Address, true, isLeading, "serving", own.Epoch, TimeSpan.Zero))
                .OrderBy(p => p.Id, StringComparer.Ordinal),
        ];

        string StateOf(ProxyRecord proxy) => proxy switch
        {
            { IsBarred: true } => "barred",
            { IsExpelled: true } => "expelled",
            _ => SilenceOf(proxy.Id) > SilentFrom ? "silent" : "serving",
        };
    }
}
