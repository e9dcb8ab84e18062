using System.Globalization;
using NUnit.Framework;
using ShardProxy.DataPath;
using ShardProxy.Model.Fleet;
using ShardProxy.Model.Keys;
using ShardProxy.Model.Routing;
using ShardProxy.TestKit.Wire;

namespace ShardProxy.Functional.Tests.DataPath;

/// <summary>
/// Protects shadow reads: a row that is otherwise on the node a range is moving to is found and told without its values, and nothing else ever is: not rows that are being
/// written, not what two right nodes may answer differently, not a copy that lags, not a cutover that comes between. The clients notice nothing of it.
/// </summary>
[TestFixture]
internal sealed class ShadowReadTests : DataPathFixture
{
    private static readonly TimeSpan Long = TimeSpan.FromSeconds(20);
    private static int _migration;
    private readonly CancellationTokenSource _stop = new();
    private Task _answering = Task.CompletedTask;
    private ShardRange _range = null!;
    private List<int> _keys = null!;
    private int _id;
    private ShadowWatch _watch = null!;
    private ScriptedClient _source = null!, _target = null!;

    /// <summary>Brings the copy up to date, as the apply worker does; null while it does not.</summary>
    private Func<Task>? _apply;

    protected override Placement Tables { get; } = new Placement().Sharded("a", "id int4, v text, f float8, n int4, at timestamptz", "id").Sharded("b", "id int4, n int4", "id");

    protected override string Ddl => """
        CREATE TABLE a (id int PRIMARY KEY, v text, f float8, n int, at timestamptz); CREATE TABLE b (id int PRIMARY KEY, n int);
        CREATE FUNCTION here() RETURNS int LANGUAGE sql AS 'SELECT current_setting(''port'')::int';
        """;

    private ShadowBoard Board => Proxy.Plane.Shadow;

    protected override DataPathOptions Configure(DataPathOptions options) => options with { ShadowReads = 1 };

    [OneTimeSetUp]
    public async Task AnswerWhoAsksAsync()
    {
        (_source, _target) = (await DirectLoginAsync(0), await DirectLoginAsync(1));
        _answering = Task.Run(AnswerAsync);
    }

    [OneTimeTearDown]
    public async Task AnswerNoMoreAsync()
    {
        await _stop.CancelAsync();
        await _answering;
        _stop.Dispose();
        _source.Dispose();
        _target.Dispose();
    }

    [SetUp]
    public async Task MoveAsync()
    {
        _apply = () => Task.CompletedTask;
        _range = Proxy.Plane.Current.Groups[0].Ranges.First(r => r.NodeId == 1);
        _keys = [.. Enumerable.Range(1, 100_000).Where(i => _range.Contains(KeyHash.Int64(i, KeyHash.FirstSeed))).Take(20)];
        foreach (var node in new[] { 0, 1 })
        {
            await DirectAsync(node, $"TRUNCATE a, b; INSERT INTO a SELECT i, 'secret ' || i, i / 7.0, i, '2020-01-01 12:34:56+00' FROM unnest('{{{string.Join(',', _keys)}}}'::int[]) i; INSERT INTO b SELECT id, n FROM a");
        }

        _id = Interlocked.Increment(ref _migration);
        _watch = Board.Watch(_id);
        await PublishAsync(Move());
    }

    [TearDown]
    public async Task NoMovesAsync()
    {
        await Proxy.PublishAsync(t => Placement.WithMoves(t), DrainScope.None, Long);
        _watch.Dispose();
    }

    [Test]
    public async Task EqualRowsAreCompared()
    {
        using var client = await Proxy.LoginAsync();
        var compared = Board.Compared;
        await client.QueryAsync($"SELECT v FROM a WHERE id = {_keys[0]}");
        await client.ExecuteAsync("SELECT f, v, at FROM a WHERE id = $1", Text(_keys[1]));
        await client.QueryAsync($"SELECT a.v, b.n FROM a JOIN b ON b.id = a.id WHERE a.id = {_keys[2]} ORDER BY 1");
        await client.QueryAsync($"SELECT count(*), sum(n) FROM b WHERE id = {_keys[2]}");
        await UntilAsync(() => Board.Compared == compared + 4);
        Assert.That(_watch.Compared, Is.EqualTo(4));
        AssertNothingFound();
    }

