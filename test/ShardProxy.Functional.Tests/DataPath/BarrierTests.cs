using System.Globalization;
using NUnit.Framework;
using ShardProxy.Model.Fleet;
using ShardProxy.Model.Routing;
using ShardProxy.TestKit.Wire;

namespace ShardProxy.Functional.Tests.DataPath;

/// <summary>
/// Protects the barriers a migration relies on: new work on a held range waits, work on others and transactions that touched it go on, a
/// publish is drained only when nothing routed by an older table is left, and ghost rows are never counted.
/// </summary>
[TestFixture]
internal sealed class BarrierTests : DataPathFixture
{
    private static readonly TimeSpan Long = TimeSpan.FromSeconds(20);

    protected override Placement Tables { get; } = new Placement().Sharded("a", "id int4, v text", "id");

    protected override string Ddl => "CREATE TABLE a (id int PRIMARY KEY, v text);";

    protected override int PoolSize => 40;

    [SetUp]
    public Task EmptyAsync() => DirectOnAllAsync("TRUNCATE a");

    [TearDown]
    public Task NoMovesAsync() => Proxy.PublishAsync(t => Placement.WithMoves(t), DrainScope.None, Long);

    [Test]
    public async Task AHeldRangeStopsNewWorkOnItOnly()
    {
        var range = Range(1);
        int[] inside = [.. Keys(range).Take(3)];
        var outside = Keys(Range(2)).First();
        using var open = await Proxy.LoginAsync();
        using var held = await Proxy.LoginAsync();
        using var free = await Proxy.LoginAsync();
        await open.QueryAsync("BEGIN");
        Assert.That((await open.QueryAsync(Insert(inside[0]))).SqlState, Is.Null);

        // The open transaction keeps the barrier from falling, and says for how long it has been open.
        var report = await HoldAsync(range, TimeSpan.FromMilliseconds(50));
        Assert.That((report.IsDrained, report.Blockers), Is.EqualTo((false, 1)));
        Assert.That(await Proxy.Plane.OldestTransactionOnRangeMsAsync(range.Id, default), Is.GreaterThan(0));
        var waiting = held.QueryAsync(Insert(inside[1]));
        Assert.That((await free.QueryAsync(Insert(outside))).SqlState, Is.Null, "another range is held");
        Assert.That((await free.QueryAsync("SELECT 1")).SqlState, Is.Null);
        Assert.That((await open.QueryAsync(Insert(inside[2]))).SqlState, Is.Null, "a transaction that touched the range is held");
        await UntilAsync(() => Proxy.Plane.Sessions().Count(s => s.State == "held") == 1);
        Assert.That(waiting.IsCompleted, Is.False);

        var draining = Proxy.PublishAsync(t => Placement.WithMoves(t, Move(range, MovePhase.Holding)), DrainScope.Range(range.Id), Long);
        Assert.That((await open.QueryAsync("COMMIT")).Tags, Is.EqualTo(new[] { "COMMIT" }));
        Assert.That((await draining).IsDrained, Is.True);
        Assert.That(waiting.IsCompleted, Is.False, "held work began while the range was held");
        await Proxy.PublishAsync(t => Placement.WithOwner(t, range.Id, 2), DrainScope.None, Long);
        Assert.That((await waiting).SqlState, Is.Null);
        Assert.That(await DirectAsync(1, $"SELECT count(*) FROM a WHERE id = {inside[1]}"), Is.EqualTo(new[] { "1" }), "it went to the old owner");
        await Proxy.PublishAsync(t => Placement.WithOwner(t, range.Id, 1), DrainScope.None, Long);
    }

    [Test]
    public async Task ScattersOverAHeldRangeWaitToo()
    {
        var range = Range(1);
        await HoldAsync(range, Long);
        using var client = await Proxy.LoginAsync();
        var waiting = client.QueryAsync("SELECT count(*) FROM a");
        await UntilAsync(() => Proxy.Plane.Sessions().Any(s => s.State == "held"));
        await Proxy.PublishAsync(t => Placement.WithMoves(t), DrainScope.None, Long);
        Assert.That((await waiting).Rows.Single().Single(), Is.EqualTo("0"));
    }

    [Test]
    public async Task GhostRowsAreNotCounted()
    {
        using var client = await Proxy.LoginAsync();
        var range = Range(1);
        var ids = Keys(range).Take(5).Concat(Keys(Range(2)).Take(4)).ToArray();
        foreach (var id in ids)
        {
            await client.QueryAsync(Insert(id));
        }

        // The copy of a range that node 1 owns, on node 2.
        foreach (var id in ids[..5])
        {
            await DirectAsync(1, $"INSERT INTO a VALUES ({id}, 'ghost')");
        }

        Assert.That((await Proxy.PublishAsync(t => Placement.WithMoves(t, Move(range, MovePhase.Ghosts)), DrainScope.EarlierStatements, Long)).IsDrained, Is.True);
        var sum = ids.Sum().ToString(CultureInfo.InvariantCulture);
        Assert.That((await client.QueryAsync("SELECT count(*), sum(id) FROM a")).Rows.Single(), Is.EqualTo(new[] { "9", sum }));
        Assert.That((await client.QueryAsync("SELECT count(*), sum(x.id) FROM a AS x WHERE x.v <> 'no' OR true")).Rows.Single(), Is.EqualTo(new[] { "9", sum }));
        Assert.That((await client.QueryAsync("SELECT (SELECT count(*) FROM a), (SELECT max(id) FROM public.a)")).Rows.Single(), Is.EqualTo(new[] { "9", ids.Max().ToString(CultureInfo.InvariantCulture) }));
        Assert.That((await client.ExecuteAsync("SELECT count(*) FROM a WHERE id > $1", "-1")).Rows.Single().Single(), Is.EqualTo("9"));
        Assert.That((await client.QueryAsync($"SELECT v FROM a WHERE id = {ids[0]}")).Rows.Single().Single(), Is.EqualTo("x"), "a ghost was read");

        // After the cutover the other copy is the ghost.
        await Proxy.PublishAsync(t => Placement.WithMoves(Placement.WithOwner(t, range.Id, 2), Move(range, MovePhase.Ghosts)), DrainScope.None, Long);
        Assert.That((await client.QueryAsync("SELECT count(*), sum(id) FROM a")).Rows.Single(), Is.EqualTo(new[] { "9", sum }));
        Assert.That((await client.QueryAsync($"SELECT v FROM a WHERE id = {ids[0]}")).Rows.Single().Single(), Is.EqualTo("ghost"));

        // TRUNCATE would empty both copies: it waits for the move.
        var truncate = client.QueryAsync("TRUNCATE a");
        await UntilAsync(() => Proxy.Plane.Sessions().Any(s => s.State == "held"));
        await Proxy.PublishAsync(t => Placement.WithOwner(t, range.Id, 1), DrainScope.None, Long);
        Assert.That((await truncate).SqlState, Is.Null);
    }

