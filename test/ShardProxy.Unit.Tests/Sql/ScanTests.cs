using System.Buffers;
using System.Text;
using NUnit.Framework;
using ShardProxy.Sql;

namespace ShardProxy.Unit.Tests.Sql;

// Protects the cutting of query strings into statements, the sharing of shapes (never between statements that differ in more
// than literals), and the bounds that keep hostile text away from the parser.
[TestFixture]
public sealed class ScanTests
{
    private readonly SqlTestBench _bench = new();

    [OneTimeTearDown]
    public void Close() => _bench.Dispose();

    [TestCase("", "")]
    [TestCase(" ; -- x\n ;/* y */", "")]
    [TestCase("SELECT 1", "SELECT 1")]
    [TestCase("  SELECT 1 ; ", "SELECT 1")]
    [TestCase("SELECT 1;;SELECT 2", "SELECT 1|SELECT 2")]
    [TestCase("SELECT ';' /* ; */ -- ;\n, \";\";SELECT $$;$$", "SELECT ';' /* ; */ -- ;\n, \";\"|SELECT $$;$$")]
    [TestCase("SELECT 1 -- end", "SELECT 1")]
    [TestCase("CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2); SELECT 3", "CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2)|SELECT 3")]
    [TestCase("CREATE OR REPLACE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END; SELECT 3",
        "CREATE OR REPLACE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END|SELECT 3")]
    [TestCase("BEGIN; UPDATE t SET a = 1; END", "BEGIN|UPDATE t SET a = 1|END")]
    public void CutsQueryStringsIntoStatements(string sql, string expected)
    {
        var bytes = Encoding.UTF8.GetBytes(sql);
        var statements = new List<string>();
        for (var next = 0; ;)
        {
            var scan = _bench.Analyzer.Scan(bytes, next, _bench.Literals);
            if (scan.Outcome == ScanOutcome.Empty)
            {
                break;
            }

            Assert.That(scan.Outcome, Is.EqualTo(ScanOutcome.Missing).Or.EqualTo(ScanOutcome.Found));
            statements.Add(Encoding.UTF8.GetString(bytes.AsSpan(scan.Start, scan.End - scan.Start)));
            next = scan.Next;
        }

        Assert.That(string.Join('|', statements), Is.EqualTo(expected));
    }

    [TestCase("SELECT a FROM t WHERE k = 1", "select  A\nfrom T /* x */ where K=22", true)]
    [TestCase("SELECT a FROM t WHERE k = 1", "SELECT a FROM t WHERE k = -1", false)]
    [TestCase("SELECT a FROM t WHERE k = 1", "SELECT a FROM t WHERE k = 'x'", false)]
    [TestCase("SELECT a FROM t WHERE k = 1", "SELECT a FROM t WHERE k = 1.0", false)]
    [TestCase("SELECT a FROM t WHERE k = 1", "SELECT a FROM t WHERE k = 99999999999999999999", false)]
    [TestCase("SELECT a FROM t WHERE k = 'x'", "SELECT a FROM t WHERE k = E'x'", false)]
    [TestCase("SELECT a FROM t WHERE k = 1", "SELECT a FROM t WHERE k = $1", false)]
    [TestCase("SELECT a FROM t WHERE k = 1", "SELECT a FROM t WHERE k = NULL", false)]
    [TestCase("SELECT a FROM t WHERE k = $1", "SELECT a FROM t WHERE k = $2", false)]
    [TestCase("SELECT a FROM t", "SELECT \"A\" FROM t", false)]
    [TestCase("SELECT a FROM t", "SELECT \"a\" FROM t", false)]
    [TestCase("SELECT a FROM t", "SELECT a FROM T2", false)]
    [TestCase("SET search_path TO a", "SET search_path TO 'b'", false)]
    [TestCase("SET x = 1", "SET x = 2", false)]
    [TestCase("SET x = 1", "set  X = 1", true)]
    [TestCase("COPY t FROM STDIN DELIMITER ','", "COPY t FROM STDIN DELIMITER ';'", false)]
    [TestCase("BEGIN", "begin", true)]
    [TestCase("INSERT INTO t VALUES (1), (2)", "INSERT INTO t VALUES (1), (2), (3)", false)]
    [TestCase("INSERT INTO t VALUES (1), (2)", "INSERT INTO t VALUES (3), (4)", true)]
    public void SharesAShapeOnlyBetweenTextsThatDifferInLiterals(string first, string second, bool expected)
    {
        var shape = _bench.Shape(first);
        Assert.That(_bench.Shape(first), Is.SameAs(shape), "the first text's shape is not cached");
        Assert.That(ReferenceEquals(_bench.Shape(second), shape), Is.EqualTo(expected));
    }

