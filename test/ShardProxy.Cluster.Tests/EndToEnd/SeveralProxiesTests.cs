using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using Npgsql;
using NUnit.Framework;
using ShardProxy.Cluster.Tests.EndToEnd.Tools;
using ShardProxy.TestKit.Clusters;

namespace ShardProxy.Cluster.Tests.EndToEnd;

/// <summary>
/// Protects several proxies over one catalog: every one routes by the truth, ranges move under the clients of all of them without an error, one leads and
/// another takes its place, and one that sleeps over a move neither loses a write nor answers from where a range was.
/// </summary>
[TestFixture("postgres")]
[TestFixture("etcd")]
internal sealed class SeveralProxiesTests(string catalog)
{
    private const int SignalKill = 9, SignalContinue = 18, SignalStop = 19;
    private const string Table = "tokens";

    private TestCluster _cluster = null!;
    private EtcdServer? _etcd;
    private DirectoryInfo _directory = null!;
    private string _name = "";

    [OneTimeSetUp]
    public async Task StartAsync()
    {
        _directory = Directory.CreateTempSubdirectory("shardproxy-test-");
        _cluster = await TestCluster.StartAsync(nodes: 2, new Dictionary<string, string> { ["fsync"] = "off" });
        _etcd = catalog == "etcd" ? await EtcdServer.StartAsync() : null;
    }

    [OneTimeTearDown]
    public async Task StopAsync()
    {
        if (_etcd is not null)
        {
            await _etcd.DisposeAsync();
        }

        await _cluster.DisposeAsync();
        _directory.Delete(recursive: true);
    }

    [SetUp]
    public async Task CreateAsync()
    {
        _name = catalog + Guid.NewGuid().ToString("N")[..6];
        await _cluster.ExecuteOnAllAsync($"CREATE DATABASE {_name}");
    }

    [Test]
    [CancelAfter(180_000)]
    public async Task Ranges_move_under_the_clients_of_all_proxies(CancellationToken cancellationToken)
    {
        await using var one = await ProxyProcess.StartAsync(Configured("one"), cancellationToken);
        await MakeTableAsync(one, cancellationToken);
        await using var two = await ProxyProcess.StartAsync(Configured("two"), cancellationToken);
        await using var console = await ConsoleClient.OpenAsync(one, cancellationToken);
        await using var follower = await ConsoleClient.OpenAsync(two, cancellationToken);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var clients = new[] { one, two }.SelectMany(p => Enumerable.Range(0, 3).Select(_ => TokenClient.RunAsync(p, stop.Token))).ToList();
        for (var round = 0; round < 6; round++)
        {
            var range = (await console.RangesOfAsync(Table, cancellationToken))[round % 4];
            await console.RunAsync(Invariant($"MOVE RANGE {range.Id} TO {(range.Node == "node1" ? "node2" : "node1")}"), cancellationToken);

            // Whoever asks the other proxy sees the same at once.
            Assert.That((await follower.RangesOfAsync(Table, cancellationToken)).Single(r => r.Id == range.Id).Node, Is.Not.EqualTo(range.Node));
        }

        // DDL through one is known to the other before its client goes on.
        await Db.ExecuteAsync(two.ConnectionString(), $"ALTER TABLE {Table} ADD COLUMN more int", cancellationToken);
        Assert.That(await Db.ScalarAsync<long>(one.ConnectionString(), $"SELECT count(more) FROM {Table}", cancellationToken), Is.Zero);
        await stop.CancelAsync();
        await CheckAsync(one, await Task.WhenAll(clients), cancellationToken);
        Assert.That(
            (await console.RowsAsync("SHOW PROXIES", cancellationToken)).Select(r => (r["proxy"], r["role"], r["state"])),
            Is.EqualTo(new[] { (_name + "one", "leads, this one", "serving"), (_name + "two", "follows", "serving") }));
    }

