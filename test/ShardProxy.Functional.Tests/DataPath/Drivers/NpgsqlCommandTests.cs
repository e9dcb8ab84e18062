using System.Data;
using Npgsql;
using NUnit.Framework;

namespace ShardProxy.Functional.Tests.DataPath.Drivers;

/// <summary>
/// Protects what applications run by Npgsql: commands in every way of preparing them, batches with errors in the middle, readers, functions
/// and procedures, transactions, COPY in each form, on unsharded tables and by key on a sharded one.
/// </summary>
[TestFixture(2)]
[TestFixture(20)]
internal sealed class NpgsqlCommandTests(int poolSize) : NpgsqlExercise
{
    private static readonly (string Name, Action<NpgsqlConnectionStringBuilder> Change)[] Ways =
    [
        ("as it is", _ => { }),
        ("automatically prepared", s => (s.MaxAutoPrepare, s.AutoPrepareMinUsages) = (3, 2)),
        ("without reset", s => s.NoResetOnClose = true),
        ("without a pool", s => s.Pooling = false),
        ("small buffers", s => (s.ReadBufferSize, s.WriteBufferSize) = (4096, 4096)),
        ("multiplexing", s => s.Multiplexing = true),
    ];

    protected override int PoolSize => poolSize;

    protected override string Schema { get; } = """
        CREATE TABLE items (id int PRIMARY KEY, v text UNIQUE, n numeric CHECK (n >= 0));
        CREATE FUNCTION add_all(a int, INOUT b int, OUT c text) LANGUAGE plpgsql AS $$BEGIN b := a + b; c := 'sum ' || b; RAISE NOTICE 'added %', b; END$$;
        CREATE PROCEDURE store(i int, INOUT total int) LANGUAGE plpgsql AS $$BEGIN INSERT INTO items VALUES (i, 'stored ' || i, 1); COMMIT; SELECT count(*) INTO total FROM items; END$$;
        CREATE FUNCTION cursors() RETURNS SETOF refcursor LANGUAGE plpgsql AS $$DECLARE a refcursor := 'first'; b refcursor := 'second'; BEGIN
            OPEN a FOR SELECT generate_series(1, 3); RETURN NEXT a; OPEN b FOR SELECT 'x', 2; RETURN NEXT b; END$$;
        """;

    [SetUp]
    public async Task EmptyAsync() => await SameEverywhereAsync(async (place, transcript) =>
    {
        await using var connection = await place.Source.OpenConnectionAsync();
        transcript.Say("empty", await RunAsync(connection, "TRUNCATE keyed"), await RunAsync(connection, "TRUNCATE items"));
    });

    [Test]
    public Task Commands_in_each_way_of_sending_them() => SameEverywhereAsync(async (place, transcript) =>
    {
        foreach (var (name, change) in Ways)
        {
            await using var source = place.With(change);
            for (var round = 0; round < 6; round++)
            {
                await using (var insert = source.CreateCommand("INSERT INTO keyed VALUES ($1, $2, $3)"))
                {
                    insert.Parameters.Add(new NpgsqlParameter<long> { TypedValue = round });
                    insert.Parameters.Add(new NpgsqlParameter { Value = name });
                    insert.Parameters.Add(new NpgsqlParameter { Value = 1.5m * round });
                    transcript.Say(name, await insert.ExecuteNonQueryAsync());
                    await transcript.AttemptAsync("again", async () => await insert.ExecuteNonQueryAsync());
                }

                await using (var select = source.CreateCommand("SELECT v, n FROM keyed WHERE id = @id"))
                {
                    select.Parameters.AddWithValue("id", (long)round);
                    await using var reader = await select.ExecuteReaderAsync();
                    transcript.Say("by key", await RowsAsync(reader), reader.RecordsAffected);
                }

                // More texts than may stay prepared, so that some are closed and parsed again.
                for (var i = 0; i < 5; i++)
                {
                    await using var other = source.CreateCommand($"SELECT {i}, $1");
                    other.Parameters.AddWithValue(i);
                    transcript.Say("other", await other.ExecuteScalarAsync());
                }

                await using var broken = source.CreateCommand("SELECT nothing FROM nowhere");
                await transcript.AttemptAsync("broken", async () => await broken.ExecuteScalarAsync());
                await using var delete = source.CreateCommand("DELETE FROM keyed WHERE id = @id");
                delete.Parameters.AddWithValue("id", (long)round);
                transcript.Say("deleted", await delete.ExecuteNonQueryAsync());
            }
        }
    });

