using NUnit.Framework;
using ShardProxy.Admin.Console.Syntax;
using ShardProxy.Model.Errors;
using ShardProxy.Model.Plans;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Topology;

namespace ShardProxy.Unit.Tests.Admin.Console;

// Protects the console's grammar: what is accepted, how names are folded, and where an error points to.
internal sealed class ConsoleParserTests
{
    [Test]
    public void ShardTableReadsNamesKeyColumnsAndOptions()
    {
        var statement = (ShardTableStatement)ConsoleParser.Parse(
            "shard /* a /* nested */ comment */ TABLE Sales.\"Or\"\"ders\" by Hash ( Tenant , \"Id\" ) -- rest\n colocate with accounts NoWait ;");
        Assert.Multiple(() =>
        {
            Assert.That(statement.Table, Is.EqualTo(new QualifiedName("sales", "Or\"ders")));
            Assert.That(statement.Method, Is.EqualTo(ShardingMethod.Hash));
            Assert.That(statement.KeyColumns, Is.EqualTo(new[] { "tenant", "Id" }));
            Assert.That(statement.ColocateWith, Is.EqualTo(new QualifiedName("public", "accounts")));
            Assert.That(statement.Wait, Is.False);
        });
    }

    [Test]
    public void ShardTableByRange()
    {
        var statement = (ShardTableStatement)ConsoleParser.Parse("SHARD TABLE t BY RANGE (a, B) COLOCATE WITH u");
        Assert.That((statement.Method, statement.ColocateWith), Is.EqualTo((ShardingMethod.Range, (QualifiedName?)new QualifiedName("public", "u"))));
        Assert.That(statement.KeyColumns, Is.EqualTo(new[] { "a", "b" }));
    }

    [TestCase("REPLICATE TABLE t", "public", "t", true)]
    [TestCase("replicate table \"TABLE\".by nowait;;", "TABLE", "by", false)]
    public void ReplicateTable(string text, string schema, string name, bool wait) =>
        Assert.That(ConsoleParser.Parse(text), Is.EqualTo(new ReplicateTableStatement(new QualifiedName(schema, name), wait)));

    [TestCase("SPLIT RANGE 7 AT ('-42')", 7, "-42")]
    [TestCase("SPLIT RANGE 7 AT (-42)", 7, "-42")]
    [TestCase("split range 12 at (9223372036854775807);", 12, "9223372036854775807")]
    [TestCase("SPLIT RANGE 7 AT ('2026-01-01', 'it''s', 5)", 7, "2026-01-01|it's|5")]
    public void SplitRange(string text, int range, string at)
    {
        var statement = (SplitRangeStatement)ConsoleParser.Parse(text);
        Assert.That((statement.RangeId, string.Join('|', statement.At)), Is.EqualTo((range, at)));
    }

    [TestCase("MOVE RANGE 3 TO node2", "node2", true)]
    [TestCase("MOVE RANGE 3 TO Node2 NOWAIT", "node2", false)]
    [TestCase("MOVE RANGE 3 TO \"Node 2\";", "Node 2", true)]
    public void MoveRange(string text, string node, bool wait) => Assert.That(ConsoleParser.Parse(text), Is.EqualTo(new MoveRangeStatement(3, node, wait)));

    [Test]
    public void SmallStatements() => Assert.Multiple(() =>
    {
        Assert.That(ConsoleParser.Parse("CANCEL MIGRATION 9"), Is.EqualTo(new CancelMigrationStatement(9)));
        Assert.That(ConsoleParser.Parse("UNSHARD TABLE s.t NOWAIT"), Is.EqualTo(new UnshardTableStatement(new QualifiedName("s", "t"), false)));
        Assert.That(ConsoleParser.Parse("ROLLBACK MIGRATION 4 NOWAIT"), Is.EqualTo(new RollbackMigrationStatement(4, false)));
        Assert.That(ConsoleParser.Parse("SET PLANNER MODE automatic"), Is.EqualTo(new SetPlannerModeStatement(PlannerMode.Automatic, null)));
        Assert.That(ConsoleParser.Parse("set planner mode OFF for group \"G\""), Is.EqualTo(new SetPlannerModeStatement(PlannerMode.Off, "G")));
        Assert.That(ConsoleParser.Parse("APPROVE PLAN 4"), Is.EqualTo(new ApprovePlanStatement(4)));
        Assert.That(ConsoleParser.Parse("EXPLAIN PLAN 4"), Is.EqualTo(new ExplainPlanStatement(4)));
        Assert.That(ConsoleParser.Parse("HELP"), Is.EqualTo(new HelpStatement()));
        Assert.That(ConsoleParser.Parse("SHOW HELP"), Is.EqualTo(new HelpStatement()));
        Assert.That(ConsoleParser.Parse(" -- nothing\n"), Is.EqualTo(new EmptyStatement()));
    });

    [Test]
    public void EveryViewCanBeShown()
    {
        foreach (var view in Enum.GetValues<ConsoleView>())
        {
            Assert.That(ConsoleParser.Parse($"show {view.ToString().ToUpperInvariant()};"), Is.EqualTo(new ShowStatement(view)));
        }
    }

