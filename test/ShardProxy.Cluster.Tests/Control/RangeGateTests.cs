using Npgsql;
using NUnit.Framework;
using ShardProxy.Control.Migration;
using ShardProxy.Model.Fleet;

namespace ShardProxy.Cluster.Tests.Control;

/// <summary>
/// Protects the gate: after the switch no writer gets a row of the range into the old owner, whatever snapshot, role or prepared transaction it
/// brings along; and while a range moves, nobody empties its tables.
/// </summary>
internal sealed class RangeGateTests
{
    [TestCase("READ COMMITTED")]
    [TestCase("REPEATABLE READ")]
    [TestCase("SERIALIZABLE")]
    [CancelAfter(60_000)]
    public async Task A_late_writer_with_an_old_snapshot_is_stopped_with_the_marker(string isolation, CancellationToken cancellationToken)
    {
        await using var harness = await ControlHarness.StartAsync();
        await harness.LoadAccountsAsync(200);
        var key = harness.KeyIn(1);
        var source = await harness.OpenAsync(1);
        await using (source)
        {
            await using var writer = new NpgsqlCommand { Connection = source };
            harness.Migrations.BeforeStep = async (_, step) =>
            {
                if (step == "cutover")
                {
                    // A snapshot from before the gate is closed; no row of the range touched yet.
                    await RunAsync($"BEGIN ISOLATION LEVEL {isolation}");
                    await RunAsync("SELECT count(*) FROM shardproxy.marker");
                }
            };

            var begun = await harness.Migrations.BeginMoveAsync(1, "node2", cancellationToken);
            while ((await harness.StateAsync()).FindRange(1)!.NodeId != 2)
            {
                await Task.Yield();
            }

            var late = await TryAsync($"UPDATE account SET balance = 99 WHERE id = {key}");
            await RunAsync("ROLLBACK");
            Assert.That((await harness.Migrations.WaitAsync(begun.MigrationId!.Value, cancellationToken)).Error, Is.Null);

            // Either the gate stopped it, or clean-up was quicker and there was no row: never a changed row.
            if (late is not null && late.SqlState == GateMarker.SqlState)
            {
                Assert.That(late.ConstraintName, Is.EqualTo(GateMarker.ConstraintName + ":1"));
            }

            Assert.That(await harness.ScalarAsync<long>(2, $"SELECT balance FROM account WHERE id = {key}"), Is.Zero);
            Assert.That(await harness.ScalarAsync<long>(1, $"SELECT count(*) FROM account WHERE id = {key}"), Is.Zero);

            async Task RunAsync(string sql)
            {
                writer.CommandText = sql;
                await writer.ExecuteNonQueryAsync(CancellationToken.None);
            }

            async Task<PostgresException?> TryAsync(string sql)
            {
                try
                {
                    await RunAsync(sql);
                    return null;
                }
                catch (PostgresException e)
                {
                    return e;
                }
            }
        }
    }

    [TestCase("READ COMMITTED")]
    [TestCase("REPEATABLE READ")]
    [CancelAfter(60_000)]
    public async Task A_closed_gate_stops_every_kind_of_write_even_under_an_old_snapshot(string isolation, CancellationToken cancellationToken)
    {
        await using var harness = await ControlHarness.StartAsync();
        await harness.LoadAccountsAsync(200);
        var (key, free) = (harness.KeyIn(1), harness.KeyIn(1, 1_000_000));
        var other = harness.KeyIn(2);
        harness.Migrations.BeforeStep = async (id, step) =>
        {
            if (step == "slot")
            {
                // Node 1 owns the range and its gate is open; close it under the writer's snapshot, as the cutover would.
                foreach (var sql in new[]
                {
                    $"INSERT INTO account VALUES ({free}, 1, '')", $"UPDATE account SET balance = 1 WHERE id = {key}", $"DELETE FROM account WHERE id = {key}",
                    $"UPDATE account SET id = {free} WHERE id = {key}", $"INSERT INTO account VALUES ({key}, 1, '') ON CONFLICT (id) DO UPDATE SET balance = 1",
                    $"SET session_replication_role = replica; UPDATE account SET balance = 1 WHERE id = {key}",
                    $"DO $$BEGIN UPDATE account SET balance = 1 WHERE id = {key}; EXCEPTION WHEN OTHERS THEN NULL; END$$",
                })
                {
                    await using var writer = await harness.OpenAsync(1);
                    await using var command = new NpgsqlCommand($"BEGIN ISOLATION LEVEL {isolation}; SELECT count(*) FROM account", writer);
                    await command.ExecuteNonQueryAsync(CancellationToken.None);
                    await harness.ExecuteAsync(1, $"SELECT setval('shardproxy.gate_{id}', 2)");
                    command.CommandText = sql;
                    var error = Assert.ThrowsAsync<PostgresException>(async () => await command.ExecuteNonQueryAsync(CancellationToken.None), sql)!;
                    Assert.That((error.SqlState, error.ConstraintName), Is.EqualTo((GateMarker.SqlState, GateMarker.ConstraintName + ":1")), sql);
                    command.CommandText = "ROLLBACK; RESET session_replication_role";
                    await command.ExecuteNonQueryAsync(CancellationToken.None);
                    await harness.ExecuteAsync(1, $"SELECT setval('shardproxy.gate_{id}', 1)");
                }

                // Rows of other ranges are no concern of this gate, and TRUNCATE always is.
                await harness.ExecuteAsync(1, $"SELECT setval('shardproxy.gate_{id}', 2)");
                await harness.ExecuteAsync(1, $"BEGIN; INSERT INTO account VALUES ({other}, 1, ''); ROLLBACK");
                await harness.ExecuteAsync(1, $"SELECT setval('shardproxy.gate_{id}', 1)");

                // The migration's own lock keeps it, and any DDL, waiting; the trigger is for the rollback window.
                var truncate = Assert.ThrowsAsync<PostgresException>(() => harness.ExecuteAsync(1, "SET lock_timeout = '300ms'; TRUNCATE account"))!;
                Assert.That(truncate.SqlState, Is.EqualTo(PostgresErrorCodes.LockNotAvailable));
            }
        };
        var result = await harness.Migrations.MoveAsync(1, "node2", cancellationToken);
        Assert.That(result.Error, Is.Null, result.Error?.Detail);
        await harness.AssertNothingLeftAsync();
    }