    [Test]
    public Task Prepared_statements_that_live_on() => SameEverywhereAsync(async (place, transcript) =>
    {
        await using var source = place.With(s => s.MaxPoolSize = 2);
        await using var connection = await source.OpenConnectionAsync();
        await RunAsync(connection, "DROP TABLE IF EXISTS changing; CREATE TABLE changing (a int); INSERT INTO changing VALUES (1)");
        await using var command = new NpgsqlCommand("SELECT * FROM changing", connection);
        await command.PrepareAsync();
        transcript.Say("before", await RowsAsync(connection, "SELECT * FROM changing"), command.IsPrepared);
        await using (var other = await source.OpenConnectionAsync())
        {
            await RunAsync(other, "ALTER TABLE changing ADD COLUMN b text DEFAULT 'b'");
        }

        await transcript.AttemptAsync("after a column came", async () => await command.ExecuteScalarAsync());
        await transcript.AttemptAsync("once more", async () => await command.ExecuteScalarAsync());
        await transcript.AttemptAsync("prepared anew", async () =>
        {
            connection.UnprepareAll();
            await command.PrepareAsync();
            await using var reader = await command.ExecuteReaderAsync();
            return await RowsAsync(reader);
        });
        await transcript.AttemptAsync("in a block", async () =>
        {
            await using var transaction = await connection.BeginTransactionAsync();
            await RunAsync(connection, "ALTER TABLE changing DROP COLUMN b");
            return await command.ExecuteScalarAsync();
        });

        // Closed and opened, the connection has what was prepared still; DEALLOCATE behind Npgsql's back takes it away.
        await connection.CloseAsync();
        await connection.OpenAsync();
        await using var kept = Command(connection, "SELECT $1::int + 1", 41);
        await kept.PrepareAsync();
        await connection.CloseAsync();
        await connection.OpenAsync();
        await kept.PrepareAsync();
        transcript.Say("kept", await kept.ExecuteScalarAsync(), kept.IsPrepared);
        await RunAsync(connection, "DEALLOCATE ALL");
        await transcript.AttemptAsync("deallocated", async () => await kept.ExecuteScalarAsync() is int);
        await kept.UnprepareAsync();
        transcript.Say("without", await kept.ExecuteScalarAsync());
        await RunAsync(connection, "DROP TABLE changing");
    });

    [Test]
    public Task Batches_and_their_errors() => SameEverywhereAsync(async (place, transcript) =>
    {
        await using var connection = await place.Source.OpenConnectionAsync();
        foreach (var prepared in new[] { false, true })
        {
            foreach (var barriers in new[] { false, true })
            {
                async Task TryAsync(string step, params string[] texts) => await transcript.AttemptAsync($"{step} {prepared} {barriers}", async () =>
                {
                    await using var batch = new NpgsqlBatch(connection) { EnableErrorBarriers = barriers };
                    foreach (var text in texts)
                    {
                        batch.BatchCommands.Add(new NpgsqlBatchCommand(text));
                    }

                    if (prepared)
                    {
                        await batch.PrepareAsync();
                    }

                    await using var reader = await batch.ExecuteReaderAsync();
                    var rows = await RowsAsync(reader);
                    return new[] { rows, reader.RecordsAffected, batch.BatchCommands.Cast<NpgsqlBatchCommand>().Select(c => $"{c.StatementType} {c.RecordsAffected}") };
                });

                await TryAsync("unsharded", "INSERT INTO items VALUES (1, 'a', 1)", "SELECT * FROM items", "UPDATE items SET n = 2", "DELETE FROM items");
                await TryAsync("error in the middle", "INSERT INTO items VALUES (2, 'b', 1)", "INSERT INTO items VALUES (3, 'c', -1)", "INSERT INTO items VALUES (4, 'd', 1)");
                await TryAsync("one key", "INSERT INTO keyed VALUES (5, 'k', 1)", "SELECT v, n FROM keyed WHERE id = 5", "INSERT INTO keyed VALUES (5, 'k', 1)", "SELECT 1");
                transcript.Say("left", await RowsAsync(connection, "SELECT * FROM items ORDER BY id"), await ScalarAsync(connection, "SELECT count(*) FROM keyed"));
                await using (await connection.BeginTransactionAsync())
                {
                    await TryAsync("many keys", [.. Enumerable.Range(10, 30).Select(i => $"INSERT INTO keyed VALUES ({i}, 'v{i}', {i}) RETURNING v")]);
                    await TryAsync("many keys, one twice", [.. Enumerable.Range(39, 5).Select(i => $"INSERT INTO keyed VALUES ({i}, 'v{i}', {i})")]);
                    await TryAsync("failed", "SELECT 1");
                }

                await RunAsync(connection, "TRUNCATE items");
                await RunAsync(connection, "TRUNCATE keyed");
            }
        }
    });

