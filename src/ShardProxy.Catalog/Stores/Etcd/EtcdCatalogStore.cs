using System.Collections.Immutable;
using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Json;

namespace ShardProxy.Catalog.Stores.Etcd;

/// <summary>
/// The catalog in etcd 3.4 or later, by its JSON gateway. A version is etcd's own count of a key's writes; a write is one transaction that compares it. In front of
/// the value stands a random mark of its writer, by which a lost answer is settled by reading back. Leases are keys that live as long as an
/// etcd lease; their fencing token is the store's revision when they were taken, which only grows.
/// </summary>
public sealed class EtcdCatalogStore : ICatalogStore
{
    /// <summary>etcd does not keep leases for shorter; shorter ones last this long.</summary>
    public static readonly TimeSpan ShortestLease = TimeSpan.FromSeconds(1);

    private const int MarkLength = 32;
    private const int ReadAttempts = 5;
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(50);
    private readonly EtcdOptions _options;
    private readonly TimeProvider _time;
    private readonly EtcdClient _client;

    public EtcdCatalogStore(EtcdOptions options, TimeProvider time)
    {
        _options = options;
        _time = time;
        _client = new EtcdClient(options, time);
    }

    /// <summary>Sees that the cluster answers.</summary>
    public async ValueTask InitializeAsync(CancellationToken cancellationToken) => await GetAsync("", cancellationToken);

    public async ValueTask<CatalogEntry?> GetAsync(string key, CancellationToken cancellationToken) =>
        (await ReadAsync($$"""{"key":"{{Encoded(EntryKey(key))}}"}""", cancellationToken)).FirstOrDefault().Entry;

    public async ValueTask<ImmutableArray<CatalogEntry>> ListAsync(string prefix, CancellationToken cancellationToken) =>
        [
            .. (await ReadAsync(
                $$"""{"key":"{{Encoded(EntryKey(prefix))}}","range_end":"{{Encoded(After(EntryKey(prefix)))}}","sort_target":"KEY","sort_order":"ASCEND"}""", cancellationToken))
                .Select(r => r.Entry!),
        ];

    public async ValueTask<long?> CompareAndSetAsync(string key, long expectedVersion, ReadOnlyMemory<byte> value, CancellationToken cancellationToken)
    {
        var mark = Guid.NewGuid().ToString("N");
        while (true)
        {
            try
            {
                if (await PutAsync(key, "VERSION", "version", expectedVersion, Marked(mark, value.Span), cancellationToken))
                {
                    return expectedVersion + 1;
                }

                break;
            }
            catch (Exception e) when (e is EtcdException { IsDefinite: false } or OperationCanceledException)
            {
                // The answer is lost, the write perhaps not. Never sent again before it is known who won.
                var (version, isOwn) = await SettleAsync(key, mark);
                if (isOwn)
                {
                    return version;
                }

                if (version != expectedVersion + 1 || expectedVersion == 0)
                {
                    return null;
                }

                // Nobody has written but the raise: it was not done, and cannot be any more.
                cancellationToken.ThrowIfCancellationRequested();
                expectedVersion = version;
            }
        }

        // Another's version, or this very write sent twice by the transport: then its mark is there.
        var now = (await ReadAsync($$"""{"key":"{{Encoded(EntryKey(key))}}"}""", CancellationToken.None)).FirstOrDefault();
        return now.Mark == mark ? now.Entry!.Version : null;
    }

