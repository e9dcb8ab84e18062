using System.Diagnostics;
using System.Globalization;
using System.Text;
using Npgsql;
using NUnit.Framework;
using ShardProxy.Catalog.Stores;
using ShardProxy.Catalog.Stores.Etcd;
using ShardProxy.TestKit.Clusters;

namespace ShardProxy.Cluster.Tests.Control;

/// <summary>Protects the contract every catalog store keeps: linearizable compare-and-set, watches that miss nothing, leases that fence.</summary>
[TestFixture("memory")]
[TestFixture("postgres")]
[TestFixture("etcd")]
internal sealed class CatalogStoreContractTests(string kind)
{
    private ICatalogStore _store = null!;
    private EtcdServer? _etcd;
    private string _database = "";

    [OneTimeSetUp]
    public async Task StartEtcdAsync() => _etcd = kind == "etcd" ? await EtcdServer.StartAsync() : null;

    [OneTimeTearDown]
    public async Task StopEtcdAsync()
    {
        if (_etcd is not null)
        {
            await _etcd.DisposeAsync();
        }
    }

    [SetUp]
    public async Task CreateAsync()
    {
        if (kind == "memory")
        {
            _store = new InMemoryCatalogStore(TimeProvider.System);
        }
        else if (_etcd is not null)
        {
            _store = new EtcdCatalogStore(new EtcdOptions { Endpoints = [_etcd.Endpoint], Prefix = "/test/" + Guid.NewGuid().ToString("N") }, TimeProvider.System);
        }
        else
        {
            var cluster = await SharedCluster.GetAsync();
            _database = "catalog_" + Guid.NewGuid().ToString("N")[..12];
            await cluster.ExecuteAsync(0, $"CREATE DATABASE \"{_database}\"");
            _store = new PostgresCatalogStore(NpgsqlDataSource.Create(cluster.ConnectionString(0, _database)), TimeProvider.System, ownsSource: true);
        }

        await Task.WhenAll(_store.InitializeAsync(CancellationToken.None).AsTask(), _store.InitializeAsync(CancellationToken.None).AsTask());
    }

    [TearDown]
    public async Task DisposeAsync()
    {
        await _store.DisposeAsync();
        if (_database.Length > 0)
        {
            await (await SharedCluster.GetAsync()).ExecuteAsync(0, $"DROP DATABASE \"{_database}\" WITH (FORCE)");
        }
    }

    [Test]
    public async Task A_value_is_set_only_over_the_version_it_replaces()
    {
        Assert.That(await _store.GetAsync("a", CancellationToken.None), Is.Null);
        Assert.That(await SetAsync("a", 1, "x"), Is.Null, "no such version yet");
        Assert.That(await SetAsync("a", 0, "{\"v\": 1}"), Is.EqualTo(1));
        Assert.That(await SetAsync("a", 0, "y"), Is.Null, "exists");
        Assert.That(await SetAsync("a", 1, "{\"v\": 2}"), Is.EqualTo(2));
        var entry = (await _store.GetAsync("a", CancellationToken.None))!;
        Assert.That((entry.Version, Encoding.UTF8.GetString(entry.Value.Span)), Is.EqualTo((2L, "{\"v\": 2}")));
        Assert.That(await _store.RemoveAsync("a", 1, CancellationToken.None), Is.False);
        Assert.That(await _store.RemoveAsync("a", 2, CancellationToken.None), Is.True);
        Assert.That(await _store.GetAsync("a", CancellationToken.None), Is.Null);
    }

    [Test]
    public async Task Of_many_writers_of_one_version_exactly_one_wins()
    {
        for (var version = 0; version < 20; version++)
        {
            var expected = version;
            var results = await Task.WhenAll(Enumerable.Range(0, 8).Select(i => Task.Run(() => SetAsync("contended", expected, $"writer {i}"))));
            Assert.That(results.Count(r => r == expected + 1), Is.EqualTo(1));
            Assert.That(results.Count(r => r is null), Is.EqualTo(7));
        }
    }

    [Test]
    public async Task A_list_holds_the_prefixes_keys_in_order()
    {
        foreach (var key in new[] { "m/2", "m/1", "n/1", "m/10" })
        {
            await SetAsync(key, 0, key);
        }

        Assert.That((await _store.ListAsync("m/", CancellationToken.None)).Select(e => e.Key), Is.EqualTo(new[] { "m/1", "m/10", "m/2" }));
    }