    // The literal after UESCAPE decides what an identifier is called.
    [Test]
    public void UnicodeEscapedNamesAreToldApart()
    {
        Assert.That(_bench.Relations("SELECT a FROM U&\"d!0061ta\" UESCAPE '!'"), Is.EqualTo("Read data"));
        Assert.That(_bench.Relations("SELECT a FROM U&\"d!0061ta\" UESCAPE '?'"), Is.EqualTo("Read d!0061ta"));
    }

    [Test]
    public void BulkInsertsAndRolesAreNotCached()
    {
        var rows = string.Join(", ", Enumerable.Range(0, 65).Select(i => $"({i})"));
        var before = _bench.Analyzer.ShapeCount;
        Assert.That(_bench.Shape($"INSERT INTO bulk VALUES {rows}").Insert!.RowCount, Is.EqualTo(65));
        Assert.That(_bench.Shape("CREATE ROLE r PASSWORD 'secret'").Text, Is.EqualTo("create role r password $1"));
        Assert.That(_bench.Analyzer.ShapeCount, Is.EqualTo(before));
    }

    [Test]
    public void TheCacheStaysWithinItsBoundAndKeepsWhatIsUsed()
    {
        using var bench = new SqlTestBench(new SqlOptions { MaxShapes = 64 });
        var hot = bench.Shape("SELECT hot FROM t");
        for (var i = 0; i < 1_000; i++)
        {
            bench.Shape($"SELECT c{i} FROM t");
            Assert.That(bench.Shape("SELECT hot FROM t"), Is.SameAs(hot));
        }

        Assert.That(bench.Analyzer.ShapeCount, Is.LessThanOrEqualTo(64));
        Assert.That(bench.Analyzer.Shapes, Has.Count.EqualTo(bench.Analyzer.ShapeCount));
        Assert.That(bench.Analyzer.Hits, Is.EqualTo(1_000));
    }

    [Test]
    public void AWarmScanAllocatesNothing()
    {
        var texts = new[]
        {
            "SELECT abalance FROM pgbench_accounts WHERE aid = 4711;",
            "UPDATE pgbench_accounts SET abalance = abalance + -12 WHERE aid = 4711;",
            "INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (1, 2, 3, -4, CURRENT_TIMESTAMP);",
            "BEGIN;",
        }.Select(Encoding.UTF8.GetBytes).ToArray();
        foreach (var text in texts)
        {
            _bench.Shape(Encoding.UTF8.GetString(text));
        }

        long Measure(int rounds)
        {
            var before = GC.GetAllocatedBytesForCurrentThread();
            for (var i = 0; i < rounds; i++)
            {
                foreach (var text in texts)
                {
                    if (_bench.Analyzer.Scan(text, 0, _bench.Literals).Outcome != ScanOutcome.Found)
                    {
                        return -1;
                    }
                }
            }

            return GC.GetAllocatedBytesForCurrentThread() - before;
        }

        Measure(100);
        Assert.That(Measure(1_000), Is.Zero);
    }