    [Test]
    [CancelAfter(180_000)]
    public async Task A_followers_console_passes_on_what_only_the_leader_does(CancellationToken cancellationToken)
    {
        await using var one = await ProxyProcess.StartAsync(Configured("one"), cancellationToken);
        await using var two = await ProxyProcess.StartAsync(Configured("two"), cancellationToken);
        await using var console = await ConsoleClient.OpenAsync(one, cancellationToken);
        await using var follower = await ConsoleClient.OpenAsync(two, cancellationToken);
        await Eventually.IsTrueAsync(async () => (await follower.RowsAsync("SHOW PROXIES", cancellationToken)).Any(r => r["proxy"] == _name + "one" && r["role"] == "leads"), TimeSpan.FromSeconds(10), "nobody leads", cancellationToken);
        await Db.ExecuteAsync(two.ConnectionString(), $"CREATE TABLE {Table} (id bigint PRIMARY KEY, token text NOT NULL)", cancellationToken);
        await follower.RunAsync($"SHARD TABLE {Table} BY HASH (id)", cancellationToken);
        await Db.ExecuteAsync(two.ConnectionString(), $"INSERT INTO {Table} SELECT i, 'token' FROM generate_series(1, 100) i", cancellationToken);
        var range = (await follower.RangesOfAsync(Table, cancellationToken)).First(r => r.Node == "node1");
        await follower.RunAsync(Invariant($"MOVE RANGE {range.Id} TO node2"), cancellationToken);
        Assert.That((await console.RangesOfAsync(Table, cancellationToken)).Single(r => r.Id == range.Id).Node, Is.EqualTo("node2"));
        Assert.That((await follower.RangesOfAsync(Table, cancellationToken)).Single(r => r.Id == range.Id).Node, Is.EqualTo("node2"));

        // Rows, notices and errors come back as they are.
        var again = (await follower.RowsAsync(Invariant($"MOVE RANGE {range.Id} TO node1 NOWAIT"), cancellationToken)).Single();
        var shown = (await console.RowsAsync("SHOW MIGRATIONS", cancellationToken))[^1];
        Assert.That(again["migration"], Is.EqualTo(shown["id"]));
        await Eventually.IsTrueAsync(async () => (await console.RowsAsync("SHOW MIGRATIONS", cancellationToken))[^1]["state"] == "done", TimeSpan.FromSeconds(30), "it did not move back", cancellationToken);
        Assert.That(await follower.NoticesAsync(Invariant($"MOVE RANGE {range.Id} TO node1"), cancellationToken), Has.Count.EqualTo(1), "it is there already");
        var unknown = Assert.ThrowsAsync<PostgresException>(() => follower.RunAsync("MOVE RANGE 4711 TO node1", cancellationToken))!;
        var same = Assert.ThrowsAsync<PostgresException>(() => console.RunAsync("MOVE RANGE 4711 TO node1", cancellationToken))!;
        Assert.That((unknown.SqlState, unknown.Detail, unknown.MessageText, unknown.Hint), Is.EqualTo((same.SqlState, same.Detail, same.MessageText, same.Hint)));
        Assert.That(same.SqlState, Is.EqualTo("42704"));

        // The leader is killed at it: its client is told that nobody knows, and where to look, long before the lease is over. (Of another range: the way back of the first
        // one is closed when nobody uses the table.)
        range = (await follower.RangesOfAsync(Table, cancellationToken)).First(r => r.Node == "node1" && r.Id != range.Id);
        var key = await KeyOfAsync(range, cancellationToken);
        await using var open = await Db.OpenAsync(one.ConnectionString(), cancellationToken);
        await open.RunAsync($"BEGIN; SELECT token FROM {Table} WHERE id = {key}", cancellationToken);
        var moving = follower.RunAsync(Invariant($"MOVE RANGE {range.Id} TO node2"), cancellationToken);
        try
        {
            await Eventually.IsTrueAsync(async () => (await console.RowsAsync("SHOW MIGRATIONS", cancellationToken))[^1]["state"] == "cutting_over", TimeSpan.FromSeconds(20), "it was not verified", cancellationToken);
        }
        finally
        {
            one.Signal(SignalKill);
        }

        var lost = Assert.ThrowsAsync<PostgresException>(() => moving)!;
        Assert.That((lost.SqlState, lost.Detail), Is.EqualTo(("08007", "SHP-524")));
        await Eventually.IsTrueAsync(
            async () => (await follower.RowsAsync("SHOW PROXIES", cancellationToken)).Any(r => r["proxy"] == _name + "two" && r["role"]!.StartsWith("leads", StringComparison.Ordinal)),
            TimeSpan.FromSeconds(60),
            "nobody leads",
            cancellationToken);

        // It goes on with what the one before it had begun, and does what it is told itself.
        await Eventually.IsTrueAsync(
            async () => (await follower.RangesOfAsync(Table, cancellationToken)).Single(r => r.Id == range.Id).Node == "node2", TimeSpan.FromSeconds(60), "the move was not begun again", cancellationToken);
        await follower.RunAsync(Invariant($"MOVE RANGE {range.Id} TO node2"), cancellationToken);
    }