    [Test]
    public async Task NoStatementIsRoutedByAnOldTable()
    {
        const int clients = 12, publishes = 60;
        var seed = Environment.TickCount;
        await TestContext.Out.WriteLineAsync($"seed {seed}");
        var random = new Random(seed);
        var range = Range(1);
        int[] keys = [.. Keys(range).Take(40)];
        using var stop = new CancellationTokenSource();
        var written = 0;
        var workers = Enumerable.Range(0, clients).Select(w => Task.Run(async () =>
        {
            using var client = await Proxy.LoginAsync();
            var own = new Random(seed + w);
            while (!stop.IsCancellationRequested)
            {
                // Each row says which table's owner it was written under: only if it waits can the sweep below be exact.
                var key = keys[own.Next(keys.Length)];
                var reply = own.Next(3) switch
                {
                    0 => await client.ExecuteAsync($"INSERT INTO a VALUES ($1, 'w{w}') ON CONFLICT (id) DO UPDATE SET v = a.v || '.'", key.ToString(CultureInfo.InvariantCulture)),
                    1 => await client.QueryAsync($"INSERT INTO a VALUES ({key}, 'w{w}') ON CONFLICT (id) DO UPDATE SET v = a.v || '.'"),
                    _ => await client.QueryAsync($"BEGIN; INSERT INTO a VALUES ({key}, 'w{w}') ON CONFLICT (id) DO UPDATE SET v = a.v || '.'; COMMIT"),
                };
                Assert.That((reply.SqlState, reply.Status), Is.EqualTo(((string?)null, 'I')), reply.ToString());
                Interlocked.Increment(ref written);
            }
        })).ToArray();
        try
        {
            var owner = 1;
            for (var i = 0; i < publishes; i++)
            {
                Assert.That((await HoldAsync(range, Long)).IsDrained, Is.True);

                // Drained and held: from here to the publish nothing may be written on either node, and nothing may be under way.
                var other = 3 - owner;
                var before = await DirectAsync(owner - 1, "SELECT count(*), coalesce(sum(length(v)), 0) FROM a");
                await DirectAsync(other - 1, "DELETE FROM a");
                for (var spin = random.Next(200); spin > 0; spin--)
                {
                    await Task.Yield();
                }

                Assert.That(await DirectAsync(owner - 1, "SELECT count(*), coalesce(sum(length(v)), 0) FROM a"), Is.EqualTo(before), "a write went through the barrier");
                Assert.That(await DirectAsync(other - 1, "SELECT count(*) FROM a"), Is.EqualTo(new[] { "0" }));
                await Proxy.PublishAsync(t => Placement.WithOwner(t, range.Id, other), DrainScope.None, Long);
                owner = other;

                // Some get through before the next one.
                var seen = Volatile.Read(ref written);
                await UntilAsync(() => Volatile.Read(ref written) > seen + random.Next(1, 20) || workers.Any(w => w.IsCompleted));
            }

            await Proxy.PublishAsync(t => Placement.WithOwner(t, range.Id, 1), DrainScope.None, Long);
        }
        finally
        {
            await stop.CancelAsync();
            await Task.WhenAll(workers);
        }

        Assert.That(written, Is.GreaterThan(publishes));
    }

    private static RangeMove Move(ShardRange range, MovePhase phase) => new(1, range.GroupId, range.Id, range.NodeId, 3 - range.NodeId, phase);

    private static string Insert(int id) => $"INSERT INTO a VALUES ({id}, 'x')";

    private static IEnumerable<int> Keys(ShardRange range) =>
        Enumerable.Range(1, 100_000).Where(i => range.Contains(Model.Keys.KeyHash.Int64(i, Model.Keys.KeyHash.FirstSeed)));

    private static async Task UntilAsync(Func<bool> condition)
    {
        using var deadline = new CancellationTokenSource(Long);
        while (!condition())
        {
            deadline.Token.ThrowIfCancellationRequested();
            await Task.Yield();
        }
    }

    private Task<EpochReport> HoldAsync(ShardRange range, TimeSpan deadline) =>
        Proxy.PublishAsync(t => Placement.WithMoves(t, Move(range, MovePhase.Holding)), DrainScope.Range(range.Id), deadline);

    private ShardRange Range(int nodeId) => Proxy.Plane.Current.Groups[0].Ranges.First(r => r.NodeId == nodeId);
}
