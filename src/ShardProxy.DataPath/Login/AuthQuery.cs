using System.Buffers;
using System.Text;
using ShardProxy.DataPath.Routing;
using ShardProxy.DataPath.Servers;
using ShardProxy.Wire.Framing;
using ShardProxy.Wire.Messages;

namespace ShardProxy.DataPath.Login;

/// <summary>What the home node keeps of a role. Never printed.</summary>
/// <param name="Exists">There is such a role and it may log in.</param>
/// <param name="Password">Verifier or hash; null when it has none or it has expired.</param>
/// <param name="IsSuperuser">Only superusers can change it: the password of any other role is in the hands of every role with CREATEROLE.</param>
internal readonly record struct StoredPassword(bool Exists, string? Password, bool IsSuperuser)
{
    public override string ToString() => nameof(StoredPassword);
}

/// <summary>
/// Asks the home node for a role's password, as a role that may see it, over one connection of its own. Answers are kept for a
/// moment, so that a storm of logins is one query a user. Thread-safe; bounded in entries and in time.
/// </summary>
internal sealed class AuthQuery(DataPathOptions options, ServerConnector connector, RoutingTableHolder tables, RoleChanges roleChanges, TimeProvider time) : IDisposable
{
    private const int MaxEntries = 10_000;

    // How long a login waits for an answer it can do without, and how long nobody asks again after a failure.
    private static readonly TimeSpan OptionalWait = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan RetryPause = TimeSpan.FromSeconds(1);

    private readonly Dictionary<string, Entry> _cache = new(StringComparer.Ordinal);
    private readonly Lock _lock = new();
    private readonly SemaphoreSlim _turn = new(1);
    private readonly UserLookupOptions _lookup = options.UserLookup!;
    private ServerConnection? _server;
    private long _failedAt = time.GetTimestamp() - (RetryPause.Ticks * time.TimestampFrequency / TimeSpan.TicksPerSecond);

    /// <summary>Users that are written down nowhere may log in.</summary>
    public bool ServesUnwrittenUsers => _lookup.ServesUnwrittenUsers;

    /// <summary>Looks a role up.</summary>
    /// <param name="user">Its name.</param>
    /// <param name="isOptional">Rather no answer (null) than a long wait or an error.</param>
    /// <param name="cancellationToken">The login's deadline.</param>
    /// <exception cref="LookupFailedException">The home node cannot be asked, and the answer is not optional.</exception>
    public async ValueTask<StoredPassword?> FindAsync(string user, bool isOptional, CancellationToken cancellationToken)
    {
        if (Find(user) is { } known)
        {
            return known;
        }

        if (!isOptional)
        {
            return await AskInTurnAsync(user, cancellationToken).ConfigureAwait(false);
        }

        if (time.GetElapsedTime(Volatile.Read(ref _failedAt)) < RetryPause)
        {
            return null;
        }

        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        using var timer = time.CreateTimer(static s => ((CancellationTokenSource)s!).Cancel(), deadline, OptionalWait, Timeout.InfiniteTimeSpan);
        try
        {
            return await AskInTurnAsync(user, deadline.Token).ConfigureAwait(false);
        }
        catch (Exception e) when (e is LookupFailedException || (e is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            Volatile.Write(ref _failedAt, time.GetTimestamp());
            return null;
        }
    }

    /// <summary>Forgets what is kept of a user, unless it is newer than that: failed logins must not become queries one by one.</summary>
    public void Forget(string user, TimeSpan unlessNewerThan)
    {
        lock (_lock)
        {
            if (_cache.TryGetValue(user, out var entry) && time.GetElapsedTime(entry.At) >= unlessNewerThan)
            {
                _cache.Remove(user);
            }
        }
    }

    public void Dispose()
    {
        _server?.Abort();
        _turn.Dispose();
    }

    private async ValueTask<StoredPassword> AskInTurnAsync(string user, CancellationToken cancellationToken)
    {
        await _turn.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            // Somebody else may have asked the same meanwhile.
            return Find(user) ?? Keep(user, await AskAsync(user, cancellationToken).ConfigureAwait(false));
        }
        finally
        {
            _turn.Release();
        }
    }

