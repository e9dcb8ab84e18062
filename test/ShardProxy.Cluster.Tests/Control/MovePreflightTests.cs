using Npgsql;
using NUnit.Framework;
using ShardProxy.Control.Migration;
using ShardProxy.Control.Migration.Preparing;
using ShardProxy.Control.Nodes;
using ShardProxy.Model.Errors;
using ShardProxy.Model.Topology;
using ShardProxy.TestKit.Clusters;

namespace ShardProxy.Cluster.Tests.Control;

/// <summary>Protects who asks for a move that could not end well: it is refused before anything is put down, and the hint names what to change.</summary>
internal sealed class MovePreflightTests
{
    private static readonly string[][] Settings =
    [
        ["wal_level", "replica", "wal_level = logical", "restart"],
        ["max_prepared_transactions", "0", "max_prepared_transactions = 0", "max_connections or more"],
        ["max_replication_slots", "0", "no free replication slot", "max_replication_slots"],
        ["max_wal_senders", "0", "needed walsenders", "max_wal_senders"],
        ["max_logical_replication_workers", "0", "max_logical_replication_workers = 0", "Raise it"],
        ["max_worker_processes", "0", "no free worker process", "max_worker_processes"],
        ["wal_retrieve_retry_interval", "5s", "wal_retrieve_retry_interval = 5000 ms", "100ms"],
    ];

    [Test]
    [CancelAfter(60_000)]
    public async Task Connections_from_before_a_restart_of_a_node_refuse_no_move(CancellationToken cancellationToken)
    {
        await using var harness = await ControlHarness.StartAsync();
        await harness.LoadAccountsAsync(50);
        var preflight = new MovePreflight(harness.Catalog, harness.Connections, harness.Admin, ControlHarness.Plain);
        await preflight.CheckAsync(1, "node2", cancellationToken);
        foreach (var node in harness.Nodes)
        {
            Assert.That(
                await harness.ScalarAsync<long>(node.Id, "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'shardproxy/%'"),
                Is.GreaterThanOrEqualTo(node.Id <= 2 ? 1 : 0));
        }

        Assert.That(await preflight.CheckAsync(1, "node2", cancellationToken), Is.Null);
        Assert.That((await harness.Migrations.MoveAsync(1, "node2", cancellationToken)).Error, Is.Null);
    }

    [Test]
    [CancelAfter(60_000)]
    public async Task What_is_wrong_with_the_tables_is_refused(CancellationToken cancellationToken)
    {
        await using var harness = await ControlHarness.StartAsync();
        await harness.LoadAccountsAsync(50);
        await OnBothAsync("INSERT INTO history (account_id, delta) SELECT g, 1 FROM generate_series(1, 500) g; ANALYZE history");
        Assert.That(await RefusalAsync(Plain), Is.Null);
        using (Assert.EnterMultipleScope())
        {
            await harness.ExecuteAsync(2, "ALTER TABLE account ADD COLUMN extra int");
            await AssertRefusedAsync("is not the same on both nodes: column extra is missing on node node1", "Make them equal", Plain);
            await harness.ExecuteAsync(2, "ALTER TABLE account DROP COLUMN extra");

            await OnBothAsync("ALTER TABLE history SET UNLOGGED");
            await AssertRefusedAsync("is unlogged on node node1", "SET LOGGED", Plain);
            await OnBothAsync("ALTER TABLE history SET LOGGED");

            await OnBothAsync("CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; CREATE TRIGGER touch BEFORE INSERT ON account FOR EACH ROW EXECUTE FUNCTION touch(); ALTER TABLE account ENABLE ALWAYS TRIGGER touch");
            await AssertRefusedAsync("trigger touch of table", "ENABLE TRIGGER touch", Plain);
            await OnBothAsync("DROP TRIGGER touch ON account");

            await OnBothAsync("ALTER TABLE history ADD COLUMN j json");
            await AssertRefusedAsync("no equality for column j", "Add such a primary key", Plain);
            await OnBothAsync("ALTER TABLE history DROP COLUMN j; ANALYZE history");
            await AssertRefusedAsync("too large to be searched", "Add such a primary key", Plain with { MaximumRowsWithoutIdentity = 10 });
        }

        Assert.That(await RefusalAsync(Plain), Is.Null, "all of it was undone");
        Assert.That(await new MovePreflight(harness.Catalog, harness.Connections, harness.Admin, Plain with { ChecksDiskSpace = false }).CheckAsync(1, "node2", cancellationToken), Does.Contain("was not checked"));

        async Task OnBothAsync(string sql)
        {
            await harness.ExecuteAsync(1, sql);
            await harness.ExecuteAsync(2, sql);
        }

        Task AssertRefusedAsync(string what, string hint, MigrationOptions options) => MovePreflightTests.AssertRefusedAsync(() => RefusalAsync(options), what, hint);

        Task<ShardProxyError?> RefusalAsync(MigrationOptions options) =>
            MovePreflightTests.RefusalAsync(() => new MovePreflight(harness.Catalog, harness.Connections, harness.Admin, options).CheckAsync(1, "node2", cancellationToken));
    }