    public async ValueTask<bool> RemoveAsync(string key, long expectedVersion, CancellationToken cancellationToken)
    {
        var encoded = Encoded(EntryKey(key));
        var body = $$"""{"compare":[{"key":"{{encoded}}","target":"VERSION","result":"EQUAL","version":"{{Text(expectedVersion)}}"}],"success":[{"request_delete_range":{"key":"{{encoded}}"} }]}""";
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                var answer = await _client.PostAsync("/v3/kv/txn", body, cancellationToken);
                return expectedVersion > 0 && Succeeded(answer);
            }
            catch (EtcdException e) when (!e.IsDefinite && attempt < ReadAttempts)
            {
                // To remove the same version twice is to remove it once.
                var now = await GetAsync(key, cancellationToken);
                if (now?.Version != expectedVersion)
                {
                    return now is null;
                }
            }
        }
    }

    public async IAsyncEnumerable<string> WatchAsync(string prefix, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var watched = EntryKey(prefix);
        var body = $$"""{"create_request":{"key":"{{Encoded(watched)}}","range_end":"{{Encoded(After(watched))}}"} }""";
        for (var failures = 0; ; failures++)
        {
            cancellationToken.ThrowIfCancellationRequested();
            await using var answers = _client.StreamAsync("/v3/watch", body, _options.WatchSilence, cancellationToken).GetAsyncEnumerator(cancellationToken);
            while (await NextAsync(answers, cancellationToken) is { } answer)
            {
                if (!answer.TryGetProperty("result", out var result) || result.TryGetProperty("canceled", out var ended) && ended.GetBoolean())
                {
                    break;
                }

                failures = 0;
                if (result.TryGetProperty("created", out var created) && created.GetBoolean())
                {
                    // After each new beginning too: whatever happened meanwhile has to be read again.
                    yield return "";
                }

                foreach (var key in Keys(result))
                {
                    yield return key[EntryKey("").Length..];
                }
            }

            await Task.Delay(Pause(failures), _time, cancellationToken);
        }
    }

    public async ValueTask<CatalogLease?> TryAcquireLeaseAsync(string name, string owner, TimeSpan duration, CancellationToken cancellationToken)
    {
        if (duration <= TimeSpan.Zero)
        {
            // One that is over at once.
            return await TryAcquireLeaseAsync(name, owner, ShortestLease, cancellationToken) is { } held ? await OverAsync(held) : null;
        }

        var seconds = (long)Math.Ceiling(Math.Max(duration.TotalSeconds, ShortestLease.TotalSeconds));
        while (true)
        {
            var now = _time.GetUtcNow();
            var held = (await RangeAsync($$"""{"key":"{{Encoded(LeaseKey(name))}}"}""", cancellationToken)).Select(Holder.Read).FirstOrDefault();
            if (held is { } other && other.Owner != owner)
            {
                return null;
            }

            if (held is { } mine)
            {
                if (await KeepAliveAsync(mine.LeaseId, cancellationToken))
                {
                    return new CatalogLease(name, owner, mine.Token, now + TimeSpan.FromSeconds(seconds));
                }

                continue;
            }

            var id = await GrantAsync(seconds, cancellationToken);
            try
            {
                var answer = await TakeAsync(name, owner, id, cancellationToken);
                if (answer is { } token)
                {
                    return new CatalogLease(name, owner, token, now + TimeSpan.FromSeconds(seconds));
                }
            }
            catch
            {
                // Whatever became of it: without its lease the key goes.
                await RevokeQuietlyAsync(id);
                throw;
            }

            await RevokeQuietlyAsync(id);
        }

        async Task<CatalogLease> OverAsync(CatalogLease taken)
        {
            await ReleaseLeaseAsync(taken, cancellationToken);
            return taken with { ExpiresAt = _time.GetUtcNow() + duration };
        }
    }

    public async ValueTask ReleaseLeaseAsync(CatalogLease lease, CancellationToken cancellationToken)
    {
        var held = (await RangeAsync($$"""{"key":"{{Encoded(LeaseKey(lease.Name))}}"}""", cancellationToken)).Select(Holder.Read).FirstOrDefault();
        if (held is { } mine && mine.Token == lease.FencingToken)
        {
            await _client.PostAsync("/v3/lease/revoke", $$"""{"ID":"{{Text(mine.LeaseId)}}"}""", cancellationToken);
        }
    }

    public ValueTask DisposeAsync()
    {
        _client.Dispose();
        return ValueTask.CompletedTask;
    }

    /// <summary>After a write without an answer: was it done? When not, the version is raised, so that a request which is still on its way finds another than it expects.</summary>
    /// <returns>The version then; 0 for a key that does not exist, where there is nothing to raise: its writers read again and take it as they find it.</returns>
    private async Task<(long Version, bool IsOwn)> SettleAsync(string key, string mark)
    {
        while (true)
        {
            var (entry, writer, revision, value) = (await ReadAsync($$"""{"key":"{{Encoded(EntryKey(key))}}"}""", CancellationToken.None)).FirstOrDefault();
            if (entry is null || writer == mark)
            {
                return (entry?.Version ?? 0, entry is not null);
            }

            try
            {
                if (await PutAsync(key, "MOD", "mod_revision", revision, value!, CancellationToken.None))
                {
                    return (entry.Version + 1, false);
                }
            }
            catch (EtcdException e) when (!e.IsDefinite)
            {
                // Looked at once more.
            }
        }
    }

    private async Task<bool> PutAsync(string key, string target, string field, long expected, byte[] value, CancellationToken cancellationToken)
    {
        var encoded = Encoded(EntryKey(key));
        var answer = await _client.PostAsync(
            "/v3/kv/txn",
            $$"""{"compare":[{"key":"{{encoded}}","target":"{{target}}","result":"EQUAL","{{field}}":"{{Text(expected)}}"}],"success":[{"request_put":{"key":"{{encoded}}","value":"{{Convert.ToBase64String(value)}}"} }]}""",
            cancellationToken);
        return Succeeded(answer);
    }

    private async Task<List<(CatalogEntry? Entry, string? Mark, long Revision, byte[]? Value)>> ReadAsync(string body, CancellationToken cancellationToken) =>
        (await RangeAsync(body, cancellationToken)).ConvertAll(kv =>
        {
            var key = kv.GetProperty("key").GetBytesFromBase64();
            var value = kv.GetProperty("value").GetBytesFromBase64();
            return (
                (CatalogEntry?)new CatalogEntry(Encoding.UTF8.GetString(key)[EntryKey("").Length..], value.AsMemory(MarkLength + 1), Number(kv, "version")),
                (string?)Encoding.ASCII.GetString(value, 0, MarkLength),
                Number(kv, "mod_revision"),
                (byte[]?)value);
        });

    /// <summary>A linearizable read, tried again: reading changes nothing.</summary>
    private async Task<List<JsonElement>> RangeAsync(string body, CancellationToken cancellationToken)
    {
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                var answer = await _client.PostAsync("/v3/kv/range", body, cancellationToken);
                return answer.TryGetProperty("kvs", out var found) ? [.. found.EnumerateArray()] : [];
            }
            catch (EtcdException) when (attempt < ReadAttempts)
            {
                await Task.Delay(Pause(attempt), _time, cancellationToken);
            }
        }
    }

    private async Task<long> GrantAsync(long seconds, CancellationToken cancellationToken) =>
        Number(await _client.PostAsync("/v3/lease/grant", $$"""{"TTL":"{{Text(seconds)}}"}""", cancellationToken), "ID");

    /// <summary>False: it is over already.</summary>
    private async Task<bool> KeepAliveAsync(long id, CancellationToken cancellationToken)
    {
        var answer = await _client.PostAsync("/v3/lease/keepalive", $$"""{"ID":"{{Text(id)}}"}""", cancellationToken);
        return answer.TryGetProperty("result", out var result) && Number(result, "TTL") > 0;
    }

    /// <summary>The token, or null: somebody was first.</summary>
    private async Task<long?> TakeAsync(string name, string owner, long id, CancellationToken cancellationToken)
    {
        var key = Encoded(LeaseKey(name));
        var answer = await _client.PostAsync(
            "/v3/kv/txn",
            $$"""{"compare":[{"key":"{{key}}","target":"CREATE","result":"EQUAL","create_revision":"0"}],"success":[{"request_put":{"key":"{{key}}","value":"{{Encoded(owner)}}","lease":"{{Text(id)}}"} }]}""",
            cancellationToken);
        return Succeeded(answer) ? Number(answer.GetProperty("header"), "revision") : null;
    }

    private async Task RevokeQuietlyAsync(long id)
    {
        try
        {
            await _client.PostAsync("/v3/lease/revoke", $$"""{"ID":"{{Text(id)}}"}""", CancellationToken.None);
        }
        catch (EtcdException)
        {
            // It ends by itself.
        }
    }

    private static async Task<JsonElement?> NextAsync(IAsyncEnumerator<JsonElement> answers, CancellationToken cancellationToken)
    {
        try
        {
            return await answers.MoveNextAsync() ? answers.Current : null;
        }
        catch (Exception e) when (e is IOException or JsonException)
        {
            cancellationToken.ThrowIfCancellationRequested();
            return null;
        }
    }

    private static IEnumerable<string> Keys(JsonElement result) =>
        result.TryGetProperty("events", out var events)
            ? events.EnumerateArray().Select(e => Encoding.UTF8.GetString(e.GetProperty("kv").GetProperty("key").GetBytesFromBase64()))
            : [];

    private static TimeSpan Pause(int attempt) => FirstPause * Math.Pow(2, Math.Min(attempt, 6) - 1) * (0.5 + Random.Shared.NextDouble());

    private static bool Succeeded(JsonElement answer) => answer.TryGetProperty("succeeded", out var succeeded) && succeeded.GetBoolean();

    // Numbers of 64 bits come as texts; zeros are left out.
    private static long Number(JsonElement of, string name) =>
        !of.TryGetProperty(name, out var value) ? 0
        : value.ValueKind == JsonValueKind.String ? long.Parse(value.GetString()!, CultureInfo.InvariantCulture)
        : value.GetInt64();

    private static byte[] Marked(string mark, ReadOnlySpan<byte> value)
    {
        var marked = new byte[MarkLength + 1 + value.Length];
        Encoding.ASCII.GetBytes(mark, marked);
        marked[MarkLength] = (byte)'\n';
        value.CopyTo(marked.AsSpan(MarkLength + 1));
        return marked;
    }

    private string EntryKey(string key) => $"{_options.Prefix}/entry/{key}";

    private string LeaseKey(string name) => $"{_options.Prefix}/lease/{name}";

    private static string Text(long number) => number.ToString(CultureInfo.InvariantCulture);

    private static string Encoded(string text) => Convert.ToBase64String(Encoding.UTF8.GetBytes(text));

    // The end of the keys with that prefix; none of them has a character above this one.
    private static string After(string prefix) => prefix + "\U0010ffff";

    private readonly record struct Holder(string Owner, long Token, long LeaseId)
    {
        public static Holder? Read(JsonElement kv) => new Holder(
            Encoding.UTF8.GetString(kv.GetProperty("value").GetBytesFromBase64()), Number(kv, "create_revision"), Number(kv, "lease"));
    }
}
