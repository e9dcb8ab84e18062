using Npgsql;
using NUnit.Framework;

namespace ShardProxy.Functional.Tests.DataPath.Drivers;

/// <summary>
/// Protects the life of Npgsql's connections: Npgsql's own pool in front of the proxy's, settings that end or stay, cancelling and time-outs,
/// notifications, a server that ends, and many tasks at once whose rows have to add up.
/// </summary>
[TestFixture(3)]
[TestFixture(20)]
internal sealed class NpgsqlSessionTests(int poolSize) : NpgsqlExercise
{
    protected override int PoolSize => poolSize;

    protected override string Schema { get; } = "CREATE TABLE items (id int PRIMARY KEY, v text);";

    [Test]
    public Task Settings_end_with_the_use_of_a_connection_or_stay([Values] bool noReset) => SameEverywhereAsync(async (place, transcript) =>
    {
        await using var source = place.With(s => (s.MaxPoolSize, s.NoResetOnClose, s.ApplicationName, s.SearchPath, s.Timezone, s.Options) = (1, noReset, "exercise", "public,pg_catalog", "Europe/Berlin", "-c work_mem=7MB -c geqo=off"));
        for (var round = 0; round < 3; round++)
        {
            await using var connection = await source.OpenConnectionAsync();
            transcript.Say("found", await RowsAsync(connection, "SHOW work_mem; SHOW application_name; SHOW search_path; SHOW timezone; SHOW geqo; SHOW statement_timeout; SELECT current_user; SELECT count(*) FROM pg_class WHERE relname = 'mine' AND pg_table_is_visible(oid); SELECT timestamptz '2024-07-01 12:00 UTC'::text"));
            transcript.Say("told", connection.Timezone, connection.PostgresParameters["application_name"]);
            await RunAsync(connection, "SET work_mem = '9MB'; SET application_name = 'changed'; SET timezone = 'Asia/Tokyo'; SET statement_timeout = 12345; SET search_path = pg_catalog");
            await RunAsync(connection, "CREATE TEMP TABLE IF NOT EXISTS mine (a int)");
            await RunAsync(connection, "SELECT pg_advisory_lock(4711)");
            transcript.Say("told", connection.Timezone, connection.PostgresParameters["application_name"]);
        }

        // Nothing of it may be left on a server for anybody else.
        await using var other = await place.Source.OpenConnectionAsync();
        transcript.Say("another's", await RowsAsync(other, "SHOW work_mem; SHOW timezone; SHOW statement_timeout"), noReset || (bool)(await ScalarAsync(other, "SELECT pg_try_advisory_xact_lock(4711)"))!);
    });

    [Test]
    public Task Discard_all_and_its_kin() => SameEverywhereAsync(async (place, transcript) =>
    {
        await using var connection = await place.Source.OpenConnectionAsync();
        await RunAsync(connection, "SET work_mem = '9MB'");
        await RunAsync(connection, "CREATE TEMP TABLE mine (a int)");
        await RunAsync(connection, "CREATE TEMP SEQUENCE numbers");
        transcript.Say("drawn", await ScalarAsync(connection, "SELECT nextval('numbers')"), await ScalarAsync(connection, "SELECT currval('numbers')"));
        await RunAsync(connection, "DISCARD SEQUENCES");
        await transcript.AttemptAsync("currval", () => ScalarAsync(connection, "SELECT currval('numbers')"));
        await RunAsync(connection, "DISCARD TEMP");
        await transcript.AttemptAsync("temporary", () => ScalarAsync(connection, "SELECT count(*) FROM mine"));
        transcript.Say("kept", await ScalarAsync(connection, "SHOW work_mem"));
        await RunAsync(connection, "DISCARD ALL");
        transcript.Say("gone", await ScalarAsync(connection, "SHOW work_mem"));
        await transcript.AttemptAsync("in a block", async () =>
        {
            await using var transaction = await connection.BeginTransactionAsync();
            return await RunAsync(connection, "DISCARD ALL");
        });
    });

