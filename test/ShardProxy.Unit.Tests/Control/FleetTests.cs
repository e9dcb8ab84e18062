using System.Collections.Immutable;
using NUnit.Framework;
using ShardProxy.Catalog;
using ShardProxy.Catalog.Fleet;
using ShardProxy.Catalog.Stores;
using ShardProxy.Control.Fleet;
using ShardProxy.Model.Fleet;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Topology;

namespace ShardProxy.Unit.Tests.Control;

/// <summary>Protects the agreement between proxies: nobody's answer is taken for another epoch's, who has just joined is waited for, and who could not be heard is not silent.</summary>
[TestFixture]
internal sealed class FleetTests
{
    private static readonly TimeSpan Soon = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan Long = TimeSpan.FromSeconds(20);

    [Test]
    public async Task A_barrier_waits_for_a_proxy_that_has_just_made_itself_known_and_for_this_very_epoch()
    {
        await using var store = new InMemoryCatalogStore(TimeProvider.System);
        var (directory, own) = (new ProxyDirectory(store), new Plane());
        using var roster = new FleetRoster(directory, "one", TimeProvider.System);
        var fleet = new CatalogFleet(own, roster, TimeProvider.System);
        Assert.That((await fleet.PublishAsync(Table(5), DrainScope.EarlierStatements, Soon, default)).All(r => r.IsDrained), Is.True, "alone");
        var other = new ProxyRecord { Id = "two", Instance = "two/1", Epoch = 5, DrainedEpoch = 5, DrainedRanges = [new DrainedRange(7, 5)] };
        Assert.That(await directory.TryWriteAsync(other, 0, default), Is.EqualTo(1));
        Assert.That(await DrainedAsync(5, DrainScope.EarlierStatements), Is.True);
        Assert.That(await DrainedAsync(5, DrainScope.Range(7)), Is.True);
        Assert.That(await DrainedAsync(5, DrainScope.Range(8)), Is.False, "another range");
        Assert.That(await DrainedAsync(6, DrainScope.None), Is.False, "an older table");
        Assert.That(await directory.TryWriteAsync(other with { Epoch = 6 }, 1, default), Is.EqualTo(2));
        Assert.That(await DrainedAsync(6, DrainScope.None), Is.True);
        Assert.That(await DrainedAsync(6, DrainScope.EarlierStatements), Is.False, "statements of before are under way");
        Assert.That(await DrainedAsync(6, DrainScope.Range(7)), Is.False, "drained by an older table");
        Assert.That(await directory.TryWriteAsync(other with { Epoch = 9, DrainedEpoch = 9, IsExpelled = true }, 2, default), Is.EqualTo(3));
        Assert.That(await DrainedAsync(6, DrainScope.None), Is.False, "expelled, and perhaps still at work");
        Assert.That(await directory.TryWriteAsync(other with { IsExpelled = true, IsBarred = true }, 3, default), Is.EqualTo(4));
        Assert.That(await DrainedAsync(6, DrainScope.EarlierStatements), Is.True, "nothing of it is left");

        async Task<bool> DrainedAsync(long epoch, DrainScope scope) => (await fleet.PublishAsync(Table(epoch), scope, Soon, default)).All(r => r.IsDrained);
    }