    [Test]
    public void TheTextBehindExplainRouteIsTakenAsItIs()
    {
        var statement = (ExplainRouteStatement)ConsoleParser.Parse("EXPLAIN ROUTE  SELECT 'it''s', \"x FROM $$ ' $$ -- 1");
        Assert.That(statement.Sql, Is.EqualTo("SELECT 'it''s', \"x FROM $$ ' $$ -- 1"));
    }

    [TestCase("ADD NODE n 'postgresql://h/d' CAPACITY 1.5", "ADD NODE")]
    [TestCase("DRAIN NODE n", "DRAIN NODE")]
    [TestCase("REMOVE NODE n", "REMOVE NODE")]
    [TestCase("SHOW GRAPH", "SHOW GRAPH")]
    [TestCase("SHOW HOT KEYS", "SHOW HOT KEYS")]
    [TestCase("SHOW ALERTS", "SHOW ALERTS")]
    public void StatementsOfLaterVersionsParse(string text, string name) => Assert.That(ConsoleParser.Parse(text), Is.EqualTo(new UnavailableStatement(name)));

    [Test]
    public void SessionsAndPoolsAreRunByStatements()
    {
        Assert.That(ConsoleParser.Parse("pause"), Is.EqualTo(new PauseStatement(null)));
        Assert.That(ConsoleParser.Parse("PAUSE \"My db\";"), Is.EqualTo(new PauseStatement("My db")));
        Assert.That(ConsoleParser.Parse("RESUME App"), Is.EqualTo(new ResumeStatement("app")));
        Assert.That(ConsoleParser.Parse("RELOAD"), Is.EqualTo(new ReloadStatement()));
        Assert.That(ConsoleParser.Parse("KILL 12"), Is.EqualTo(new KillStatement(12)));
    }

    [TestCase("MVOE RANGE 3 TO n", 1, "MOVE RANGE id TO node [NOWAIT]")]
    [TestCase("MOVE RANGE three TO n", 12, "MOVE RANGE id TO node [NOWAIT]")]
    [TestCase("MOVE RANGE 3 node2", 14, "MOVE RANGE id TO node [NOWAIT]")]
    [TestCase("MOVE RANGE 3 TO", 16, "MOVE RANGE id TO node [NOWAIT]")]
    [TestCase("MOVE RANGE 99999999999 TO n", 12, "MOVE RANGE id TO node [NOWAIT]")]
    [TestCase("SHOW RANGE", 6, "SHOW RANGES")]
    [TestCase("SHOW NODES 1", 12, "SHOW NODES")]
    [TestCase("SHARD TABLE t BY (a)", 18, "SHARD TABLE t BY HASH")]
    [TestCase("SHARD TABLE t BY HASH ()", 24, "SHARD TABLE t BY HASH")]
    [TestCase("SET PLANNER MODE on", 18, "SET PLANNER MODE")]
    [TestCase("EXPLAIN SELECT 1", 9, "EXPLAIN")]
    [TestCase("HELP; HELP", 7, "HELP")]
    public void AnErrorPointsAtItsPlaceAndNamesTheNearestStatement(string text, int position, string nearest)
    {
        var error = Assert.Throws<ShardProxyException>(() => ConsoleParser.Parse(text))!.Error;
        Assert.Multiple(() =>
        {
            Assert.That((error.SqlState, error.Code), Is.EqualTo(("42601", "SHP-601")));
            Assert.That(error.Position, Is.EqualTo(position));
            Assert.That(error.Hint, Does.Contain("Did you mean: " + nearest));
        });
    }

    [TestCase("MOVE RANGE 'secret' TO n")]
    [TestCase("SPLIT RANGE 1 AT ('secret' x)")]
    [TestCase("'secret'")]
    public void AnErrorNeverRepeatsALiteral(string text)
    {
        var error = Assert.Throws<ShardProxyException>(() => ConsoleParser.Parse(text))!.Error;
        Assert.That(error.ToString(), Does.Not.Contain("secret"));
    }

    [TestCase("MOVE RANGE 1 TO \"n")]
    [TestCase("MOVE RANGE 1 TO \"\"")]
    [TestCase("ADD NODE n 'uri")]
    [TestCase("/* HELP")]
    [TestCase("MOVE RANGE 1 TO abcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcd")]
    public void BrokenTokensAreSyntaxErrors(string text) =>
        Assert.That(() => ConsoleParser.Parse(text), Throws.TypeOf<ShardProxyException>().With.Property("Error").Property("SqlState").EqualTo("42601"));

    [Test]
    public void RandomTextNeverDoesAnythingButParseOrFailCleanly()
    {
        const int Seed = 20_261;
        TestContext.Out.WriteLine($"seed {Seed}");
        var random = new Random(Seed);
        string[] parts = ["SHARD", "TABLE", "t", "BY", "HASH", "(", ")", ",", "'x'", "\"y\"", "1", ";", "--", "/*", "*/", "SHOW", "RANGES", "MOVE", "RANGE", "TO", "EXPLAIN", "\u00e9", "'", "\"", "-", "."];
        for (var i = 0; i < 20_000; i++)
        {
            var text = string.Join(random.Next(2) == 0 ? " " : "", Enumerable.Range(0, random.Next(9)).Select(_ => parts[random.Next(parts.Length)]));
            try
            {
                ConsoleParser.Parse(text);
            }
            catch (ShardProxyException refused)
            {
                Assert.That(refused.Error.Position, Is.InRange(1, text.Length + 1), text);
            }
        }
    }
}
