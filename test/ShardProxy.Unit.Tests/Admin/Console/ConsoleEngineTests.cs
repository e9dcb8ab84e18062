using NUnit.Framework;
using ShardProxy.Admin.Backend;
using ShardProxy.Admin.Console;
using ShardProxy.Admin.Console.Syntax;
using ShardProxy.Model.Console;
using ShardProxy.Model.Errors;

namespace ShardProxy.Unit.Tests.Admin.Console;

// Protects what clients of the console see: columns that scripts rely on, replies of commands, and that no failure escapes as an exception.
internal sealed class ConsoleEngineTests
{
    private AdminFixture _fixture = null!;
    private ConsoleEngine _console = null!;

    [SetUp]
    public void SetUp()
    {
        _fixture = new AdminFixture();
        _console = new ConsoleEngine(_fixture.Backend);
    }

    [Test]
    public async Task ShowRangesHasItsColumnsAndOrder()
    {
        var reply = await Run("SHOW RANGES");
        Assert.Multiple(() =>
        {
            Assert.That(reply.Columns.Select(c => c.Name), Is.EqualTo(new[] { "id", "group", "from", "to", "node", "state", "rows", "bytes", "load" }));
            Assert.That(reply.CommandTag, Is.EqualTo("SHOW 4"));
            Assert.That(reply.Rows[0], Is.EqualTo(new[] { "1", "accounts", "-9223372036854775808", "-4611686018427387904", "node1", "active", "10", "2000", null }));
            Assert.That(reply.Rows[1], Is.EqualTo(new[] { "2", "accounts", "-4611686018427387904", "0", "node1", "active", null, null, "40" }));
            Assert.That(reply.Rows[2][5], Is.EqualTo("moving"));
            Assert.That(reply.Rows[3], Is.EqualTo(new[] { "4", "accounts", "4611686018427387904", null, "node2", "active", null, null, null }));
        });
    }

    [Test]
    public async Task ShowMigrationsHasItsColumnsAndOrder()
    {
        var reply = await Run("show migrations");
        Assert.Multiple(() =>
        {
            Assert.That(reply.Columns.Select(c => c.Name), Is.EqualTo(new[]
            {
                "id", "group", "range", "source", "target", "state", "rows_done", "rows_total", "eta_s", "rows_verified", "stall_ms", "error",
            }));
            Assert.That(reply.Rows[0], Is.EqualTo(new[] { "4", "accounts", "2", "node1", "node2", "done", "900", "900", null, "900", "12.25", null }));
            Assert.That(reply.Rows[1], Is.EqualTo(new[] { "5", "accounts", "3", "node1", "node2", "copying", "250", "1000", "1.5", "0", null, null }));
        });
    }

    [Test]
    public async Task EveryViewAnswersRowsAsWideAsItsColumns()
    {
        foreach (var view in Enum.GetValues<ConsoleView>())
        {
            var reply = await Run($"SHOW {view}");
            Assert.That(reply.Error, Is.Null, view.ToString());
            Assert.That(reply.Rows, Is.Not.Empty, view.ToString());
            Assert.That(reply.Rows.Select(r => r.Length), Is.All.EqualTo(reply.Columns.Length), view.ToString());
        }
    }

    [Test]
    public async Task ViewsShowWhatTheBackendHas()
    {
        var nodes = await Run("SHOW NODES");
        var tables = await Run("SHOW TABLES");
        var version = await Run("SHOW VERSION");
        var config = await Run("SHOW CONFIG");
        Assert.Multiple(() =>
        {
            Assert.That(nodes.Rows[0], Is.EqualTo(new[] { "1", "node1", "127.0.0.1", "5001", "t", "up", null, "3", "100" }));
            Assert.That(nodes.Rows[1], Is.EqualTo(new[] { "2", "node2", "127.0.0.1", "5002", "f", "down", "500", "1", null }));
            Assert.That(tables.Rows[0], Is.EqualTo(new[] { "public", "accounts", "sharded", "accounts", "id", "active" }));
            Assert.That(tables.Rows[1], Is.EqualTo(new[] { "public", "countries", "replicated", null, null, "active" }));
            Assert.That(version.Rows[0], Is.EqualTo(new[] { "9.8.7", "proxy-a", ".NET 10", "2026-03-01 12:00:00.000000+00", "17", "0", null }));
            Assert.That(config.Rows.Select(r => r[0]), Is.EqualTo(new[] { "listen.port", "pool.size" }));
        });
    }