    [Test]
    [CancelAfter(30_000)]
    public async Task A_watch_names_what_changed_after_it_was_in_place(CancellationToken cancellationToken)
    {
        await using var watch = _store.WatchAsync("w/", cancellationToken).GetAsyncEnumerator(cancellationToken);
        Assert.That(await watch.MoveNextAsync(), Is.True);
        Assert.That(watch.Current, Is.Empty, "in place");
        await SetAsync("other", 0, "x");
        await SetAsync("w/1", 0, "x");
        Assert.That(await watch.MoveNextAsync(), Is.True);
        Assert.That(watch.Current, Is.EqualTo("w/1"));
    }

    [Test]
    public async Task A_lease_has_one_holder_and_a_higher_token_each_time_it_changes_hands()
    {
        var hour = TimeSpan.FromHours(1);
        var first = (await _store.TryAcquireLeaseAsync("l", "one", hour, CancellationToken.None))!;
        Assert.That(await _store.TryAcquireLeaseAsync("l", "two", hour, CancellationToken.None), Is.Null);
        var renewed = (await _store.TryAcquireLeaseAsync("l", "one", hour, CancellationToken.None))!;
        Assert.That(renewed.FencingToken, Is.EqualTo(first.FencingToken), "a renewal keeps the token");
        await _store.ReleaseLeaseAsync(renewed, CancellationToken.None);
        var second = (await _store.TryAcquireLeaseAsync("l", "two", hour, CancellationToken.None))!;
        Assert.That(second.FencingToken, Is.GreaterThan(first.FencingToken));
        await _store.ReleaseLeaseAsync(first, CancellationToken.None);
        Assert.That(await _store.TryAcquireLeaseAsync("l", "one", hour, CancellationToken.None), Is.Null, "an old holder cannot release it");
    }

    [Test]
    public async Task An_expired_lease_is_free_and_its_next_token_higher()
    {
        var first = (await _store.TryAcquireLeaseAsync("l", "one", TimeSpan.FromTicks(-1), CancellationToken.None))!;
        var second = (await _store.TryAcquireLeaseAsync("l", "two", TimeSpan.FromHours(1), CancellationToken.None))!;
        Assert.That(second.FencingToken, Is.GreaterThan(first.FencingToken));
    }

    [Test]
    [CancelAfter(60_000)]
    public async Task A_watch_hears_of_every_change_in_order_and_at_once(CancellationToken cancellationToken)
    {
        const int Changes = 200;
        var heard = new double[Changes];
        var changed = new long[Changes];
        await using var watch = _store.WatchAsync("late/", cancellationToken).GetAsyncEnumerator(cancellationToken);
        Assert.That(await watch.MoveNextAsync(), Is.True);
        for (var i = 0; i < Changes; i++)
        {
            Assert.That(await SetAsync(string.Create(CultureInfo.InvariantCulture, $"late/{i}"), 0, "x"), Is.EqualTo(1));
            changed[i] = Stopwatch.GetTimestamp();
            Assert.That(await watch.MoveNextAsync(), Is.True);
            heard[i] = Stopwatch.GetElapsedTime(changed[i]).TotalMilliseconds;
            Assert.That(watch.Current, Is.EqualTo($"late/{i}"), "every change is told, in order");
        }

        // What is shown is that every change is told without polling; the time itself is printed.
        TestContext.Out.WriteLine($"{kind}: {heard.Order().ElementAt(Changes / 2):0.00} ms in the median, {heard.Order().ElementAt(Changes * 99 / 100):0.00} ms p99");
    }

    [Test]
    public async Task A_value_may_be_large_and_hold_any_text()
    {
        var text = string.Concat(Enumerable.Repeat("{\"ключ\": \"\\u0000 ☃ \\n\"}", 20_000));
        Assert.That(await SetAsync("big", 0, text), Is.EqualTo(1));
        Assert.That(Encoding.UTF8.GetString((await _store.GetAsync("big", CancellationToken.None))!.Value.Span), Is.EqualTo(text));
    }

    private async Task<long?> SetAsync(string key, long expected, string value) =>
        await _store.CompareAndSetAsync(key, expected, Encoding.UTF8.GetBytes(value), CancellationToken.None);
}