    [TestCase("UPDATE a SET v = 'planted' WHERE id = {0}", "secret")]
    [TestCase("DELETE FROM a WHERE id = {0}", "secret")]
    [TestCase("UPDATE a SET f = f + 1e-14 WHERE id = {0}", "secret")]
    public async Task AStandingDifferenceIsFoundAndToldWithoutValues(string planted, string value)
    {
        await DirectAsync(1, string.Format(CultureInfo.InvariantCulture, planted, _keys[3]));
        using var client = await Proxy.LoginAsync();
        await client.QueryAsync($"SELECT f, v FROM a WHERE v <> 'nothing of it' AND id = {_keys[3]}");
        var found = await _watch.Difference.WaitAsync(TimeSpan.FromSeconds(10));
        Assert.That(found.Shape, Is.EqualTo("select f, v from a where v <> $1 and id = $2"));
        Assert.That(found.ToString(), Does.Not.Contain(value).And.Not.Contain("nothing of it").And.Not.Contain("planted"));
        Assert.That(found.KeyHash, Is.EqualTo(KeyHash.Int64(_keys[3], KeyHash.FirstSeed)));
        Assert.That(_watch.HasDoubts, Is.False);
    }

    [TestCase("SELECT v FROM a WHERE id = {0} LIMIT 1")]
    [TestCase("SELECT v FROM a WHERE id = {0} ORDER BY n FETCH FIRST ROW ONLY")]
    [TestCase("SELECT DISTINCT v FROM a WHERE id = {0}")]
    [TestCase("SELECT v, now() FROM a WHERE id = {0}")]
    [TestCase("SELECT v, random() FROM a WHERE id = {0}")]
    [TestCase("SELECT v FROM a WHERE id = {0} AND at < CURRENT_TIMESTAMP")]
    [TestCase("SELECT v FROM a WHERE id = {0} AND at < 'now'")]
    [TestCase("SELECT v FROM a WHERE id = {0} AND at < timestamptz 'Today 12:00'")]
    [TestCase("SELECT v, ctid FROM a WHERE id = {0}")]
    [TestCase("SELECT v, a.xmin FROM a WHERE id = {0}")]
    [TestCase("SELECT v, tableoid::regclass FROM a WHERE id = {0}")]
    [TestCase("SELECT sum(f), max(v) FROM a WHERE id = {0}")]
    [TestCase("SELECT sum(f) FROM a WHERE id = {0}")]
    [TestCase("SELECT v, row_number() OVER () FROM a WHERE id = {0}")]
    [TestCase("SELECT ARRAY(SELECT v FROM a WHERE id = {0})")]
    [TestCase("SELECT string_agg(v, ',') FROM a WHERE id = {0}")]
    [TestCase("SELECT v, here() FROM a WHERE id = {0}")]
    [TestCase("SELECT v FROM a WHERE id = {0} FOR SHARE")]
    [TestCase("BEGIN; UPDATE a SET n = 0 WHERE id = {0}; SELECT v FROM a WHERE id = {0}; ROLLBACK")]
    [TestCase("SELECT v FROM a WHERE id = {0}; SELECT v FROM a WHERE id = {0}")]
    public async Task WhatMayRightlyDifferIsNotCompared(string sql)
    {
        // Whatever is looked at by mistake differs.
        await DirectAsync(1, "UPDATE a SET v = 'other', f = -f");
        using var client = await Proxy.LoginAsync();
        var before = (Board.Compared, Board.Different, Board.Inconclusive, Board.Dropped);
        await client.QueryAsync(string.Format(CultureInfo.InvariantCulture, sql, _keys[0]));
        await client.QueryAsync($"SELECT n FROM b WHERE id = {_keys[1]}");
        await UntilAsync(() => Board.Compared == before.Compared + 1);
        Assert.That((Board.Compared - 1, Board.Different, Board.Inconclusive, Board.Dropped), Is.EqualTo(before));
        Assert.That(_watch.HasDoubts || _watch.Difference.IsCompleted, Is.False);
    }