    private async Task<long> KeyOfAsync(RangeView range, CancellationToken cancellationToken) => await Db.ScalarAsync<long>(
        _cluster.ConnectionString(0, _name), Invariant($"SELECT min(id) FROM {Table} WHERE hashint8extended(id, 0) >= {range.From} AND hashint8extended(id, 0) < {range.To ?? long.MaxValue}"), cancellationToken);

    [Test]
    [CancelAfter(180_000)]
    public async Task Another_leads_when_the_leader_was_killed(CancellationToken cancellationToken)
    {
        await using var one = await ProxyProcess.StartAsync(Configured("one"), cancellationToken);
        await MakeTableAsync(one, cancellationToken);
        await using var two = await ProxyProcess.StartAsync(Configured("two"), cancellationToken);
        await using var console = await ConsoleClient.OpenAsync(two, cancellationToken);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var client = TokenClient.RunAsync(two, stop.Token);
        one.Signal(SignalKill);
        await Eventually.IsTrueAsync(
            async () => (await console.RowsAsync("SHOW PROXIES", cancellationToken)).Any(r => r["proxy"] == _name + "two" && r["role"]!.StartsWith("leads", StringComparison.Ordinal)),
            TimeSpan.FromSeconds(60),
            "nobody leads",
            cancellationToken);
        var range = (await console.RangesOfAsync(Table, cancellationToken))[0];
        await console.RunAsync(Invariant($"MOVE RANGE {range.Id} TO {(range.Node == "node1" ? "node2" : "node1")}"), cancellationToken);
        await stop.CancelAsync();
        await CheckAsync(two, [await client], cancellationToken);
    }

    [Test]
    [CancelAfter(180_000)]
    public async Task A_proxy_that_sleeps_over_a_move_and_its_clean_up_wakes_to_the_truth(CancellationToken cancellationToken)
    {
        await using var one = await ProxyProcess.StartAsync(Configured("one"), cancellationToken);
        await MakeTableAsync(one, cancellationToken);
        await using var two = await ProxyProcess.StartAsync(Configured("two"), cancellationToken);
        await using var console = await ConsoleClient.OpenAsync(one, cancellationToken);
        await using var sleepers = await Db.OpenAsync(two.ConnectionString(), cancellationToken);
        await using var inBlock = await Db.OpenAsync(two.ConnectionString(), cancellationToken);
        var ranges = await console.RangesOfAsync(Table, cancellationToken);
        var range = ranges.First(r => r.Node == "node1");
        await Db.ExecuteAsync(one.ConnectionString(), $"INSERT INTO {Table} SELECT i, 'before' FROM generate_series(1, 200) i", cancellationToken);
        var moved = (await Db.ScalarAsync<long[]>(_cluster.ConnectionString(0, _name), Invariant($"SELECT array_agg(id) FROM {Table} WHERE hashint8extended(id, 0) >= {range.From} AND hashint8extended(id, 0) < {range.To ?? long.MaxValue}"), cancellationToken))!;
        Assert.That(moved.Length, Is.GreaterThan(1));
        await sleepers.RunAsync($"UPDATE {Table} SET token = 'known' WHERE id = {moved[0]}", cancellationToken);
        await inBlock.RunAsync("BEGIN", cancellationToken);
        await inBlock.RunAsync($"UPDATE {Table} SET token = 'lost' WHERE id = {moved[1]}", cancellationToken);

        two.Signal(SignalStop);
        try
        {
            // It does not answer: it is expelled, its open transaction with it, and the range moves.
            var time = Stopwatch.StartNew();
            await console.RunAsync(Invariant($"MOVE RANGE {range.Id} TO node2"), cancellationToken);
            TestContext.Out.WriteLine(Invariant($"moved without the sleeper after {time.Elapsed.TotalSeconds:0.0} s"));
            Assert.That((await console.RowsAsync("SHOW PROXIES", cancellationToken)).Single(r => r["proxy"] == _name + "two")["state"], Is.EqualTo("barred"));
            await Db.ExecuteAsync(one.ConnectionString(), $"UPDATE {Table} SET token = 'after' WHERE id = {moved[0]}", cancellationToken);
        }
        finally
        {
            two.Signal(SignalContinue);
        }

        // Its clients' connections may have to be opened anew; what they get then is the truth, and what they write is there.
        await using var again = await Db.OpenAsync(two.ConnectionString(), cancellationToken);
        Assert.That(await ReadAsync(again, moved[0], cancellationToken), Is.EqualTo("after"));
        Assert.That(await ReadAsync(again, moved[1], cancellationToken), Is.EqualTo("before"), "the block was never committed");
        await again.RunAsync($"UPDATE {Table} SET token = 'woken' WHERE id = {moved[0]}", cancellationToken);
        Assert.That(await Db.ScalarAsync<string>(one.ConnectionString(), $"SELECT token FROM {Table} WHERE id = {moved[0]}", cancellationToken), Is.EqualTo("woken"));
        Assert.That(async () => await inBlock.RunAsync("COMMIT", cancellationToken), Throws.InstanceOf<NpgsqlException>(), "it cannot have been committed");
        await Eventually.IsTrueAsync(
            async () => (await console.RowsAsync("SHOW PROXIES", cancellationToken)).Single(r => r["proxy"] == _name + "two")["state"] == "serving",
            TimeSpan.FromSeconds(30),
            "it did not come back",
            cancellationToken);
        var other = (await console.RangesOfAsync(Table, cancellationToken)).First(r => r.Node == "node1");
        await console.RunAsync(Invariant($"MOVE RANGE {other.Id} TO node2"), cancellationToken);
    }