    [Test]
    public Task Cancelling_and_time_outs() => SameEverywhereAsync(async (place, transcript) =>
    {
        await using var connection = await place.Source.OpenConnectionAsync();
        async Task SleepAsync(string step, Func<NpgsqlCommand, Task<object?>> run, string sql = "SELECT pg_sleep(60)")
        {
            await using var command = new NpgsqlCommand(sql, connection);
            await transcript.AttemptAsync(step, () => run(command));
            transcript.Say("after it", connection.FullState);
            await transcript.AttemptAsync("next", () => ScalarAsync(connection, "SELECT 1"));
        }

        await SleepAsync("by token", async command =>
        {
            using var stop = new CancellationTokenSource();
            var running = command.ExecuteScalarAsync(stop.Token);
            await AsleepAsync(place);
            await stop.CancelAsync();
            return await running;
        });
        await SleepAsync("by command", async command =>
        {
            var running = command.ExecuteScalarAsync();
            await AsleepAsync(place);
            command.Cancel();
            return await running;
        });
        await SleepAsync("command time-out", async command =>
        {
            command.CommandTimeout = 1;
            return await command.ExecuteScalarAsync();
        });
        await SleepAsync("statement time-out", async command => await command.ExecuteScalarAsync(), "SET statement_timeout = 50; SELECT pg_sleep(60)");
        await SleepAsync("no time-out any more", async command => await command.ExecuteNonQueryAsync(), "RESET statement_timeout");
        await SleepAsync("while rows are read", async command =>
        {
            using var stop = new CancellationTokenSource();
            await using var reader = await command.ExecuteReaderAsync(stop.Token);
            await reader.ReadAsync(stop.Token);
            await stop.CancelAsync();
            while (await reader.ReadAsync(stop.Token))
            {
            }

            return "all";
        }, "SELECT i, repeat('x', 1000) FROM generate_series(1, 100000) i");
        await using (var transaction = await connection.BeginTransactionAsync())
        {
            await RunAsync(connection, "SELECT count(*) FROM keyed WHERE id = 1");
            await SleepAsync("in a block", async command =>
            {
                var running = command.ExecuteScalarAsync();
                await AsleepAsync(place);
                command.Cancel();
                return await running;
            });
        }

        transcript.Say("after the block", await ScalarAsync(connection, "SELECT 1"));
    });

    [Test]
    public Task Notifications() => SameEverywhereAsync(async (place, transcript) =>
    {
        await using var source = place.With(s => s.KeepAlive = 1);
        await using var listener = await source.OpenConnectionAsync();
        await using var sender = await source.OpenConnectionAsync();
        listener.Notification += (_, e) => transcript.Say("event", e.Channel, e.Payload, e.PID == sender.ProcessID || e.PID == listener.ProcessID);
        await RunAsync(listener, "LISTEN one; LISTEN \"Two words\"");
        await RunAsync(sender, "NOTIFY one, 'first'");
        await listener.WaitAsync();
        await using (var transaction = await sender.BeginTransactionAsync())
        {
            await RunAsync(sender, "SELECT pg_notify('one', 'same'), pg_notify('one', 'same'), pg_notify('Two words', $1)", new string('p', 7000));
            await transaction.CommitAsync();
        }

        await listener.WaitAsync();
        await RunAsync(listener, "NOTIFY one, 'own'");

        // Longer than the keep-alive, so that one is sent and answered while nothing else is.
        transcript.Say("nothing comes", await listener.WaitAsync(1200));
        await RunAsync(sender, "NOTIFY one, 'last'");
        transcript.Say("one comes", await listener.WaitAsync(20_000));
        await transcript.AttemptAsync("waiting is cancelled", async () =>
        {
            using var stop = new CancellationTokenSource(50);
            await listener.WaitAsync(stop.Token);
        });
        await RunAsync(listener, "UNLISTEN *");
        await RunAsync(sender, "NOTIFY one, 'unheard'");
        transcript.Say("done", await ScalarAsync(listener, "SELECT 1"));
    });

    [Test]
    public Task A_connection_that_the_server_ends() => SameEverywhereAsync(async (place, transcript) =>
    {
        await using var source = place.With(s => s.MaxPoolSize = 2);
        await using var doomed = await source.OpenConnectionAsync();
        await using var killer = await source.OpenConnectionAsync();
        transcript.Say("ended", await ScalarAsync(killer, "SELECT pg_terminate_backend($1, 10000)", doomed.ProcessID));
        await transcript.AttemptAsync("next", () => ScalarAsync(doomed, "SELECT 1"));
        transcript.Say("state", doomed.FullState);
        await doomed.CloseAsync();
        await doomed.OpenAsync();
        transcript.Say("open again", await ScalarAsync(doomed, "SELECT 1"));
    });