    [Test]
    public async Task HowANodeWritesValuesDoesNotMatter()
    {
        await DirectAsync(1, $"ALTER DATABASE {Database} SET extra_float_digits = -6; ALTER DATABASE {Database} SET \"DateStyle\" = 'German'; ALTER DATABASE {Database} SET \"TimeZone\" = 'Asia/Tokyo'; ALTER DATABASE {Database} SET bytea_output = 'escape'");
        try
        {
            await using var proxy = await StartProxyAsync();
            using var watch = proxy.Plane.Shadow.Watch(_id);
            await proxy.PublishAsync(t => Placement.WithMoves(t, Move()), DrainScope.None, Long);
            using var client = await proxy.LoginAsync();
            await client.QueryAsync($"SELECT f, at, at::text, v::bytea FROM a WHERE id = {_keys[0]}");
            await client.QueryAsync("SET TimeZone = 'America/New_York'; SET extra_float_digits = 0");
            await client.QueryAsync($"SELECT f, at, at::date, v::bytea FROM a WHERE id = {_keys[0]}");
            await UntilAsync(() => watch.Compared == 2);
            Assert.That((proxy.Plane.Shadow.Different, proxy.Plane.Shadow.Inconclusive), Is.EqualTo((0L, 0L)));
        }
        finally
        {
            await DirectAsync(1, $"ALTER DATABASE {Database} RESET ALL");
        }
    }

    [Test]
    public async Task RowsThatAreWrittenAreNotTakenForDifferences()
    {
        // One row counts up, one goes to and fro, one comes and goes; the copy follows as it can.
        using var stop = new CancellationTokenSource();
        string[] work =
        [
            $"UPDATE a SET n = n + 1 WHERE id = {_keys[0]}",
            $"UPDATE a SET v = CASE v WHEN 'on' THEN 'off' ELSE 'on' END WHERE id = {_keys[1]}",
            $"DELETE FROM a WHERE id = {_keys[2]}",
            $"INSERT INTO a (id) VALUES ({_keys[2]}) ON CONFLICT DO NOTHING",
            .. Enumerable.Range(0, 3).Select(i => $"SELECT v, n FROM a WHERE id = {_keys[i]}"),
        ];
        _apply = async () =>
        {
            var rows = (await _source.QueryAsync($"SELECT id, v, n FROM a WHERE id IN ({_keys[0]}, {_keys[1]}, {_keys[2]})")).Rows.ToList();
            var values = string.Join(',', rows.Select(r => $"({r[0]}, {(r[1] is { } v ? $"'{v}'" : "NULL")}, {r[2] ?? "NULL"})"));
            var reply = await _target.QueryAsync($"BEGIN; DELETE FROM a WHERE id IN ({_keys[0]}, {_keys[1]}, {_keys[2]}); INSERT INTO a (id, v, n) VALUES {values}; COMMIT");
            Assert.That(reply.Errors, Is.Empty);
        };
        var clients = work.Select(w => RepeatAsync(w, stop.Token)).ToList();
        try
        {
            var (compared, inconclusive) = (Board.Compared, Board.Inconclusive);
            await UntilAsync(() => Board.Compared >= compared + 3_000 && Board.Inconclusive >= inconclusive + 10);
        }
        finally
        {
            await stop.CancelAsync();
            await Task.WhenAll(clients);
        }

        AssertNothingFound();
    }

    [Test]
    public async Task ACopyThatLagsIsWaitedFor()
    {
        _apply = null;
        await DirectAsync(0, $"UPDATE a SET v = 'new' WHERE id = {_keys[0]}");
        using var client = await Proxy.LoginAsync();
        var compared = Board.Compared;
        await client.QueryAsync($"SELECT v FROM a WHERE id = {_keys[0]}");
        await client.QueryAsync($"SELECT v FROM a WHERE id = {_keys[1]}");
        await UntilAsync(() => Board.Compared == compared + 1);
        AssertNothingFound();
        _apply = () => DirectAsync(1, $"UPDATE a SET v = 'new' WHERE id = {_keys[0]}");
        await UntilAsync(() => Board.Compared == compared + 2);
        AssertNothingFound();
    }

    [Test]
    public async Task ACutoverThatComesBetweenIsNoDifference()
    {
        await DirectAsync(1, $"UPDATE a SET v = 'other' WHERE id = {_keys[0]}");
        _apply = null;
        using var client = await Proxy.LoginAsync();
        var inconclusive = Board.Inconclusive;
        await client.QueryAsync($"SELECT v FROM a WHERE id = {_keys[0]}");
        await PublishAsync(Move() with { Phase = MovePhase.Holding });
        _apply = () => Task.CompletedTask;
        await Proxy.PublishAsync(t => Placement.WithMoves(Placement.WithOwner(t, _range.Id, 2), Move() with { AllowsReadAhead = false }), DrainScope.None, Long);
        try
        {
            await UntilAsync(() => Board.Inconclusive > inconclusive);
            AssertNothingFound();
        }
        finally
        {
            await Proxy.PublishAsync(t => Placement.WithOwner(t, _range.Id, 1), DrainScope.None, Long);
        }
    }