    [Test]
    [CancelAfter(120_000)]
    public async Task A_difference_that_a_follower_reads_ends_the_leaders_move(CancellationToken cancellationToken)
    {
        await using var one = await ProxyProcess.StartAsync(Configured("one"), cancellationToken);
        await MakeTableAsync(one, cancellationToken);
        await using var two = await ProxyProcess.StartAsync(Configured("two"), cancellationToken);
        await using var console = await ConsoleClient.OpenAsync(one, cancellationToken);
        await Db.ExecuteAsync(one.ConnectionString(), $"INSERT INTO {Table} SELECT i, 'token' FROM generate_series(1, 200) i", cancellationToken);
        var range = (await console.RangesOfAsync(Table, cancellationToken)).First(r => r.Node == "node1");
        var key = await KeyOfAsync(range, cancellationToken);

        // The cutover waits for a transaction, and clients of the follower read meanwhile.
        await using var open = await Db.OpenAsync(one.ConnectionString(), cancellationToken);
        await open.RunAsync($"BEGIN; SELECT token FROM {Table} WHERE id = {key}", cancellationToken);
        await console.RunAsync(Invariant($"MOVE RANGE {range.Id} TO node2 NOWAIT"), cancellationToken);
        await Eventually.IsTrueAsync(async () => await ShownAsync("state") == "cutting_over", TimeSpan.FromSeconds(30), "it was not verified", cancellationToken);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var reader = Task.Run(() => RepeatAsync(stop.Token), cancellationToken);
        await Db.ExecuteAsync(
            _cluster.ConnectionString(1, _name), $"SET session_replication_role = replica; ALTER TABLE {Table} DISABLE TRIGGER ALL; DELETE FROM {Table} WHERE id = {key}", cancellationToken);
        var time = Stopwatch.StartNew();
        await Eventually.IsTrueAsync(async () => await ShownAsync("error") is not null, TimeSpan.FromSeconds(10), "the missing row was not found", cancellationToken);
        TestContext.Out.WriteLine(Invariant($"found after {time.Elapsed.TotalSeconds:0.0} s"));
        Assert.That(await ShownAsync("error"), Does.Contain("a live read gives other rows").And.Contain("where id = $1").And.Not.Contain("token'"));
        await stop.CancelAsync();
        await reader;
        await open.RunAsync("COMMIT", cancellationToken);
        await Eventually.IsTrueAsync(async () => await ShownAsync("state") == "failed", TimeSpan.FromSeconds(40), "it did not end", cancellationToken);
        Assert.That((await console.RangesOfAsync(Table, cancellationToken)).Single(r => r.Id == range.Id).Node, Is.EqualTo("node1"));

        async Task<string?> ShownAsync(string column) => (await console.RowsAsync("SHOW MIGRATIONS", cancellationToken))[^1][column];

        async Task RepeatAsync(CancellationToken until)
        {
            await using var connection = await Db.OpenAsync(two.ConnectionString(), CancellationToken.None);
            while (!until.IsCancellationRequested)
            {
                Assert.That(await ReadAsync(connection, key, CancellationToken.None), Is.EqualTo("token"));
            }
        }
    }

    private static async Task<string?> ReadAsync(NpgsqlConnection connection, long id, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(Invariant($"SELECT token FROM {Table} WHERE id = {id}"), connection);
        return (string?)await command.ExecuteScalarAsync(cancellationToken);
    }

