using Npgsql;
using NUnit.Framework;
using ShardProxy.LocalCluster;
using ShardProxy.TestKit.Clusters;

namespace ShardProxy.Functional.Tests.LocalCluster;

// Protects what every other test and `dev` stand on: servers with the promised settings that start, restart on their port,
// stop within two seconds and leave nothing behind.
[TestFixture]
internal sealed class LocalServerClusterTests
{
    [Test]
    [CancelAfter(60_000)]
    public async Task Nodes_have_the_promised_settings(CancellationToken cancellationToken)
    {
        await using var cluster = await TestCluster.StartAsync(nodes: 3, cancellationToken: cancellationToken);
        Assert.That(cluster.Nodes.Select(n => n.Name), Is.EqualTo(new[] { "node1", "node2", "node3" }));
        Assert.That(cluster.Nodes.Select(n => n.Port).Distinct().Count(), Is.EqualTo(3));
        for (var node = 0; node < 3; node++)
        {
            var settings = (await cluster.RowsAsync(
                node,
                """
                SELECT name, setting FROM pg_settings WHERE name IN ('wal_level', 'max_prepared_transactions', 'wal_retrieve_retry_interval',
                    'TimeZone', 'fsync', 'listen_addresses', 'unix_socket_directories', 'password_encryption', 'server_encoding', 'port')
                UNION ALL SELECT 'collation', datcollate FROM pg_database WHERE datname = current_database()
                """,
                cancellationToken)).ToDictionary(row => row[0]!, row => row[1]);
            Assert.That(settings, Is.EquivalentTo(new Dictionary<string, string?>
            {
                ["wal_level"] = "logical",
                ["max_prepared_transactions"] = "200",
                ["wal_retrieve_retry_interval"] = "100",
                ["TimeZone"] = "UTC",
                ["fsync"] = "on",
                ["listen_addresses"] = "127.0.0.1",
                ["unix_socket_directories"] = "",
                ["password_encryption"] = "scram-sha-256",
                ["server_encoding"] = "UTF8",
                ["port"] = $"{cluster.Nodes[node].Port}",
                ["collation"] = "C.UTF-8",
            }));
            Assert.That(await cluster.ScalarAsync<bool>(node, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user", cancellationToken), Is.True);
        }

        var identifiers = new[] { 0, 1, 2 }.Select(n => cluster.ScalarAsync<long>(n, "SELECT system_identifier FROM pg_control_system()", cancellationToken));
        Assert.That((await Task.WhenAll(identifiers)).Distinct().Count(), Is.EqualTo(3));
    }

    [Test]
    [CancelAfter(60_000)]
    public async Task A_wrong_password_is_refused(CancellationToken cancellationToken)
    {
        await using var cluster = await TestCluster.StartAsync(cancellationToken: cancellationToken);
        var wrong = new NpgsqlConnectionStringBuilder(cluster.ConnectionString(0)) { Password = "another", Pooling = false };
        await using var connection = new NpgsqlConnection(wrong.ConnectionString);
        var error = Assert.ThrowsAsync<PostgresException>(() => connection.OpenAsync(cancellationToken));
        Assert.That(error!.SqlState, Is.EqualTo("28P01"));
    }

    [TestCase(StopMode.Fast)]
    [TestCase(StopMode.Immediate)]
    [TestCase(StopMode.Kill)]
    [CancelAfter(60_000)]
    public async Task A_restarted_node_keeps_its_port_and_its_committed_rows(StopMode mode, CancellationToken cancellationToken)
    {
        await using var cluster = await TestCluster.StartAsync(cancellationToken: cancellationToken);
        var node = cluster.Nodes[0];
        var port = node.Port;
        await cluster.ExecuteAsync(0, "CREATE TABLE t (id int); INSERT INTO t SELECT generate_series(1, 100)", cancellationToken);

        await node.StopAsync(mode);
        Assert.That(node.IsRunning, Is.False);
        Assert.That(node.ProcessId, Is.Null);
        await node.StartAsync(cancellationToken);

        Assert.That(node.Port, Is.EqualTo(port));
        NpgsqlConnection.ClearAllPools();
        await using var connection = new NpgsqlConnection(cluster.ConnectionString(0) + ";Pooling=false");
        await connection.OpenAsync(cancellationToken);
        await using var count = new NpgsqlCommand("SELECT count(*) FROM t", connection);
        Assert.That(await count.ExecuteScalarAsync(cancellationToken), Is.EqualTo(100L));
    }

    [Test]
    [CancelAfter(60_000)]
    public async Task Disposing_ends_busy_and_paused_servers_and_removes_the_directory(CancellationToken cancellationToken)
    {
        const int SignalStop = 19;
        var cluster = await TestCluster.StartAsync(nodes: 2, cancellationToken: cancellationToken);
        var directory = Path.GetDirectoryName(cluster.Nodes[0].DataDirectory)!;
        var processes = cluster.Nodes.Select(n => n.ProcessId!.Value).ToList();
        await using var busy = new NpgsqlConnection(cluster.ConnectionString(0) + ";Pooling=false");
        await busy.OpenAsync(cancellationToken);
        await using var open = new NpgsqlCommand("BEGIN; CREATE TABLE held (id int)", busy);
        await open.ExecuteNonQueryAsync(cancellationToken);
        cluster.Nodes[1].Signal(SignalStop);

        var began = TimeProvider.System.GetTimestamp();
        await cluster.DisposeAsync();

        // The bound is a promise of DESIGN section 10, not a speed to be measured.
        Assert.That(TimeProvider.System.GetElapsedTime(began), Is.LessThan(TimeSpan.FromSeconds(2)));
        Assert.That(Directory.Exists(directory), Is.False);
        Assert.That(processes.Where(p => Directory.Exists($"/proc/{p}")), Is.Empty);
    }
}
