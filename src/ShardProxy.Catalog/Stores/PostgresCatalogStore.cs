using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using Npgsql;
using NpgsqlTypes;
using Polly;
using Polly.Retry;

namespace ShardProxy.Catalog.Stores;

/// <summary>
/// The catalog in schema <c>shardproxy_catalog</c> of a PostgreSQL server, by default the home node. A write is one UPDATE or INSERT that
/// names the version it replaces and leaves a random writer mark, by which a lost answer is settled by reading back.
/// </summary>
public sealed class PostgresCatalogStore : ICatalogStore
{
    private const string Channel = "shardproxy_catalog";
    private const string Ddl = """
        CREATE SCHEMA IF NOT EXISTS shardproxy_catalog;
        CREATE TABLE IF NOT EXISTS shardproxy_catalog.entry (
            key text COLLATE "C" PRIMARY KEY, value text NOT NULL, version bigint NOT NULL, writer uuid NOT NULL);
        CREATE TABLE IF NOT EXISTS shardproxy_catalog.lease (
            name text PRIMARY KEY, owner text NOT NULL, token bigint NOT NULL, expires_at timestamptz NOT NULL);
        CREATE SEQUENCE IF NOT EXISTS shardproxy_catalog.fencing_token;
        """;

    private readonly NpgsqlDataSource _source;
    private readonly bool _ownsSource;
    private readonly ResiliencePipeline _readRetries;

    /// <param name="source">Connections to the server that holds the catalog.</param>
    /// <param name="time">Clock of the retries.</param>
    /// <param name="ownsSource">Dispose <paramref name="source"/> with the store.</param>
    public PostgresCatalogStore(NpgsqlDataSource source, TimeProvider time, bool ownsSource = false)
    {
        _source = source;
        _ownsSource = ownsSource;
        _readRetries = new ResiliencePipelineBuilder { TimeProvider = time }
            .AddRetry(new RetryStrategyOptions
            {
                ShouldHandle = new PredicateBuilder().Handle<NpgsqlException>(e => e.IsTransient),
                MaxRetryAttempts = 5,
                BackoffType = DelayBackoffType.Exponential,
                Delay = TimeSpan.FromMilliseconds(50),
                UseJitter = true,
            })
            .Build();
    }

    public async ValueTask InitializeAsync(CancellationToken cancellationToken) =>
        await _readRetries.ExecuteAsync(
            async ct =>
            {
                await using var connection = await _source.OpenConnectionAsync(ct);
                await using var transaction = await connection.BeginTransactionAsync(ct);

                // CREATE … IF NOT EXISTS of two sessions at once can still collide on the catalogs' unique indexes.
                await using var command = new NpgsqlCommand("SELECT pg_advisory_xact_lock(1397247043, 0);" + Ddl, connection, transaction);
                await command.ExecuteNonQueryAsync(ct);
                await transaction.CommitAsync(ct);
            },
            cancellationToken);

    public async ValueTask<CatalogEntry?> GetAsync(string key, CancellationToken cancellationToken) =>
        (await ReadAsync("SELECT key, value, version FROM shardproxy_catalog.entry WHERE key = $1", key, cancellationToken)).FirstOrDefault();

    public async ValueTask<ImmutableArray<CatalogEntry>> ListAsync(string prefix, CancellationToken cancellationToken) =>
        await ReadAsync("SELECT key, value, version FROM shardproxy_catalog.entry WHERE starts_with(key, $1) ORDER BY key", prefix, cancellationToken);

    public async ValueTask<long?> CompareAndSetAsync(string key, long expectedVersion, ReadOnlyMemory<byte> value, CancellationToken cancellationToken)
    {
        const string Insert = "WITH w AS (INSERT INTO shardproxy_catalog.entry (key, version, value, writer) VALUES ($1, $2 + 1, $3, $4) ON CONFLICT DO NOTHING RETURNING version) SELECT version, pg_notify('shardproxy_catalog', $1) FROM w";
        const string Update = "WITH w AS (UPDATE shardproxy_catalog.entry SET version = version + 1, value = $3, writer = $4 WHERE key = $1 AND version = $2 RETURNING version) SELECT version, pg_notify('shardproxy_catalog', $1) FROM w";
        return await WriteAsync(expectedVersion == 0 ? Insert : Update, key, expectedVersion, value, cancellationToken);
    }

