using System.Globalization;
using NUnit.Framework;
using ShardProxy.Model.Fleet;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Views;
using ShardProxy.TestKit.Wire;

namespace ShardProxy.Functional.Tests.DataPath;

/// <summary>
/// Protects what an operator is told of statements that did not simply go where their range was: each of them is listed once, with its range, its
/// nodes, why and for how long, and never with a value; others are not listed. A closed write gate never shows to a client as the node's own error.
/// </summary>
[TestFixture]
internal sealed class RedirectionTests : DataPathFixture
{
    private static readonly TimeSpan Long = TimeSpan.FromSeconds(20);
    private int _seen;

    protected override Placement Tables { get; } = new Placement().Sharded("a", "id int4, v text", "id");

    protected override string Ddl => "CREATE TABLE a (id int PRIMARY KEY, v text);";

    [SetUp]
    public async Task EmptyAsync()
    {
        await DirectOnAllAsync("TRUNCATE a");
        _seen = Proxy.Plane.Redirections().Length;
    }

    [TearDown]
    public Task NoMovesAsync() => Proxy.PublishAsync(t => Placement.WithMoves(t), DrainScope.None, Long);

    [Test]
    public async Task WhatWasHeldIsListedOnceWithBothNodes()
    {
        var range = Range(1);
        int[] inside = [.. Keys(range).Take(4)];
        var outside = Keys(Range(2)).First();
        using var open = await Proxy.LoginAsync();
        using var simple = await Proxy.LoginAsync();
        using var extended = await Proxy.LoginAsync();
        using var scatter = await Proxy.LoginAsync();
        using var free = await Proxy.LoginAsync();
        await open.QueryAsync("BEGIN");
        await open.QueryAsync(Insert(inside[0]));
        await Proxy.PublishAsync(t => Placement.WithMoves(t, Move(range, MovePhase.Holding)), DrainScope.None, Long);
        var waiting = new[]
        {
            simple.QueryAsync($"INSERT INTO a VALUES ({inside[1]}, 'hidden')"),
            extended.ExecuteAsync("SELECT v FROM a WHERE id = $1 AND v <> 'hidden'", inside[2].ToString(CultureInfo.InvariantCulture)),
            scatter.QueryAsync("SELECT count(*) FROM a"),
        };
        await UntilAsync(() => Proxy.Plane.Sessions().Count(s => s.State == "held") == 3);
        await open.QueryAsync(Insert(inside[3]));
        await open.QueryAsync("COMMIT");
        await free.QueryAsync(Insert(outside));
        Assert.That(New(), Is.Empty, "listed before anything became of it, or not held at all");

        // Deciding, then releasing: two tables, one row.
        await Proxy.PublishAsync(t => Placement.WithMoves(Placement.WithOwner(t, range.Id, 2), Move(range, MovePhase.Releasing)), DrainScope.None, Long);
        await Proxy.PublishAsync(t => Placement.WithMoves(t), DrainScope.None, Long);
        foreach (var reply in await Task.WhenAll(waiting))
        {
            Assert.That(reply.SqlState, Is.Null);
        }

        var rows = New();
        Assert.That(rows.Select(r => r.Shape), Is.EquivalentTo(new[]
        {
            "insert into a values ($1, $2)", "select v from a where id = $1 and v <> $2", "select count (*) from a",
        }).IgnoreCase);
        Assert.That(rows.Select(r => (r.RangeId, r.From, r.To, r.Reason)), Is.All.EqualTo(((int?)range.Id, "node1", "node2", RedirectionReasons.Held)));
        Assert.That(rows.Select(r => r.HeldMs), Is.All.InRange(0.001, Long.TotalMilliseconds));
        Assert.That(rows.Select(r => r.At), Is.Ordered);
        Assert.That(Proxy.Plane.RedirectionTotals().Single(t => t.RangeId == range.Id && t.Reason == RedirectionReasons.Held).Count, Is.EqualTo(3));
        await Proxy.PublishAsync(t => Placement.WithOwner(t, range.Id, 1), DrainScope.None, Long);
    }

    [Test]
    public async Task WhatWaitsForTheEndOfAMoveIsListedAsSuch()
    {
        var range = Range(1);
        await Proxy.PublishAsync(t => Placement.WithMoves(t, Move(range, MovePhase.Ghosts)), DrainScope.EarlierStatements, Long);
        using var client = await Proxy.LoginAsync();
        var truncate = client.QueryAsync("TRUNCATE a");
        await UntilAsync(() => Proxy.Plane.Sessions().Any(s => s.State == "held"));
        await Proxy.PublishAsync(t => Placement.WithMoves(t), DrainScope.None, Long);
        Assert.That((await truncate).SqlState, Is.Null);
        var row = New().Single();
        Assert.That((row.RangeId, row.Reason, row.To), Is.EqualTo(((int?)range.Id, RedirectionReasons.Waited, "node1")));
    }