    [Test]
    [CancelAfter(30_000)]
    public async Task A_member_follows_the_placement_and_tells_when_it_has_drained(CancellationToken cancellationToken)
    {
        await using var store = new InMemoryCatalogStore(TimeProvider.System);
        var catalog = new RoutingCatalog(store);
        await catalog.TryUpdateAsync(s => s with { Nodes = [new Node(1, "node1", "127.0.0.1", 1, 0, true)] }, cancellationToken);
        var (directory, plane, identity) = (new ProxyDirectory(store), new Plane(), new ProxyIdentity("two"));
        await using var member = new FleetMember(store, identity, plane, "here", (_, _) => Task.CompletedTask, () => false, () => false, TimeProvider.System);
        await member.JoinAsync(cancellationToken);
        Assert.That(plane.Current, Is.EqualTo(1));
        Assert.That(await ToldAsync(r => r.Epoch == 1 && r.DrainedEpoch == 1), Is.True);
        plane.IsBusy = true;
        await catalog.TryUpdateAsync(s => s with { PlacementVersion = 3 }, cancellationToken);
        Assert.That(await ToldAsync(r => r.Epoch == 2), Is.True);
        Assert.That((await directory.FindAsync("two", cancellationToken))!.Value.Record.DrainedEpoch, Is.EqualTo(1), "statements of before are under way");
        plane.IsBusy = false;
        Assert.That(await ToldAsync(r => r.DrainedEpoch == 2), Is.True);

        // Expelled: it comes back under another name, and routes by what is true before it uses that.
        var (record, version) = (await directory.FindAsync("two", cancellationToken))!.Value;
        while (await directory.TryWriteAsync(record with { IsExpelled = true, IsBarred = true }, version, cancellationToken) is null)
        {
            (record, version) = (await directory.FindAsync("two", cancellationToken))!.Value;
        }

        var renewed = identity.RenewedAsync(record.Instance);
        await renewed.WaitAsync(Long, cancellationToken);
        Assert.That(identity.Instance, Is.Not.EqualTo(record.Instance));
        Assert.That(await ToldAsync(r => r.Instance == identity.Instance && !r.IsExpelled && r.Epoch == 2), Is.True);

        async Task<bool> ToldAsync(Func<ProxyRecord, bool> isSo)
        {
            while (await directory.FindAsync("two", cancellationToken) is not var (told, _) || !isSo(told))
            {
                await Task.Delay(5, cancellationToken);
            }

            return true;
        }
    }

    [Test]
    public async Task Time_in_which_nobody_could_be_heard_is_no_silence()
    {
        var time = new ManualTime();
        await using var store = new InMemoryCatalogStore(time);
        var directory = new ProxyDirectory(store);
        await directory.TryWriteAsync(new ProxyRecord { Id = "two", Instance = "two/1" }, 0, default);
        using var roster = new FleetRoster(directory, "one", time);
        await roster.RefreshAsync(default);
        for (var second = 0; second < 6; second++)
        {
            time.Advance(TimeSpan.FromSeconds(1));
            await roster.RefreshAsync(default);
        }

        Assert.That(roster.SilenceOf("two"), Is.EqualTo(TimeSpan.FromSeconds(6)));
        time.Advance(TimeSpan.FromSeconds(60));
        await roster.RefreshAsync(default);
        Assert.That(roster.SilenceOf("two"), Is.EqualTo(TimeSpan.Zero), "this process had not looked for a minute");
    }

    private static RoutingTable Table(long epoch) => new(epoch, 1, [new Node(1, "node1", "127.0.0.1", 1, 0, true)], [], [], [], [], []);

    private sealed class Plane : IProxyFleet
    {
        private long _current;

        public long Current => Volatile.Read(ref _current);

        public volatile bool IsBusy;

        public async ValueTask<ImmutableArray<EpochReport>> PublishAsync(RoutingTable table, DrainScope scope, TimeSpan deadline, CancellationToken cancellationToken)
        {
            Volatile.Write(ref _current, Math.Max(_current, table.Epoch));
            var isDrained = !IsBusy || scope == DrainScope.None;
            await Task.Delay(isDrained ? TimeSpan.Zero : deadline / 20, cancellationToken);
            return [new EpochReport("own", table.Epoch, isDrained, 0, 0)];
        }

        public ValueTask<long> OldestTransactionOnRangeMsAsync(int rangeId, CancellationToken cancellationToken) => new(0);
    }

    private sealed class ManualTime : TimeProvider
    {
        private TimeSpan _passed;

        public override long GetTimestamp() => (long)(_passed.TotalSeconds * TimestampFrequency);

        public void Advance(TimeSpan by) => _passed += by;
    }
}