    [Test]
    [CancelAfter(60_000)]
    public async Task Who_would_be_waited_for_and_who_may_not_subscribe_is_refused(CancellationToken cancellationToken)
    {
        await using var harness = await ControlHarness.StartAsync();
        var impatient = Plain with { OldestTransactionAtStart = TimeSpan.Zero };
        var preflight = new MovePreflight(harness.Catalog, harness.Connections, harness.Admin, impatient);
        await using (var connection = await harness.OpenAsync(1))
        {
            await using var begin = new NpgsqlCommand("BEGIN; SELECT pg_current_xact_id()", connection);
            await begin.ExecuteNonQueryAsync(cancellationToken);
            await AssertRefusedAsync(() => RefusalAsync(() => preflight.CheckAsync(1, "node2", cancellationToken)), "has a transaction of process", "pg_terminate_backend(");
            await using var prepare = new NpgsqlCommand("PREPARE TRANSACTION 'preflight'", connection);
            await prepare.ExecuteNonQueryAsync(cancellationToken);
            await AssertRefusedAsync(() => RefusalAsync(() => preflight.CheckAsync(1, "node2", cancellationToken)), "prepared transaction preflight", "ROLLBACK PREPARED 'preflight'");
            await using var rollback = new NpgsqlCommand("ROLLBACK PREPARED 'preflight'", connection);
            await rollback.ExecuteNonQueryAsync(cancellationToken);
        }

        await harness.Cluster.ExecuteOnAllAsync("CREATE ROLE preflight_mortal LOGIN PASSWORD 'mortal'", cancellationToken);
        try
        {
            await using var mortal = new NodeConnections("test", _ => new NodeLogin("preflight_mortal", "mortal", harness.Database), TimeProvider.System);
            var refused = new MovePreflight(harness.Catalog, mortal, new NodeAdmin(mortal), Plain);
            await AssertRefusedAsync(() => RefusalAsync(() => refused.CheckAsync(1, "node2", cancellationToken)), "without superuser", "Subscriptions need one");
        }
        finally
        {
            await harness.Cluster.ExecuteOnAllAsync("DROP ROLE preflight_mortal", CancellationToken.None);
        }
    }

    [Test]
    [CancelAfter(120_000)]
    public async Task A_server_that_lacks_something_is_refused(CancellationToken cancellationToken)
    {
        await using var cluster = await TestCluster.StartAsync(1, cancellationToken: cancellationToken);
        var server = cluster.Nodes[0];
        var node = new Node(1, server.Name, server.Host, server.Port, 0, true);
        foreach (var setting in Settings)
        {
            await AlterAsync($"SET {setting[0]} = '{setting[1]}'");
            await RestartAsync();
            await using (var connections = new NodeConnections("test", _ => new NodeLogin(TestCluster.User, TestCluster.Password, TestCluster.Database), TimeProvider.System))
            {
                await AssertRefusedAsync(
                    () => RefusalAsync(async () =>
                    {
                        await MovePreflight.CheckNodesAsync(connections, new NodeAdmin(connections), node, node, Plain, cancellationToken);
                        return null;
                    }),
                    setting[2],
                    setting[3]);
            }

            await AlterAsync("RESET ALL");
        }

        // By a connection of its own: pooled ones end with the server.
        async Task AlterAsync(string what)
        {
            await using var connection = new NpgsqlConnection(new NpgsqlConnectionStringBuilder(cluster.ConnectionString(0)) { Pooling = false }.ConnectionString);
            await connection.OpenAsync(cancellationToken);
            await using var command = new NpgsqlCommand("ALTER SYSTEM " + what, connection);
            await command.ExecuteNonQueryAsync(cancellationToken);
        }

        async Task RestartAsync()
        {
            await server.StopAsync(LocalCluster.StopMode.Fast);
            await server.StartAsync(cancellationToken);
        }
    }

    private static MigrationOptions Plain => ControlHarness.Plain;

    private static async Task<ShardProxyError?> RefusalAsync(Func<Task<string?>> check)
    {
        try
        {
            await check();
            return null;
        }
        catch (ShardProxyException e)
        {
            return e.Error;
        }
    }

    private static async Task AssertRefusedAsync(Func<Task<ShardProxyError?>> check, string what, string hint)
    {
        var error = await check();
        Assert.That(error?.Code, Is.EqualTo("SHP-508"), what);
        Assert.That(error?.Message, Does.Contain(what));
        Assert.That(error?.Hint, Does.Contain(hint));
    }
}