    [TestCase("SHARD TABLE T BY HASH (A, b)", "shard public/t by a+b with none wait True", "SHARD TABLE")]
    [TestCase("SHARD TABLE t BY HASH (a) COLOCATE WITH s.u", "shard public/t by a with \"s\".\"u\" wait True", "SHARD TABLE")]
    [TestCase("REPLICATE TABLE t", "replicate public/t wait True", "REPLICATE TABLE")]
    [TestCase("SPLIT RANGE 3 AT ('1000')", "split 3 at 1000", "SPLIT RANGE")]
    [TestCase("MERGE RANGES 2, 1", "merge 2 and 1", "MERGE RANGES")]
    [TestCase("MOVE RANGE 2 TO node2", "move 2 to node2 wait True", "RANGE MOVE")]
    [TestCase("CANCEL MIGRATION 5", "cancel 5", "CANCEL MIGRATION")]
    [TestCase("ROLLBACK MIGRATION 5", "rollback 5 wait True", "ROLLBACK MIGRATION")]
    public async Task CommandsReachTheControlPlane(string statement, string asked, string tag)
    {
        var reply = await Run(statement);
        Assert.Multiple(() =>
        {
            Assert.That(reply.Error, Is.Null);
            Assert.That(_fixture.Asked, Is.EqualTo(new[] { asked }));
            Assert.That(reply.CommandTag, Is.EqualTo(tag));
            Assert.That(reply.Columns, Is.Empty);
            Assert.That(reply.Notices, Is.EqualTo(new[] { "noted" }));
        });
    }

    [Test]
    public async Task NowaitAnswersWithTheMigration()
    {
        var reply = await Run("MOVE RANGE 2 TO node2 NOWAIT");
        Assert.Multiple(() =>
        {
            Assert.That(reply.Columns.Single().Name, Is.EqualTo("migration"));
            Assert.That(reply.Rows.Single(), Is.EqualTo(new[] { "42" }));
            Assert.That(_fixture.Asked, Is.EqualTo(new[] { "move 2 to node2 wait False" }));
        });
    }

    [Test]
    public async Task ThePlannerIsSwitchedAndItsPlansApproved()
    {
        Assert.That((await Run("APPROVE PLAN 6")).CommandTag, Is.EqualTo("APPROVE PLAN"));
        Assert.That((await Run("SET PLANNER MODE automatic FOR GROUP accounts")).CommandTag, Is.EqualTo("SET PLANNER MODE"));
        Assert.That(_fixture.Asked, Is.EqualTo(new[] { "approve 6", "mode Automatic for accounts" }));
    }

    [Test]
    public async Task ExplainAnswersInLines()
    {
        var route = await Run("EXPLAIN ROUTE SELECT * FROM accounts WHERE id = 1");
        var plan = await Run("EXPLAIN PLAN 6");
        Assert.Multiple(() =>
        {
            Assert.That(_fixture.Asked, Is.EqualTo(new[] { "explain SELECT * FROM accounts WHERE id = 1" }));
            Assert.That(route.Rows.Select(r => r.Single()), Is.EqualTo(new[] { "to node1", "range 2" }));
            Assert.That(route.CommandTag, Is.EqualTo("EXPLAIN"));
            Assert.That(plan.Rows.Select(r => r.Single()), Is.EqualTo(new[] { "node1 will be overloaded", "1. move range 2 to node2", "node1 100 -> 60" }));
        });
    }

    [TestCase("MOVE RANGE 99 TO node2", "42704", "SHP-603")]
    [TestCase("MOVE RANGE 2 TO node9", "42704", "SHP-603")]
    [TestCase("SPLIT RANGE 99 AT ('1')", "42704", "SHP-603")]
    [TestCase("SPLIT RANGE 3 AT ('0')", "22023", "SHP-604")]
    [TestCase("SPLIT RANGE 3 AT ('4611686018427387904')", "22023", "SHP-604")]
    [TestCase("SPLIT RANGE 4 AT ('9223372036854775808')", "22023", "SHP-604")]
    [TestCase("SPLIT RANGE 4 AT ('abc')", "22023", "SHP-604")]
    [TestCase("CANCEL MIGRATION 99", "42704", "SHP-603")]
    [TestCase("EXPLAIN PLAN 99", "42704", "SHP-603")]
    [TestCase("SET PLANNER MODE off FOR GROUP nope", "42704", "SHP-603")]
    [TestCase("MERGE RANGES 1, 99", "42704", "SHP-603")]
    [TestCase("SHOW HOT KEYS", "0A000", "SHP-602")]
    [TestCase("SELECT * FROM pg_class", "0A000", "SHP-605")]
    [TestCase("UPDATE t SET a = 1", "0A000", "SHP-605")]
    [TestCase("SHWO RANGES", "42601", "SHP-601")]
    public async Task MistakesAreRepliesWithACodeAndAHint(string statement, string sqlState, string code)
    {
        var reply = await Run(statement);
        Assert.Multiple(() =>
        {
            Assert.That((reply.Error?.SqlState, reply.Error?.Code), Is.EqualTo((sqlState, code)));
            Assert.That(reply.Error?.Hint, Is.Not.Empty);
            Assert.That(_fixture.Asked, Is.Empty);
        });
    }

