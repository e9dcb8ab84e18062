using NUnit.Framework;
using ShardProxy.Model.Fleet;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Views;
using ShardProxy.TestKit.Wire;

namespace ShardProxy.Functional.Tests.DataPath;

/// <summary>
/// Protects reads at the predicted location: only plain reads of one range, outside transactions, of clients that accept staleness go to the node the range is moving to, only
/// while the copy is known to be fresh enough and to hold the session's own writes, and they count as work on the range.
/// </summary>
[TestFixture]
internal sealed class ReadAheadTests : DataPathFixture
{
    private static readonly TimeSpan Long = TimeSpan.FromSeconds(20);
    private ShardRange _range = null!;
    private int _key;
    private ReadAheadPlace? _place;

    protected override Placement Tables { get; } = new Placement().Sharded("a", "id int4, v text", "id").Replicated("r", "id int4, v text");

    protected override string Ddl => "CREATE TABLE a (id int PRIMARY KEY, v text); CREATE TABLE r (id int PRIMARY KEY, v text);";

    [SetUp]
    public async Task MoveAsync()
    {
        await DirectOnAllAsync("TRUNCATE a");
        _range = Proxy.Plane.Current.Groups[0].Ranges.First(r => r.NodeId == 1);
        _key = Enumerable.Range(1, 100_000).First(i => _range.Contains(Model.Keys.KeyHash.Int64(i, Model.Keys.KeyHash.FirstSeed)));
        await DirectAsync(0, $"INSERT INTO a VALUES ({_key}, 'owner')");
        await DirectAsync(1, $"INSERT INTO a VALUES ({_key}, 'copy')");
        await PublishAsync(Move());
    }

    [TearDown]
    public async Task NoMovesAsync()
    {
        await Proxy.PublishAsync(t => Placement.WithMoves(t), DrainScope.None, Long);
        if (_place is not null)
        {
            Proxy.Plane.ReadAhead.Forget(_place);
        }
    }

    [Test]
    public async Task APlainReadGoesToTheCopyWhileThatIsFreshEnough()
    {
        using var client = await Proxy.LoginAsync();
        Assert.That(await ReadAsync(client), Is.EqualTo("owner"), "nothing was asked for");
        await client.QueryAsync("SET shardproxy.read_staleness = '10s'");
        Assert.That(await ReadAsync(client), Is.EqualTo("owner"), "nobody has told how fresh the copy is");
        var place = await PlaceAsync();
        Assert.That((place.RangeId, place.SourceNodeId, place.TargetNodeId), Is.EqualTo((_range.Id, 1, 2)));
        var seen = Proxy.Plane.Redirections().Length;
        place.AsOf = Now;
        Assert.That(await ReadAsync(client), Is.EqualTo("copy"));
        Assert.That((await client.ExecuteAsync("SELECT v FROM a WHERE id = $1", $"{_key}")).Rows.Single().Single(), Is.EqualTo("copy"));
        var rows = Proxy.Plane.Redirections().Skip(seen).ToArray();
        Assert.That(rows.Select(r => (r.RangeId, r.From, r.To, r.Reason)), Is.EqualTo(Enumerable.Repeat(((int?)_range.Id, "node1", "node2", RedirectionReasons.ReadAhead), 2)));

        // A moment that is too long ago, and one that is not known any more.
        place.AsOf = Now - (11 * TimeProvider.System.TimestampFrequency);
        Assert.That(await ReadAsync(client), Is.EqualTo("owner"));
        place.AsOf = 0;
        Assert.That(await ReadAsync(client), Is.EqualTo("owner"));

        place.AsOf = Now;
        Assert.That(await ReadAsync(client), Is.EqualTo("copy"));
        await client.QueryAsync("RESET shardproxy.read_staleness");
        Assert.That(await ReadAsync(client), Is.EqualTo("owner"));
    }

    [Test]
    public async Task WhatIsNotPlainGoesToTheOwner()
    {
        using var client = await Proxy.LoginAsync();
        await client.QueryAsync("SET shardproxy.read_staleness = '1h'");
        await ReadAsync(client);
        var place = await PlaceAsync();
        place.AsOf = Now;
        Assert.That(await ReadAsync(client), Is.EqualTo("copy"));
        Assert.That(await ReadAsync(client, " FOR SHARE"), Is.EqualTo("owner"));
        place.AsOf = Now;
        Assert.That(await ReadAsync(client), Is.AnyOf("owner", "copy"));
        place.AsOf = Now;
        Assert.That((await client.QueryAsync($"SELECT a.v FROM a LEFT JOIN r ON r.id = a.id WHERE a.id = {_key}")).Rows.Single().Single(), Is.EqualTo("owner"), "another table's rows");
        Assert.That((await client.QueryAsync($"SELECT max(v) FROM a WHERE id IN ({_key}, -1, -2, -3, -4, -5, -6)")).Rows.Single().Single(), Is.EqualTo("owner"), "several ranges");
        await client.QueryAsync("BEGIN");
        Assert.That(await ReadAsync(client), Is.EqualTo("owner"), "in a transaction");
        await client.QueryAsync("COMMIT");
        Assert.That((await client.QueryAsync($"SELECT v FROM a WHERE id = {_key}; SELECT v FROM a WHERE id = {_key}")).Rows.Select(r => r.Single()), Is.All.EqualTo("owner"), "in an implicit one");
        place.AsOf = Now;
        Assert.That(await ReadAsync(client), Is.EqualTo("copy"), "plain again");
    }