    [Test]
    public Task Log_ins() => SameEverywhereAsync(async (place, transcript) =>
    {
        // The proxy's own refusal says more, in DETAIL and HINT.
        await using (var wrong = place.With(s => s.Password = "wrong"))
        {
            var refused = Assert.ThrowsAsync<PostgresException>(async () => await wrong.OpenConnectionAsync());
            transcript.Say("wrong password", refused!.Severity, refused.SqlState, refused.MessageText);
        }

        async Task TryAsync(string step, Action<NpgsqlConnectionStringBuilder> change) => await transcript.AttemptAsync(step, async () =>
        {
            await using var source = place.With(change);
            await using var connection = await source.OpenConnectionAsync();
            return await ScalarAsync(connection, "SELECT 1");
        });
        await TryAsync("no such database", s => s.Database = "nosuchdatabase");
        await TryAsync("preferred TLS", s => s.SslMode = SslMode.Prefer);
        await TryAsync("options that are wrong", s => s.Options = "-c work_mem=much");
        await TryAsync("several hosts", s => (s.Host, s.Pooling, s.MinPoolSize) = ($"{s.Host}:{s.Port},{s.Host}:{s.Port}", true, 0));
        await TryAsync("client encoding", s => s.ClientEncoding = "LATIN1");
        await transcript.AttemptAsync("primary of several hosts", async () =>
        {
            await using var several = new NpgsqlDataSourceBuilder(new NpgsqlConnectionStringBuilder(place.ConnectionString) { Host = "127.0.0.1,localhost" }.ConnectionString).BuildMultiHost();
            await using var connection = await several.OpenConnectionAsync(TargetSessionAttributes.ReadWrite);
            return await ScalarAsync(connection, "SELECT 1");
        });
    });

    [Test]
    public Task Fifty_tasks_at_once([Values] bool multiplexing) => SameEverywhereAsync(async (place, transcript) =>
    {
        // With fewer servers than tasks, transactions over several nodes could wait for each other: each task keeps to one key in a block.
        await using var source = place.With(s => (s.Multiplexing, s.MaxAutoPrepare, s.AutoPrepareMinUsages, s.MaxPoolSize, s.Timeout) = (multiplexing, 10, 2, 25, 60));
        await using (var empty = source.CreateCommand("TRUNCATE keyed"))
        {
            await empty.ExecuteNonQueryAsync();
        }

        await Task.WhenAll(Enumerable.Range(0, 50).Select(async task =>
        {
            long id = task;
            await using (var insert = source.CreateCommand("INSERT INTO keyed VALUES ($1, 'start', 0)"))
            {
                insert.Parameters.Add(new NpgsqlParameter<long> { TypedValue = id });
                await insert.ExecuteNonQueryAsync();
            }

            for (var round = 0; round < 10; round++)
            {
                await using (var connection = await source.OpenConnectionAsync())
                await using (var transaction = await connection.BeginTransactionAsync())
                {
                    await RunAsync(connection, "UPDATE keyed SET n = n + 1 WHERE id = $1", id);
                    Assert.That(await ScalarAsync(connection, "SELECT n FROM keyed WHERE id = $1", id), Is.EqualTo((decimal)((2 * round) + 1)));
                    await (round % 5 == 4 ? transaction.RollbackAsync() : transaction.CommitAsync());
                    if (round % 5 == 4)
                    {
                        await RunAsync(connection, "UPDATE keyed SET n = n + 1 WHERE id = $1", id);
                    }
                }

                await using var update = source.CreateCommand("UPDATE keyed SET n = n + 1, v = $2 WHERE id = $1 RETURNING v");
                update.Parameters.Add(new NpgsqlParameter<long> { TypedValue = id });
                update.Parameters.Add(new NpgsqlParameter { Value = $"{task}/{round}" });
                Assert.That(await update.ExecuteScalarAsync(), Is.EqualTo($"{task}/{round}"));
            }
        }));
        await using var sum = source.CreateCommand("SELECT count(*), sum(n) FROM keyed");
        await using var reader = await sum.ExecuteReaderAsync();
        transcript.Say("sum", await RowsAsync(reader));
    });

    /// <summary>Waits until a command sleeps on a server.</summary>
    private static async Task AsleepAsync(NpgsqlPlace place)
    {
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        await using var watch = place.Source.CreateCommand("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'");
        while (await watch.ExecuteScalarAsync(deadline.Token) is 0L)
        {
        }

    }
}