    [Test]
    public Task Readers() => SameEverywhereAsync(async (place, transcript) =>
    {
        await using var connection = await place.Source.OpenConnectionAsync();
        foreach (var behaviour in new[] { CommandBehavior.Default, CommandBehavior.SingleRow, CommandBehavior.SequentialAccess, CommandBehavior.SingleResult, CommandBehavior.SchemaOnly })
        {
            await using var command = new NpgsqlCommand("SELECT i, repeat('x', i) FROM generate_series(1, 2000) i; SELECT 2; SELECT 3 WHERE false", connection);
            await using (var reader = await command.ExecuteReaderAsync(behaviour))
            {
                var seen = 0;
                while (seen < 20 && await reader.ReadAsync())
                {
                    seen += reader.GetInt32(0) > 0 ? 1 : 0;
                }

                // The rest is left unread.
                transcript.Say($"{behaviour}", seen, reader.FieldCount, await reader.NextResultAsync());
            }

            transcript.Say("next", await ScalarAsync(connection, "SELECT 1"));
        }

        await transcript.AttemptAsync("error behind rows", () => RowsAsync(connection, "SELECT 10 / (5 - i) FROM generate_series(1, 9) i"));
        await transcript.AttemptAsync("error behind a result", () => RowsAsync(connection, "SELECT 1; SELECT 1/0; SELECT 2"));
        await transcript.AttemptAsync("second command at once", async () =>
        {
            await using var command = new NpgsqlCommand("SELECT 1", connection);
            await using var reader = await command.ExecuteReaderAsync();
            return await ScalarAsync(connection, "SELECT 2");
        });
        await using var closing = await place.Source.OpenConnectionAsync();
        await using (var command = new NpgsqlCommand("SELECT 1", closing))
        {
            await (await command.ExecuteReaderAsync(CommandBehavior.CloseConnection)).DisposeAsync();
        }

        transcript.Say("closed", closing.State);
    });