    [Test]
    public async Task AnErrorOfTheControlPlaneGoesOutUnchanged()
    {
        var refused = new ShardProxyError("55000", "SHP-599", "no");
        _fixture.Operation = _ => throw new ShardProxyException(refused);
        Assert.That((await Run("MOVE RANGE 2 TO node2")).Error, Is.EqualTo(refused));
    }

    [Test]
    public async Task ABugIsAnInternalErrorWithoutItsText()
    {
        _fixture.Operation = _ => throw new InvalidOperationException("password=secret");
        var error = (await Run("MOVE RANGE 2 TO node2")).Error!;
        Assert.Multiple(() =>
        {
            Assert.That((error.SqlState, error.Code), Is.EqualTo(("XX000", "SHP-607")));
            Assert.That(error.ToString(), Does.Not.Contain("secret"));
        });
    }

    [Test]
    public async Task ACancelEndsTheWait()
    {
        using var cancel = new CancellationTokenSource();
        _fixture.Operation = async token =>
        {
            await cancel.CancelAsync();
            await Task.Delay(Timeout.Infinite, token);
            return OperationOutcome.Done;
        };
        var reply = await _console.ExecuteAsync("MOVE RANGE 2 TO node2", "admin", cancel.Token);
        Assert.That((reply.Error?.SqlState, reply.Error?.Code), Is.EqualTo(("57014", "SHP-606")));
    }

    [Test]
    public async Task AStatementHasABound()
    {
        var reply = await Run("EXPLAIN ROUTE " + new string('x', ConsoleEngine.MaxStatementLength));
        Assert.That((reply.Error?.SqlState, reply.Error?.Code), Is.EqualTo(("54000", "SHP-608")));
    }

    [Test]
    public async Task HelpListsTheGrammar()
    {
        var reply = await Run("help;");
        Assert.That(reply.Rows.Select(r => r[0]), Is.EqualTo(ConsoleGrammar.Statements.Select(s => s.Syntax)));
    }

    [Test]
    public async Task WhatHelpCallsAvailableIsNeverRefusedAsUnavailable()
    {
        foreach (var syntax in ConsoleGrammar.Statements.Where(s => s.Keywords.StartsWith("SHOW", StringComparison.Ordinal)))
        {
            var code = (await Run(syntax.Keywords)).Error?.Code;
            Assert.That(code, Is.EqualTo(syntax.IsAvailable ? null : "SHP-602"), syntax.Keywords);
        }
    }

    [Test]
    public async Task WhoMayOnlyLookChangesNothing()
    {
        foreach (var statement in new[] { "SHOW NODES", "SHOW CONFIG", "EXPLAIN ROUTE SELECT 1", "HELP", "SELECT version()" })
        {
            Assert.That((await _console.ExecuteReadOnlyAsync(statement, "watcher", CancellationToken.None)).Error, Is.Null, statement);
        }

        _fixture.Operation = _ => throw new InvalidOperationException("it was done");
        foreach (var statement in new[] { "MOVE RANGE 2 TO node2", "SHARD TABLE t BY HASH (id)", "SPLIT RANGE 1 AT ('5')", "SET PLANNER MODE off", "APPROVE PLAN 1", "CANCEL MIGRATION 1" })
        {
            var error = (await _console.ExecuteReadOnlyAsync(statement, "watcher", CancellationToken.None)).Error;
            Assert.That((error?.SqlState, error?.Code), Is.EqualTo(("42501", "SHP-128")), statement);
        }
    }

    private ValueTask<ConsoleReply> Run(string statement) => _console.ExecuteAsync(statement, "admin", CancellationToken.None);
}
