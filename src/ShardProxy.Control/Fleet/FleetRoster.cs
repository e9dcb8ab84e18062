using System.Collections.Concurrent;
using System.Collections.Immutable;
using Npgsql;
using ShardProxy.Catalog.Fleet;

namespace ShardProxy.Control.Fleet;

/// <summary>
/// The other proxies' documents as this process last saw them, kept by a watch and looked through every second besides: a watch is a hint. How long one has
/// been silent is measured by this process's clock from the last change seen, so that no two clocks are compared.
/// </summary>
public sealed class FleetRoster(ProxyDirectory directory, string ownId, TimeProvider time)
{
    private static readonly TimeSpan LookEvery = TimeSpan.FromSeconds(1);
    private readonly ConcurrentDictionary<string, Seen> _seen = new(StringComparer.Ordinal);
    private TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>The others, by id.</summary>
    public ImmutableArray<ProxyRecord> Others => [.. _seen.Values.Select(s => s.Record).OrderBy(r => r.Id, StringComparer.Ordinal)];

    /// <summary>Completes at the next change of any.</summary>
    public Task Changed => Volatile.Read(ref _changed).Task;

    /// <summary>How long nothing has been heard of a proxy; zero for one that is not known.</summary>
    public TimeSpan SilenceOf(string id) => _seen.TryGetValue(id, out var seen) ? time.GetElapsedTime(seen.ChangedAt) : TimeSpan.Zero;

    /// <summary>The version of its document, for who writes over it.</summary>
    public long VersionOf(string id) => _seen.TryGetValue(id, out var seen) ? seen.Version : 0;

    /// <summary>Reads all documents now.</summary>
    public async Task RefreshAsync(CancellationToken cancellationToken)
    {
        var all = await directory.ListAsync(cancellationToken);
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
    public async Task RunAsync(CancellationToken cancellationToken) => await Task.WhenAll(WatchAsync(cancellationToken), LookAsync(cancellationToken));

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
                    else if (id != ownId && await directory.FindAsync(id, cancellationToken) is var (record, version))
                    {
                        Take(record, version);
                    }
                }
            }
            catch (Exception e) when (e is NpgsqlException or IOException or TimeoutException or OperationCanceledException)
            {
                await Task.Delay(LookEvery, time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
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
            catch (Exception e) when (e is NpgsqlException or IOException or TimeoutException or OperationCanceledException)
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

        var now = time.GetTimestamp();
        var isNew = false;
        _seen.AddOrUpdate(
            record.Id,
            _ =>
            {
                isNew = true;
                return new Seen(record, version, now);
            },
            (_, seen) =>
            {
                // A document that was taken away and written anew begins at version 1 again.
                isNew = seen.Version != version || seen.Record.Instance != record.Instance;
                return isNew && (version > seen.Version || seen.Record.Instance != record.Instance) ? new Seen(record, version, now) : seen;
            });
        if (isNew)
        {
            Signal();
        }
    }

    private void Signal() => Interlocked.Exchange(ref _changed, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).TrySetResult();

    private sealed record Seen(ProxyRecord Record, long Version, long ChangedAt);
}