    private static readonly object[] Hostile =
    [
        new object[] { "too many terms", "SELECT 1" + string.Concat(Enumerable.Repeat("+1", 100_000)), "54001" },
        new object[] { "too many NOTs", "SELECT " + string.Concat(Enumerable.Repeat("NOT ", 100_000)) + "true", "54001" },
        new object[] { "too many casts", "SELECT 1" + string.Concat(Enumerable.Repeat("::int", 100_000)), "54001" },
        new object[] { "too many unions", "SELECT 1" + string.Concat(Enumerable.Repeat(" UNION SELECT 1", 50_000)), "54001" },
        new object[] { "too many unions of lists", "SELECT 1, 2" + string.Concat(Enumerable.Repeat(" UNION SELECT 1, 2", 50_000)), "54001" },
        new object[] { "too many terms in a list", "SELECT 1, f(1, 2" + string.Concat(Enumerable.Repeat("+1", 100_000)) + "), 3", "54001" },
        new object[] { "too many terms around lists", "SELECT true" + string.Concat(Enumerable.Repeat(" OR a IN (1, 2)", 30_000)), "54001" },
        new object[] { "too many joins", "SELECT 1 FROM a" + string.Concat(Enumerable.Repeat(" JOIN a USING (k)", 10_000)), "54001" },
        new object[] { "too deep", "SELECT " + new string('(', 100_000) + "1" + new string(')', 100_000), "54001" },
        new object[] { "too deep in brackets", "SELECT ARRAY" + new string('[', 100_000), "54001" },
        new object[] { "too many literals", "SELECT 1" + string.Concat(Enumerable.Repeat(",1", 200_000)), "54001" },
        new object[] { "too many tokens", "SELECT a" + string.Concat(Enumerable.Repeat(",a", 300_000)), "54001" },
        new object[] { "unterminated string", "SELECT 'abc", "42601" },
        new object[] { "unterminated comment", "SELECT 1 /* abc", "42601" },
        new object[] { "NUL", "SELECT 1\0; DROP TABLE t", "22021" },
        new object[] { "NUL in a string", "SELECT 'a\0b'", "22021" },
        new object[] { "NUL in a comment", "SELECT 1 /* \0 */ + 2", "22021" },
    ];

    [TestCaseSource(nameof(Hostile))]
    public void HostileTextIsRefusedBeforeTheParser(string name, string sql, string sqlState)
    {
        var scan = _bench.Scan(sql);
        Assert.That((scan.Outcome, scan.Error?.SqlState), Is.EqualTo((ScanOutcome.Refused, sqlState)), name);
    }

    [Test]
    public void InvalidUtf8IsRefused()
    {
        var scan = _bench.Analyzer.Scan("SELECT '\xFF'"u8.ToArray().Select(b => b == 0xC3 ? (byte)0xFF : b).ToArray(), 0, _bench.Literals);
        Assert.That((scan.Outcome, scan.Error?.SqlState), Is.EqualTo((ScanOutcome.Refused, "22021")));
    }

    // Just inside every bound the parser and the walk of its tree must live.
    [Test]
    public void TheDeepestAllowedStatementsAreParsed()
    {
        Assert.That(_bench.Shape("SELECT 1" + string.Concat(Enumerable.Repeat("+1", 19_900))).Kind, Is.EqualTo(StatementKind.Select));
        Assert.That(_bench.Shape("SELECT a FROM t WHERE " + string.Concat(Enumerable.Repeat("NOT ", 9_000)) + "b").Relations, Has.Length.EqualTo(1));
        Assert.That(_bench.Shape("SELECT 1" + string.Concat(Enumerable.Repeat(" UNION SELECT 1", 9_900))).Kind, Is.EqualTo(StatementKind.Select));
        Assert.That(_bench.Shape("SELECT " + new string('(', 990) + "1" + new string(')', 990)).Kind, Is.EqualTo(StatementKind.Select));
        var joins = _bench.Shape("SELECT 1 FROM a" + string.Concat(Enumerable.Range(0, 999).Select(i => $" JOIN a a{i} USING (k)")));
        Assert.That((joins.Relations.Length, joins.Equalities.Length), Is.EqualTo((1_000, 4_096)));
        var alternatives = _bench.Shape("SELECT a FROM t WHERE k = 0" + string.Concat(Enumerable.Repeat(" OR k = 1", 9_000)));
        Assert.That(alternatives.Relations[0].Pins[0].Values, Has.Length.EqualTo(9_001));
        var nested = string.Concat(Enumerable.Repeat("(SELECT a FROM t WHERE k = ", 300)) + "1" + new string(')', 300);
        Assert.That(_bench.Shape("SELECT " + nested).Relations, Has.Length.EqualTo(300));
        var rows = string.Join(", ", Enumerable.Range(1, ushort.MaxValue).Select(i => $"(${i}::text)"));
        Assert.That(_bench.Shape("VALUES " + rows).Kind, Is.EqualTo(StatementKind.Select));
    }

    [Test]
    public void ALongLiteralIsNoProblem()
    {
        var shape = _bench.Shape("INSERT INTO t VALUES (1, '" + new string('x', 10_000_000) + "')");
        Assert.That(shape.Insert!.Rows[0], Has.Length.EqualTo(2));
        Assert.That(_bench.Shape("INSERT INTO t VALUES (2, 'y')"), Is.SameAs(shape));
    }