    [Test]
    [CancelAfter(60_000)]
    public async Task A_prepared_transaction_on_the_range_holds_the_cutover_back_and_is_not_lost(CancellationToken cancellationToken)
    {
        await using var harness = await ControlHarness.StartAsync();
        await harness.LoadAccountsAsync(200);
        var key = harness.KeyIn(1);
        var gid = "test:" + harness.Database;
        harness.Migrations.BeforeStep = async (_, step) =>
        {
            if (step == "cutover")
            {
                await harness.ExecuteAsync(1, $"BEGIN; UPDATE account SET balance = 77 WHERE id = {key}; PREPARE TRANSACTION '{gid}'");
            }
        };
        var begun = await harness.Migrations.BeginMoveAsync(1, "node2", cancellationToken);

        // The migrator looks for a moment again and again; each look is a marker.
        while (await harness.ScalarAsync<long>(1, "SELECT count(*) FROM pg_prepared_xacts WHERE database = current_database()") == 0
            || await harness.ScalarAsync<int>(1, "SELECT max(seq) FROM shardproxy.marker") < 8)
        {
            cancellationToken.ThrowIfCancellationRequested();
        }

        Assert.That((await harness.StateAsync()).FindRange(1)!.NodeId, Is.EqualTo(1), "not switched while prepared");
        await harness.ExecuteAsync(1, $"COMMIT PREPARED '{gid}'");
        Assert.That((await harness.Migrations.WaitAsync(begun.MigrationId!.Value, cancellationToken)).Error, Is.Null);
        Assert.That(await harness.ScalarAsync<long>(2, $"SELECT balance FROM account WHERE id = {key}"), Is.EqualTo(77));
        await harness.AssertNothingLeftAsync();
    }

    [Test]
    [CancelAfter(60_000)]
    public async Task A_key_changed_by_a_users_trigger_is_still_seen(CancellationToken cancellationToken)
    {
        await using var harness = await ControlHarness.StartAsync();
        var (inside, outside) = (harness.KeyIn(1), harness.KeyIn(2));
        foreach (var node in new[] { 1, 2, 3 })
        {
            await harness.ExecuteAsync(node, $"""
                CREATE FUNCTION sneak() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN NEW.id := {inside}; RETURN NEW; END$$;
                CREATE TRIGGER "~~~~last" BEFORE INSERT ON account FOR EACH ROW EXECUTE FUNCTION sneak();
                """);
        }

        harness.Migrations.BeforeStep = async (id, step) =>
        {
            if (step == "slot")
            {
                await harness.ExecuteAsync(1, $"SELECT setval('shardproxy.gate_{id}', 2)");
                var error = Assert.ThrowsAsync<PostgresException>(() => harness.ExecuteAsync(1, $"INSERT INTO account VALUES ({outside}, 0, '')"))!;
                Assert.That(error.ConstraintName, Is.EqualTo(GateMarker.ConstraintName + ":1"));
                await harness.ExecuteAsync(1, $"SELECT setval('shardproxy.gate_{id}', 1)");
            }
        };
        var result = await harness.Migrations.MoveAsync(1, "node2", cancellationToken);
        Assert.That(result.Error, Is.Null, result.Error?.Detail);
    }
}