    [Test]
    public async Task ASessionReadsItsOwnWrites()
    {
        using var client = await Proxy.LoginAsync();
        await client.QueryAsync("SET shardproxy.read_staleness = '1h'");
        await ReadAsync(client);
        var place = await PlaceAsync();
        place.AsOf = Now;
        Assert.That(await ReadAsync(client), Is.EqualTo("copy"));
        await client.QueryAsync($"UPDATE a SET v = 'own' WHERE id = {_key}");
        Assert.That(await ReadAsync(client), Is.EqualTo("own"));
        Assert.That(await ReadAsync(client), Is.EqualTo("own"), "the copy is as old as before");
        place.AsOf = Now;
        Assert.That(await ReadAsync(client), Is.EqualTo("copy"), "the copy is known to be newer than the write");
        await client.QueryAsync("BEGIN");
        await client.ExecuteAsync("UPDATE a SET v = 'again' WHERE id = $1", $"{_key}");
        place.AsOf = Now;
        await client.QueryAsync("COMMIT");
        Assert.That(await ReadAsync(client), Is.EqualTo("again"));
    }

    [Test]
    public async Task TheMoveDecidesWhetherAndACutoverOrTheEndOfItWaitsForWhoReads()
    {
        using var client = await Proxy.LoginAsync();
        await client.QueryAsync("SET shardproxy.read_staleness = '1h'");
        await ReadAsync(client);
        var place = await PlaceAsync();
        place.AsOf = Now;

        // A read that lasts is seen by the cutover's barrier, and by the one behind the end of the permission.
        using var locked = await DirectLoginAsync(1);
        await locked.QueryAsync("BEGIN; LOCK TABLE a");
        var reading = ReadAsync(client);
        await UntilAsync(() => Proxy.Plane.Redirections().LastOrDefault()?.Reason == RedirectionReasons.ReadAhead && Proxy.Plane.Sessions().Any(s => s.State == "active"));
        var held = await Proxy.PublishAsync(t => Placement.WithMoves(t, Move() with { Phase = MovePhase.Holding }), DrainScope.Range(_range.Id), TimeSpan.FromMilliseconds(50));
        Assert.That(held.IsDrained, Is.False);
        var ended = await Proxy.PublishAsync(t => Placement.WithMoves(t, Move() with { AllowsReadAhead = false }), DrainScope.EarlierStatements, TimeSpan.FromMilliseconds(50));
        Assert.That(ended.IsDrained, Is.False);
        await locked.QueryAsync("ROLLBACK");
        Assert.That(await reading, Is.EqualTo("copy"));
        place.AsOf = Now;
        Assert.That(await ReadAsync(client), Is.EqualTo("owner"), "taken back");

        // After the cutover the target is the owner.
        await Proxy.PublishAsync(t => Placement.WithMoves(Placement.WithOwner(t, _range.Id, 2), Move()), DrainScope.None, Long);
        var count = Proxy.Plane.Redirections().Length;
        Assert.That(await ReadAsync(client), Is.EqualTo("copy"));
        Assert.That(Proxy.Plane.Redirections(), Has.Length.EqualTo(count));
        await Proxy.PublishAsync(t => Placement.WithOwner(t, _range.Id, 1), DrainScope.None, Long);
    }

    [TestCase("'100ms'", "100ms")]
    [TestCase("250", "250")]
    [TestCase("'1.5 s'", "1.5 s")]
    [TestCase("DEFAULT", "0")]
    public async Task TheSettingIsLikeAnyOther(string value, string shown)
    {
        using var client = await Proxy.LoginAsync();
        Assert.That(await ShowAsync(client), Is.EqualTo("0"));
        Assert.That((await client.QueryAsync($"SET shardproxy.read_staleness = {value}")).SqlState, Is.Null);
        Assert.That(await ShowAsync(client), Is.EqualTo(shown));
        await client.QueryAsync("BEGIN");
        await client.QueryAsync("SET LOCAL shardproxy.read_staleness = '7s'");
        Assert.That(await ShowAsync(client), Is.EqualTo("7s"));
        await client.QueryAsync("COMMIT");
        Assert.That(await ShowAsync(client), Is.EqualTo(shown));
        await client.QueryAsync("RESET ALL");
        Assert.That(await ShowAsync(client), Is.EqualTo("0"));
    }

    [TestCase("'soon'")]
    [TestCase("-1")]
    [TestCase("'2d'")]
    [TestCase("'1 week'")]
    public async Task AValueThatIsNoTimeIsRefused(string value)
    {
        using var client = await Proxy.LoginAsync();
        var refused = await client.QueryAsync($"SET shardproxy.read_staleness = {value}");
        Assert.That((refused.SqlState, refused.Errors.Single().Field('D')), Is.EqualTo(("22023", "SHP-231")));
        Assert.That(await ShowAsync(client), Is.EqualTo("0"));
    }

    private static long Now => TimeProvider.System.GetTimestamp();

    private static async Task<string?> ShowAsync(ScriptedClient client) => (await client.QueryAsync("SHOW shardproxy.read_staleness")).Rows.Single().Single();

    private static async Task UntilAsync(Func<bool> condition)
    {
        using var deadline = new CancellationTokenSource(Long);
        while (!condition())
        {
            deadline.Token.ThrowIfCancellationRequested();
            await Task.Yield();
        }
    }

    private RangeMove Move() => new(1, _range.GroupId, _range.Id, 1, 2, MovePhase.Ghosts) { AllowsReadAhead = true };

    private Task<EpochReport> PublishAsync(RangeMove move) => Proxy.PublishAsync(t => Placement.WithMoves(t, move), DrainScope.None, Long);

    private async Task<string?> ReadAsync(ScriptedClient client, string more = "") => (await client.QueryAsync($"SELECT v FROM a WHERE id = {_key}{more}")).Rows.Single().Single();

    private async Task<ReadAheadPlace> PlaceAsync()
    {
        using var deadline = new CancellationTokenSource(Long);
        return _place = await Proxy.Plane.ReadAhead.NextAsync(deadline.Token);
    }
}