    [Test]
    public void RandomTextNeverThrowsAndAlwaysAdvances()
    {
        var seed = TestContext.CurrentContext.Random.Next();
        TestContext.Out.WriteLine($"seed {seed}");
        var random = new Random(seed);
        var alphabet = "select from t where k=1;'\"$x()[]/*-e\\u&\n\0\xFF"u8.ToArray();
        var text = new byte[60];
        for (var round = 0; round < 50_000; round++)
        {
            var length = random.Next(text.Length);
            for (var i = 0; i < length; i++)
            {
                text[i] = alphabet[random.Next(alphabet.Length)];
            }

            for (var next = 0; next < length;)
            {
                var scan = _bench.Analyzer.Scan(text.AsSpan(0, length), next, _bench.Literals);
                Assert.That(scan.Next, Is.GreaterThan(next).And.LessThanOrEqualTo(length));
                Assert.That(scan.Outcome == ScanOutcome.Refused, Is.EqualTo(scan.Error is not null));
                next = scan.Next;
            }
        }
    }

    [TestCase("5", 5L)]
    [TestCase("-5", -5L)]
    [TestCase("9223372036854775807", long.MaxValue)]
    [TestCase("-9223372036854775807", -long.MaxValue)]
    [TestCase("9223372036854775808", null)]
    [TestCase("-9223372036854775808", null)]
    [TestCase("5.0", null)]
    [TestCase("'5'", null)]
    public void IntegersAreRead(string literal, long? expected)
    {
        var sql = $"SELECT a FROM t WHERE k = {literal}";
        var source = _bench.Shape(sql).Relations[0].Pins[0].Values[0];
        var isRead = LiteralReader.TryReadInt64(Encoding.UTF8.GetBytes(sql), _bench.Literals[source.Index], source.Negated, out var value);
        Assert.That(isRead ? value : (long?)null, Is.EqualTo(expected));
    }

    [TestCase("'it''s'", "it's")]
    [TestCase("'a\\nb'", "a\\nb")]
    [TestCase("''", "")]
    [TestCase("E'a\\nb\\'c''d\\\\'", "a\nb'c'd\\")]
    [TestCase("E'\\x41\\101\\u0041\\U0001F600'", "AAA\U0001F600")]
    [TestCase("E'\\q'", "q")]
    [TestCase("E'\\xC3\\xA9'", null)]
    [TestCase("E'\\uD83D\\uDE00'", null)]
    [TestCase("E'\\v'", null)]
    [TestCase("$$a'b$$", "a'b")]
    [TestCase("$x$a$$b$x$", "a$$b")]
    [TestCase("'é'", "é")]
    [TestCase("U&'a'", null)]
    [TestCase("X'41'", null)]
    [TestCase("'a'\n'b'", null)]
    [TestCase("41", null)]
    public void StringsAreReadOrNot(string literal, string? expected)
    {
        var text = Encoding.UTF8.GetBytes("SELECT " + literal);
        _bench.Analyzer.Scan(text, 0, _bench.Literals);
        var to = new ArrayBufferWriter<byte>();
        var isRead = LiteralReader.TryReadText(text, _bench.Literals[0], to);
        Assert.That(isRead ? Encoding.UTF8.GetString(to.WrittenSpan) : null, Is.EqualTo(expected));
    }

    [Test]
    public async Task ManyCallersShareTheParser()
    {
        var shapes = await Task.WhenAll(Enumerable.Range(0, 200).Select(i =>
            _bench.Analyzer.AnalyzeAsync(SqlTestBench.Utf8($"SELECT x{i % 10} FROM many WHERE k = {i}"), CancellationToken.None).AsTask()));
        Assert.That(shapes.Select(s => s.Fingerprint).Distinct().Count(), Is.EqualTo(10));
    }

    [Test]
    public void ADisposedAnalyzerCancelsItsCallers()
    {
        var bench = new SqlTestBench();
        bench.Dispose();
        Assert.That(async () => await bench.Analyzer.AnalyzeAsync(SqlTestBench.Utf8("SELECT 1"), CancellationToken.None), Throws.InstanceOf<OperationCanceledException>());
    }
}