    [Test]
    public Task Functions_procedures_and_cursors() => SameEverywhereAsync(async (place, transcript) =>
    {
        await using var connection = await place.Source.OpenConnectionAsync();
        connection.Notice += (_, e) => transcript.Say("notice", e.Notice.Severity, e.Notice.SqlState, e.Notice.MessageText, e.Notice.Where);
        await using (var function = new NpgsqlCommand("SELECT * FROM add_all($1, $2)", connection) { Parameters = { new() { Value = 1 }, new() { Value = 2 } } })
        {
            await using var reader = await function.ExecuteReaderAsync();
            transcript.Say("function", await RowsAsync(reader));
        }

        for (var i = 0; i < 2; i++)
        {
            await using var procedure = new NpgsqlCommand("store", connection) { CommandType = CommandType.StoredProcedure };
            procedure.Parameters.Add(new NpgsqlParameter { Value = 100 + i });
            var total = new NpgsqlParameter { Value = 0, Direction = ParameterDirection.InputOutput };
            procedure.Parameters.Add(total);
            await transcript.AttemptAsync("procedure", async () => await procedure.ExecuteNonQueryAsync());
            transcript.Say("out", total.Value);
        }

        await using (var transaction = await connection.BeginTransactionAsync())
        {
            transcript.Say("cursors", await RowsAsync(connection, "SELECT cursors()"));
            transcript.Say("fetched", await RowsAsync(connection, "FETCH ALL IN first; FETCH ALL IN second"));
            await RunAsync(connection, "DECLARE c SCROLL CURSOR FOR SELECT generate_series(1, 100)");
            transcript.Say("scrolled", await RowsAsync(connection, "FETCH 3 FROM c; FETCH LAST FROM c; FETCH ABSOLUTE 10 FROM c; MOVE BACKWARD 5 IN c; FETCH 1 FROM c"));
            await transaction.CommitAsync();
        }

        await transcript.AttemptAsync("gone", () => RowsAsync(connection, "FETCH 1 FROM c"));
        await RunAsync(connection, "DO $$BEGIN RAISE WARNING 'careful' USING HINT = 'why'; END$$");
    });

    [Test]
    public Task Transactions() => SameEverywhereAsync(async (place, transcript) =>
    {
        await using var connection = await place.Source.OpenConnectionAsync();
        foreach (var level in new[] { IsolationLevel.ReadCommitted, IsolationLevel.RepeatableRead, IsolationLevel.Serializable, IsolationLevel.Snapshot, IsolationLevel.ReadUncommitted })
        {
            await using var transaction = await connection.BeginTransactionAsync(level);
            transcript.Say($"{level}", await ScalarAsync(connection, "SHOW transaction_isolation"));
            await RunAsync(connection, "INSERT INTO keyed VALUES (1, 'a', 1)");
            await RunAsync(connection, "INSERT INTO items VALUES (1, 'a', 1)");
            await transaction.SaveAsync("one");
            await RunAsync(connection, "INSERT INTO keyed VALUES (2, 'b', 1)");
            await transcript.AttemptAsync("error", () => RunAsync(connection, "INSERT INTO keyed VALUES (1, 'a', 1)"));
            await transcript.AttemptAsync("failed", () => ScalarAsync(connection, "SELECT 1"));
            await transaction.RollbackAsync("one");
            transcript.Say("back", await ScalarAsync(connection, "SELECT count(*) FROM keyed"));
            await transaction.ReleaseAsync("one");
            await transcript.AttemptAsync("no such savepoint", () => transaction.RollbackAsync("two"));
        }

        transcript.Say("nothing stayed", await ScalarAsync(connection, "SELECT count(*) FROM keyed"), await ScalarAsync(connection, "SELECT count(*) FROM items"));
        await transcript.AttemptAsync("commit of a failed block", async () =>
        {
            await using var transaction = await connection.BeginTransactionAsync();
            try
            {
                await RunAsync(connection, "INSERT INTO items VALUES (1, 'a', -1)");
            }
            catch (PostgresException)
            {
                await transaction.CommitAsync();
            }
        });
        await transcript.AttemptAsync("dropped without an end", async () =>
        {
            await using var other = await place.Source.OpenConnectionAsync();
            await other.BeginTransactionAsync();
            await RunAsync(other, "INSERT INTO keyed VALUES (3, 'c', 1)");
        });
        transcript.Say("undone", await ScalarAsync(connection, "SELECT count(*) FROM keyed"));
        using (var scope = new System.Transactions.TransactionScope(System.Transactions.TransactionScopeAsyncFlowOption.Enabled))
        {
            await using var enlisted = await place.Source.OpenConnectionAsync();
            await RunAsync(enlisted, "INSERT INTO keyed VALUES (4, 'd', 1), (4, 'e', 2) ON CONFLICT DO NOTHING");
            scope.Complete();
        }

        transcript.Say("scope", await RowsAsync(connection, "SELECT v FROM keyed WHERE id = 4"));
    });
}
