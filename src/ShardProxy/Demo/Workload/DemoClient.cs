using System.Data;
using System.Diagnostics;
using Npgsql;
using NpgsqlTypes;
using ShardProxy.Demo.Accounting;

namespace ShardProxy.Demo.Workload;

/// <summary>One application client: a connection through the proxy and the three statements it knows.</summary>
internal sealed class DemoClient : IAsyncDisposable
{
    private readonly NpgsqlConnection _connection;
    private readonly ClientLedger _ledger;
    private readonly NpgsqlCommand _read;
    private readonly NpgsqlCommand _update;
    private readonly NpgsqlCommand _insert;

    private DemoClient(NpgsqlConnection connection, ClientLedger ledger)
    {
        _connection = connection;
        _ledger = ledger;
        _read = Command("SELECT balance FROM accounts WHERE id = $1", 1);
        _update = Command("UPDATE accounts SET balance = balance + $2, changes = changes + 1 WHERE id = $1", 2);
        _insert = Command("INSERT INTO entries (account_id, entry_id, amount) VALUES ($1, $2, $3)", 3);
    }

    public static async Task<DemoClient> ConnectAsync(NpgsqlDataSource source, ClientLedger ledger, CancellationToken cancellationToken) =>
        new(await source.OpenConnectionAsync(cancellationToken).ConfigureAwait(false), ledger);

    /// <summary>Runs a statement, checks its answer, and books what was acknowledged.</summary>
    /// <param name="arrival">What to do.</param>
    /// <param name="entryId">Number of the entry an insert makes, unique in its account.</param>
    /// <param name="cancellationToken">Ends the demo.</param>
    /// <returns>Null, or what was wrong with the answer.</returns>
    public async ValueTask<string?> RunAsync(Arrival arrival, long entryId, CancellationToken cancellationToken)
    {
        if (_connection.State != ConnectionState.Open)
        {
            // After a failure that closed it; that failure has been counted.
            await _connection.CloseAsync().ConfigureAwait(false);
            await _connection.OpenAsync(cancellationToken).ConfigureAwait(false);
        }

        switch (arrival.Kind)
        {
            case StatementKind.Read:
                Set(_read, arrival.Account);
                return await _read.ExecuteScalarAsync(cancellationToken).ConfigureAwait(false) is long ? null : "a read found no row";
            case StatementKind.Update:
                Set(_update, arrival.Account, arrival.Amount);
                if (await _update.ExecuteNonQueryAsync(cancellationToken).ConfigureAwait(false) is var updated and not 1)
                {
                    return $"an update changed {updated} rows";
                }

                _ledger.Updated(arrival.Account, arrival.Amount);
                return null;
            case StatementKind.Insert:
                Set(_insert, arrival.Account, entryId, arrival.Amount);
                if (await _insert.ExecuteNonQueryAsync(cancellationToken).ConfigureAwait(false) is var inserted and not 1)
                {
                    return $"an insert made {inserted} rows";
                }

                _ledger.Inserted(arrival.Account, arrival.Amount);
                return null;
            default:
                throw new UnreachableException();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _read.DisposeAsync().ConfigureAwait(false);
        await _update.DisposeAsync().ConfigureAwait(false);
        await _insert.DisposeAsync().ConfigureAwait(false);
        await _connection.DisposeAsync().ConfigureAwait(false);
    }

    private static void Set(NpgsqlCommand command, params ReadOnlySpan<long> values)
    {
        for (var i = 0; i < values.Length; i++)
        {
            ((NpgsqlParameter<long>)command.Parameters[i]).TypedValue = values[i];
        }
    }

    private NpgsqlCommand Command(string sql, int parameters)
    {
#pragma warning disable CA2100 // The texts are the three constants above.
        var command = new NpgsqlCommand(sql, _connection);
#pragma warning restore CA2100
        for (var i = 0; i < parameters; i++)
        {
            command.Parameters.Add(new NpgsqlParameter<long> { NpgsqlDbType = NpgsqlDbType.Bigint });
        }

        return command;
    }
}