    private static async Task MakeTableAsync(ProxyProcess proxy, CancellationToken cancellationToken)
    {
        await Db.ExecuteAsync(proxy.ConnectionString(), $"CREATE TABLE {Table} (id bigint PRIMARY KEY, token text NOT NULL)", cancellationToken);
        await using var console = await ConsoleClient.OpenAsync(proxy, cancellationToken);
        await console.RunAsync($"SHARD TABLE {Table} BY HASH (id)", cancellationToken);
    }

    // What was acknowledged is there once, with the right token; nothing else is.
    private static async Task CheckAsync(ProxyProcess proxy, TokenClient.Result[] clients, CancellationToken cancellationToken)
    {
        Assert.That(clients.SelectMany(c => c.Errors), Is.Empty);
        var written = clients.SelectMany(c => c.Written).ToDictionary(w => w.Key, w => w.Value);
        Assert.That(written, Has.Count.GreaterThan(100));
        await using var connection = await Db.OpenAsync(proxy.ConnectionString(), cancellationToken);
        var rows = (await connection.RowsAsync($"SELECT id, token FROM {Table}", cancellationToken)).ToDictionary(r => long.Parse(r["id"]!, CultureInfo.InvariantCulture), r => r["token"]!);
        Assert.That(rows, Is.EquivalentTo(written));
    }

    private ProxyProcessOptions Configured(string id)
    {
        var (port, adminPort) = (ServeFile.FreePort(), ServeFile.FreePort());
        var file = Path.Combine(_directory.FullName, id + ".yaml");
        File.WriteAllText(
            file,
            $"""
            proxy_id: {_name}{id}
            database: {_name}
            listen: {"{"} port: {port} {"}"}
            admin: {"{"} port: {adminPort} {"}"}
            log: {"{"} level: warning {"}"}
            {(_etcd is null ? "" : $"catalog: {{ kind: etcd, endpoints: \"{_etcd.Endpoint}\", prefix: /{_name} }}")}
            nodes:
              - name: node1
                uri: postgresql://{TestCluster.User}:{TestCluster.Password}@127.0.0.1:{_cluster.Nodes[0].Port}/{_name}
              - name: node2
                uri: postgresql://{TestCluster.User}:{TestCluster.Password}@127.0.0.1:{_cluster.Nodes[1].Port}/{_name}
            users:
              - name: {TestCluster.User}
                password: {TestCluster.Password}
                admin: true

            """);
        return new ProxyProcessOptions
        {
            ConfigFile = file,
            Addresses = new Dictionary<string, Uri>
            {
                ["proxy"] = new($"postgresql://127.0.0.1:{port}/{_name}"),
                ["console"] = new($"postgresql://127.0.0.1:{port}/shardproxy"),
                ["http"] = new($"http://127.0.0.1:{adminPort}/"),
            },
        };
    }

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);

    /// <summary>Inserts and updates rows of its own with tokens nobody else writes, and reads back what it wrote.</summary>
    private static class TokenClient
    {
        private static int _lastKey = 1_000;

        public static async Task<Result> RunAsync(ProxyProcess proxy, CancellationToken stop)
        {
            var (written, errors, number) = (new ConcurrentDictionary<long, string>(), new List<string>(), 0);
            await using var connection = await Db.OpenAsync(proxy.ConnectionString(), CancellationToken.None);
            while (!stop.IsCancellationRequested && errors.Count == 0)
            {
                var isNew = written.Count < 200;
                var key = isNew ? Interlocked.Increment(ref _lastKey) : written.Keys.ElementAt(number % written.Count);
                var token = Invariant($"{key}-{number++}");
                try
                {
                    await connection.RunAsync(
                        isNew ? Invariant($"INSERT INTO {Table} VALUES ({key}, '{token}')") : Invariant($"UPDATE {Table} SET token = '{token}' WHERE id = {key}"), CancellationToken.None);
                    written[key] = token;
                    if (await ReadAsync(connection, key, CancellationToken.None) is var read && read != token)
                    {
                        errors.Add($"read {read} instead of {token}");
                    }
                }
                catch (NpgsqlException e)
                {
                    errors.Add(Invariant($"{proxy.Address("proxy").Port} {(isNew ? "INSERT" : "UPDATE")}: {e.Message}"));
                }
            }

            return new Result(written, errors);
        }

        public sealed record Result(IReadOnlyDictionary<long, string> Written, IReadOnlyList<string> Errors);
    }
}
