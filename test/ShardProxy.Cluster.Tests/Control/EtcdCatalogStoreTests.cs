using System.Text;
using NUnit.Framework;
using ShardProxy.Catalog.Stores.Etcd;
using ShardProxy.TestKit.Clusters;

namespace ShardProxy.Cluster.Tests.Control;

/// <summary>Protects against an etcd that goes away: nothing is lost or done twice, who asks is told, and watches and leases find their way back.</summary>
[TestFixture]
internal sealed class EtcdCatalogStoreTests
{
    private EtcdServer _etcd = null!;

    [SetUp]
    public async Task StartAsync() => _etcd = await EtcdServer.StartAsync();

    [TearDown]
    public async Task StopAsync() => await _etcd.DisposeAsync();

    [Test]
    [CancelAfter(60_000)]
    public async Task A_write_during_which_etcd_is_frozen_is_settled_when_it_answers_again(CancellationToken cancellationToken)
    {
        await using var store = Store(TimeSpan.FromMilliseconds(300));
        Assert.That(await store.CompareAndSetAsync("k", 0, "one"u8.ToArray(), cancellationToken), Is.EqualTo(1));
        _etcd.Freeze();
        var write = store.CompareAndSetAsync("k", 1, "two"u8.ToArray(), cancellationToken).AsTask();
        await Task.Delay(800, cancellationToken);
        Assert.That(write.IsCompleted, Is.False, "nobody knows yet");
        _etcd.Thaw();
        var version = await write;
        var entry = (await store.GetAsync("k", cancellationToken))!;

        // Done or not done: what it says is what is there, and stays there.
        Assert.That((Encoding.UTF8.GetString(entry.Value.Span), entry.Version), version is null ? Is.EqualTo(("one", entry.Version)) : Is.EqualTo(("two", version)));
        await Task.Delay(500, cancellationToken);
        Assert.That((await store.GetAsync("k", cancellationToken))!.Version, Is.EqualTo(entry.Version), "a late request found another version");
    }

    [Test]
    [CancelAfter(60_000)]
    public async Task A_restart_keeps_values_versions_and_the_order_of_tokens_and_a_watch_goes_on(CancellationToken cancellationToken)
    {
        await using var store = Store(TimeSpan.FromSeconds(1));
        Assert.That(await store.CompareAndSetAsync("k", 0, "one"u8.ToArray(), cancellationToken), Is.EqualTo(1));
        var lease = (await store.TryAcquireLeaseAsync("l", "me", TimeSpan.FromSeconds(30), cancellationToken))!;
        await using var watch = store.WatchAsync("", cancellationToken).GetAsyncEnumerator(cancellationToken);
        Assert.That(await watch.MoveNextAsync() && watch.Current.Length == 0, Is.True);
        var next = watch.MoveNextAsync().AsTask();
        await _etcd.KillAsync();
        Assert.That(async () => await store.CompareAndSetAsync("k", 1, "two"u8.ToArray(), cancellationToken), Throws.InstanceOf<EtcdException>(), "it is said, not waited for");
        await _etcd.StartAgainAsync(cancellationToken);
        Assert.That(await next && watch.Current.Length == 0, Is.True, "after the gap everything has to be read again");
        Assert.That(await store.CompareAndSetAsync("k", 1, "two"u8.ToArray(), cancellationToken), Is.EqualTo(2));
        Assert.That(await watch.MoveNextAsync() && watch.Current == "k", Is.True);
        Assert.That((await store.TryAcquireLeaseAsync("l", "me", TimeSpan.FromSeconds(30), cancellationToken))!.FencingToken, Is.EqualTo(lease.FencingToken), "renewed");
        Assert.That(await store.TryAcquireLeaseAsync("l", "other", TimeSpan.FromSeconds(30), cancellationToken), Is.Null);
    }

    [Test]
    [CancelAfter(60_000)]
    public async Task A_lease_nobody_renews_ends_by_itself(CancellationToken cancellationToken)
    {
        await using var store = Store(TimeSpan.FromSeconds(1));
        var first = (await store.TryAcquireLeaseAsync("l", "one", TimeSpan.FromSeconds(1), cancellationToken))!;
        var second = await store.TryAcquireLeaseAsync("l", "two", TimeSpan.FromSeconds(1), cancellationToken);
        while (second is null)
        {
            await Task.Delay(100, cancellationToken);
            second = await store.TryAcquireLeaseAsync("l", "two", TimeSpan.FromSeconds(1), cancellationToken);
        }

        Assert.That(second.FencingToken, Is.GreaterThan(first.FencingToken));
    }

    [Test]
    [CancelAfter(60_000)]
    public async Task A_member_that_is_gone_is_left_for_another(CancellationToken cancellationToken)
    {
        await using var gone = await EtcdServer.StartAsync(cancellationToken);
        await gone.KillAsync();
        await using var store = new EtcdCatalogStore(new EtcdOptions { Endpoints = [gone.Endpoint, _etcd.Endpoint] }, TimeProvider.System);
        Assert.That(await store.CompareAndSetAsync("k", 0, "one"u8.ToArray(), cancellationToken), Is.EqualTo(1));
    }

    private EtcdCatalogStore Store(TimeSpan timeout) => new(new EtcdOptions { Endpoints = [_etcd.Endpoint], RequestTimeout = timeout }, TimeProvider.System);
}