    private StoredPassword? Find(string user)
    {
        lock (_lock)
        {
            return !roleChanges.IsRecent && _cache.TryGetValue(user, out var entry) && time.GetElapsedTime(entry.At) < _lookup.CacheTime ? entry.Stored : null;
        }
    }

    private StoredPassword Keep(string user, StoredPassword stored)
    {
        lock (_lock)
        {
            if (_cache.Count >= MaxEntries)
            {
                _cache.Clear();
            }

            _cache[user] = new Entry(stored, time.GetTimestamp());
            return stored;
        }
    }

    private async ValueTask<StoredPassword> AskAsync(string user, CancellationToken cancellationToken)
    {
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        using var timer = time.CreateTimer(static s => ((CancellationTokenSource)s!).Cancel(), deadline, options.ServerConnectTimeout, Timeout.InfiniteTimeSpan);
        try
        {
            if (_server is { IsClean: true } server)
            {
                try
                {
                    return await AskAsync(server, user, deadline.Token).ConfigureAwait(false);
                }
                catch (EndOfStreamException) when (!deadline.IsCancellationRequested)
                {
                    // The node was restarted meanwhile; a question may be asked again.
                }
            }

            await CloseAsync().ConfigureAwait(false);
            var home = tables.Current.HomeNode;
            var credential = new ServerCredential(_lookup.Password, null, []);
            _server = await connector.ConnectAsync(home, new PoolKey(home.Id, _lookup.Database, _lookup.User), credential, deadline.Token).ConfigureAwait(false);
            return await AskAsync(_server, user, deadline.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            await CloseAsync().ConfigureAwait(false);
            throw;
        }
        catch (Exception e) when (e is EndOfStreamException or ServerUnavailableException or OperationCanceledException)
        {
            await CloseAsync().ConfigureAwait(false);
            cancellationToken.ThrowIfCancellationRequested();
            throw new LookupFailedException(e is ServerUnavailableException ? "the home node cannot be reached" : "the home node did not answer", e);
        }
    }

    private async ValueTask<StoredPassword> AskAsync(ServerConnection server, string user, CancellationToken cancellationToken)
    {
        await using var abort = cancellationToken.Register(static s => ((ServerConnection)s!).Abort(), server).ConfigureAwait(false);
        Send(server, user);
        await server.Output.FlushAsync(cancellationToken).ConfigureAwait(false);
        var result = await SideDialog.CollectAsync(server).ConfigureAwait(false);
        if (!result.IsOk)
        {
            throw new LookupFailedException($"the query failed with {result.Error?.SqlState}");
        }

        if (result.Rows is not [{ Length: >= 2 } row, ..] || row[0] is not { } name || Encoding.UTF8.GetString(name) != user)
        {
            return default;
        }

        var isSuperuser = row.Length > 2 && row[2] is [(byte)'t', ..];
        return new StoredPassword(true, row[1] is { Length: > 0 } password ? Encoding.UTF8.GetString(password) : null, isSuperuser);
    }

    private void Send(ServerConnection server, string user)
    {
        var output = server.Output;
        var name = Encoding.UTF8.GetBytes(user);
        MessageWriter.Parse(output, ""u8, Encoding.UTF8.GetBytes(_lookup.Query), [0, 0]);
        MessageWriter.Header(output, FrontendTag.Bind, 2 + 2 + 2 + 4 + name.Length + 2);
        output.Write("\0\0"u8);
        MessageWriter.Int16(output, 0);
        MessageWriter.Int16(output, 1);
        MessageWriter.Int32(output, name.Length);
        output.Write(name);
        MessageWriter.Int16(output, 0);
        MessageWriter.Header(output, FrontendTag.Execute, 5);
        MessageWriter.Text(output, ""u8);
        MessageWriter.Int32(output, 0);
        MessageWriter.Empty(output, FrontendTag.Sync);
        server.Owed.Enqueue(ReplyKind.Sync, isHidden: true);
    }

    private async ValueTask CloseAsync()
    {
        if (_server is { } server)
        {
            _server = null;
            server.Abort();
            await server.DisposeAsync().ConfigureAwait(false);
        }
    }

    private readonly record struct Entry(StoredPassword Stored, long At);
}