    public async ValueTask<bool> RemoveAsync(string key, long expectedVersion, CancellationToken cancellationToken)
    {
        const string Delete = "WITH w AS (DELETE FROM shardproxy_catalog.entry WHERE key = $1 AND version = $2 RETURNING version) SELECT version, pg_notify('shardproxy_catalog', $1) FROM w";
        await using var command = _source.CreateCommand(Delete);
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = key });
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = expectedVersion });
        return await command.ExecuteScalarAsync(cancellationToken) is long;
    }

    public async IAsyncEnumerable<string> WatchAsync(string prefix, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        while (true)
        {
            await using var connection = await _readRetries.ExecuteAsync(async ct => await _source.OpenConnectionAsync(ct), cancellationToken);
            var changed = new Queue<string>();
            connection.Notification += (_, n) => changed.Enqueue(n.Payload);
            await using (var listen = new NpgsqlCommand("LISTEN " + Channel, connection))
            {
                await listen.ExecuteNonQueryAsync(cancellationToken);
            }

            // After a reconnect too: whatever happened meanwhile has to be read again.
            yield return "";
            while (await WaitAsync(connection, cancellationToken))
            {
                while (changed.TryDequeue(out var key))
                {
                    if (key.StartsWith(prefix, StringComparison.Ordinal))
                    {
                        yield return key;
                    }
                }
            }
        }
    }

    public async ValueTask<CatalogLease?> TryAcquireLeaseAsync(string name, string owner, TimeSpan duration, CancellationToken cancellationToken)
    {
        const string Acquire = """
            INSERT INTO shardproxy_catalog.lease AS l (name, owner, token, expires_at)
            VALUES ($1, $2, nextval('shardproxy_catalog.fencing_token'), clock_timestamp() + $3)
            ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, expires_at = excluded.expires_at,
                token = CASE WHEN l.owner = excluded.owner AND l.expires_at > clock_timestamp() THEN l.token ELSE excluded.token END
            WHERE l.owner = excluded.owner OR l.expires_at <= clock_timestamp()
            RETURNING token, expires_at
            """;
        await using var command = _source.CreateCommand(Acquire);
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = name });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = owner });
        command.Parameters.Add(new NpgsqlParameter<TimeSpan> { TypedValue = duration, NpgsqlDbType = NpgsqlDbType.Interval });
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        return await reader.ReadAsync(cancellationToken)
            ? new CatalogLease(name, owner, reader.GetInt64(0), reader.GetFieldValue<DateTimeOffset>(1))
            : null;
    }

    public async ValueTask ReleaseLeaseAsync(CatalogLease lease, CancellationToken cancellationToken)
    {
        await using var command = _source.CreateCommand("DELETE FROM shardproxy_catalog.lease WHERE name = $1 AND token = $2");
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = lease.Name });
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = lease.FencingToken });
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    public ValueTask DisposeAsync() => _ownsSource ? _source.DisposeAsync() : ValueTask.CompletedTask;

    private static async ValueTask<bool> WaitAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        try
        {
            await connection.WaitAsync(cancellationToken);
            return true;
        }
        catch (NpgsqlException)
        {
            return false;
        }
    }

    private async ValueTask<ImmutableArray<CatalogEntry>> ReadAsync(string sql, string argument, CancellationToken cancellationToken) =>
        await _readRetries.ExecuteAsync(
            async ct =>
            {
                await using var command = _source.CreateCommand(sql);
                command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = argument });
                await using var reader = await command.ExecuteReaderAsync(ct);
                var entries = ImmutableArray.CreateBuilder<CatalogEntry>();
                while (await reader.ReadAsync(ct))
                {
                    entries.Add(new CatalogEntry(reader.GetString(0), System.Text.Encoding.UTF8.GetBytes(reader.GetString(1)), reader.GetInt64(2)));
                }

                return entries.ToImmutable();
            },
            cancellationToken);

    private async ValueTask<long?> WriteAsync(string sql, string key, long expectedVersion, ReadOnlyMemory<byte> value, CancellationToken cancellationToken)
    {
        var writer = Guid.CreateVersion7();
        while (true)
        {
            try
            {
                await using var command = _source.CreateCommand(sql);
                command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = key });
                command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = expectedVersion });
                command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = System.Text.Encoding.UTF8.GetString(value.Span) });
                command.Parameters.Add(new NpgsqlParameter<Guid> { TypedValue = writer });
                return (long?)await command.ExecuteScalarAsync(cancellationToken);
            }
            catch (PostgresException)
            {
                // The server said no: nothing was written.
                throw;
            }
            catch (Exception e) when (e is NpgsqlException or OperationCanceledException)
            {
                // The answer is lost, the write perhaps not. Never send it again before it is known who won.
                var (version, isOwn) = await ReadBackAsync(key, writer);
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
    }

    private async ValueTask<(long Version, bool IsOwn)> ReadBackAsync(string key, Guid writer) =>
        await _readRetries.ExecuteAsync(async ct =>
        {
            // Raising the version settles it: a lost statement that is still under way finds another version than it expects. (For a
            // key that does not exist yet there is nothing to raise: such writers read again and take the key as they find it.)
            const string Settle = """
                UPDATE shardproxy_catalog.entry SET version = version + CASE WHEN writer = $2 THEN 0 ELSE 1 END
                WHERE key = $1 RETURNING version, writer
                """;
            await using var command = _source.CreateCommand(Settle);
            command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = key });
            command.Parameters.Add(new NpgsqlParameter<Guid> { TypedValue = writer });
            await using var reader = await command.ExecuteReaderAsync(ct);
            return await reader.ReadAsync(ct) ? (reader.GetInt64(0), reader.GetGuid(1) == writer) : (0, false);
        });
}