    [Test]
    public async Task AHoldThatIsTooLongIsListed()
    {
        var range = Range(1);
        Proxy.Plane.Apply(Proxy.Options with { HoldTimeout = TimeSpan.FromMilliseconds(40) });
        try
        {
            await Proxy.PublishAsync(t => Placement.WithMoves(t, Move(range, MovePhase.Holding)), DrainScope.None, Long);
            using var client = await Proxy.LoginAsync();
            Assert.That((await client.QueryAsync(Insert(Keys(range).First()))).SqlState, Is.Not.Null);
            var row = New().Single();
            Assert.That((row.RangeId, row.From, row.To, row.Reason), Is.EqualTo(((int?)range.Id, "node1", (string?)null, RedirectionReasons.HoldTimeout)));
            Assert.That(row.HeldMs, Is.GreaterThanOrEqualTo(40));
        }
        finally
        {
            Proxy.Plane.Apply(Proxy.Options);
        }
    }

    [Test]
    public async Task AClosedGateSendsAQueryRoundAgainAndIsA40001WhereItCannot()
    {
        var range = Range(2);
        var key = Keys(range).First();
        await DirectAsync(1, $"""
            CREATE SEQUENCE met;
            CREATE FUNCTION gate() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN
              IF nextval('met') = 1 THEN RAISE EXCEPTION 'closed' USING ERRCODE = 'P0004', CONSTRAINT = 'shardproxy_gate:{range.Id}'; END IF; RETURN NEW; END $f$;
            CREATE TRIGGER gate BEFORE INSERT ON a FOR EACH ROW EXECUTE FUNCTION gate();
            """);
        try
        {
            using var client = await Proxy.LoginAsync();
            Assert.That((await client.QueryAsync(Insert(key))).Tags, Is.EqualTo(new[] { "INSERT 0 1" }));
            var fenced = New().Single();
            Assert.That((fenced.RangeId, fenced.From, fenced.To, fenced.Reason), Is.EqualTo(((int?)range.Id, "node2", "node2", RedirectionReasons.Fenced)));
            Assert.That(fenced.HeldMs, Is.GreaterThan(0));

            await DirectAsync(1, "ALTER SEQUENCE met RESTART");
            await AssertRefusedAsync(() => client.ExecuteAsync("INSERT INTO a VALUES ($1, 'y')", Keys(range).Skip(3).First().ToString(CultureInfo.InvariantCulture)), range, 2);
            Assert.That((await client.QueryAsync("SELECT 1")).SqlState, Is.Null, "the session goes on");

            await DirectAsync(1, "ALTER SEQUENCE met RESTART");
            await client.QueryAsync("BEGIN");
            await AssertRefusedAsync(() => client.QueryAsync(Insert(Keys(range).Skip(1).First())), range, 3);
            Assert.That((await client.QueryAsync("SELECT 1")).SqlState, Is.EqualTo("25P02"));
            await client.QueryAsync("ROLLBACK");

            await DirectAsync(1, "ALTER SEQUENCE met RESTART");
            await client.QueryAsync("BEGIN");
            await AssertRefusedAsync(() => client.QueryAsync($"INSERT INTO a VALUES ({Keys(Range(1)).First()}, 'x'), ({Keys(range).Skip(2).First()}, 'x')"), range, 4);
            await client.QueryAsync("ROLLBACK");
        }
        finally
        {
            await DirectAsync(1, "DROP TRIGGER gate ON a; DROP FUNCTION gate; DROP SEQUENCE met");
        }
    }

    private static RangeMove Move(ShardRange range, MovePhase phase) => new(1, range.GroupId, range.Id, 1, 2, phase);

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

    private async Task AssertRefusedAsync(Func<Task<Transcript>> run, ShardRange range, int rows)
    {
        var reply = await run();
        Assert.That((reply.SqlState, reply.Errors.Single().Field('D')), Is.EqualTo(("40001", "SHP-403")));
        var row = New().Last();
        Assert.That(New(), Has.Length.EqualTo(rows));
        Assert.That((row.RangeId, row.From, row.To, row.Reason), Is.EqualTo(((int?)range.Id, "node2", (string?)null, RedirectionReasons.FencedRefused)));
        Assert.That(row.Shape, Does.StartWith("insert into a values").IgnoreCase);
    }

    private RedirectionSnapshot[] New() => [.. Proxy.Plane.Redirections().Skip(_seen)];

    private ShardRange Range(int nodeId) => Proxy.Plane.Current.Groups[0].Ranges.First(r => r.NodeId == nodeId);
}