    [Test]
    public async Task AHoldThatIsTakenBackOnlyPutsItOff()
    {
        await DirectAsync(1, $"UPDATE a SET v = 'other' WHERE id = {_keys[0]}");
        using var client = await Proxy.LoginAsync();
        _apply = null;
        await client.QueryAsync($"SELECT v FROM a WHERE id = {_keys[0]}");
        await PublishAsync(Move() with { Phase = MovePhase.Holding });
        _apply = () => Task.CompletedTask;
        await PublishAsync(Move());
        await client.QueryAsync($"SELECT v FROM a WHERE id = {_keys[0]}");
        await _watch.Difference.WaitAsync(TimeSpan.FromSeconds(10));
    }

    [Test]
    public async Task AnotherSchemaOrAnErrorIsNoDifference()
    {
        await DirectAsync(1, "ALTER TABLE a RENAME f TO g");
        try
        {
            using var client = await Proxy.LoginAsync();
            var inconclusive = Board.Inconclusive;
            await client.QueryAsync($"SELECT f FROM a WHERE id = {_keys[0]}");
            await client.QueryAsync($"SELECT * FROM a WHERE id = {_keys[0]}");
            await UntilAsync(() => Board.Inconclusive == inconclusive + 2);
            AssertNothingFound();
        }
        finally
        {
            await DirectAsync(1, "ALTER TABLE a RENAME g TO f");
        }
    }

    [Test]
    public async Task ANodeThatHangsIsLeftToItselfAndTheClientsNoticeNothing()
    {
        using var locked = await DirectLoginAsync(1);
        await locked.QueryAsync("BEGIN; LOCK TABLE a");
        using var client = await Proxy.LoginAsync();
        var (compared, dropped, inconclusive) = (Board.Compared, Board.Dropped, Board.Inconclusive);
        for (var i = 0; Board.Dropped == dropped || Board.Inconclusive == inconclusive; i++)
        {
            var reply = await client.QueryAsync($"SELECT v FROM a WHERE id = {_keys[i % _keys.Count]}");
            Assert.That(reply.Rows.Single().Single(), Is.EqualTo($"secret {_keys[i % _keys.Count]}"));
        }

        Assert.That(Board.Compared, Is.EqualTo(compared));
        Assert.That(Proxy.Plane.Pools().Where(p => p.IsWorkspace && p.Node == "node2").Sum(p => p.Idle + p.Leased + p.Opening), Is.LessThanOrEqualTo(3), "few connections at once");
        await locked.QueryAsync("ROLLBACK");
        await UntilAsync(() => Board.Compared > compared);
        AssertNothingFound();
    }

    private static string Text(int value) => value.ToString(CultureInfo.InvariantCulture);

    private static async Task UntilAsync(Func<bool> condition)
    {
        using var deadline = new CancellationTokenSource(Long);
        while (!condition())
        {
            await Task.Delay(5, deadline.Token);
        }
    }

    private void AssertNothingFound() => Assert.That(_watch.Difference.IsCompleted, Is.False, "a difference that is none");

    private RangeMove Move() => new(_id, _range.GroupId, _range.Id, 1, 2, MovePhase.Ghosts) { AllowsReadAhead = true };

    private Task<EpochReport> PublishAsync(RangeMove move) => Proxy.PublishAsync(t => Placement.WithMoves(t, move), DrainScope.None, Long);

    private async Task RepeatAsync(string sql, CancellationToken stop)
    {
        using var client = await Proxy.LoginAsync();
        while (!stop.IsCancellationRequested)
        {
            Assert.That((await client.QueryAsync(sql, CancellationToken.None)).Errors, Is.Empty);
        }
    }

    // The part of the control plane: as of when the copy holds everything.
    private async Task AnswerAsync()
    {
        try
        {
            ReadAheadPlace? place = null;
            var next = Proxy.Plane.ReadAhead.NextAsync(_stop.Token).AsTask();
            while (true)
            {
                if (next.IsCompleted)
                {
                    place = await next;
                    next = Proxy.Plane.ReadAhead.NextAsync(_stop.Token).AsTask();
                }

                var moment = TimeProvider.System.GetTimestamp();
                if (_apply is { } apply)
                {
                    await apply();
                    if (place is not null)
                    {
                        place.AsOf = moment;
                    }
                }

                await Task.Delay(2, _stop.Token);
            }
        }
        catch (OperationCanceledException)
        {
            // The fixture ends.
        }
    }
}
