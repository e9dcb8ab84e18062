using System.Text;
using NUnit.Framework;
using ShardProxy.Sql;

namespace ShardProxy.Unit.Tests.Sql;

// Protects what is read from statements beyond their relations: rows to insert, COPY's options, transaction and session
// statements, what utilities are about, and the queries whose partial results can be added up.
[TestFixture]
public sealed class SummaryTests
{
    private readonly SqlTestBench _bench = new();

    [OneTimeTearDown]
    public void Close() => _bench.Dispose();

    [TestCase("INSERT INTO t (k, a) VALUES (1, 'x'), ($1, DEFAULT), (-2, a + 1)", "t(k,a) Values 3: 1,'x' | $1,? | -2,?")]
    [TestCase("INSERT INTO t VALUES (NULL, 5::bigint, (1))", "t() Values 1: null,5::pg_catalog.int8,1")]
    [TestCase("INSERT INTO t DEFAULT VALUES", "t() DefaultValues 1: ")]
    [TestCase("INSERT INTO t SELECT 1", "t() Select 0: ")]
    [TestCase("INSERT INTO t (VALUES (1) LIMIT 1)", "t() Select 0: ")]
    [TestCase("INSERT INTO t (k[1]) VALUES (1)", "t(k) Select 0: ")]
    [TestCase("INSERT INTO t (k) VALUES (1) ON CONFLICT DO NOTHING RETURNING k", "t(k) Values 1: 1 conflict() returning")]
    [TestCase("INSERT INTO t (k) VALUES (1) ON CONFLICT (k) DO UPDATE SET a = 2, (b, c) = (3, 4)", "t(k) Values 1: 1 conflict(a,b,c)")]
    [TestCase("INSERT INTO t (k) OVERRIDING SYSTEM VALUE VALUES (1)", "t(k) Values 1: 1 overriding")]
    [TestCase("EXPLAIN INSERT INTO t (k) VALUES (7)", "t(k) Values 1: 7")]
    public void InsertsAreRead(string sql, string expected)
    {
        var shape = _bench.Shape(sql);
        var insert = shape.Insert!;
        var rows = string.Join(" | ", insert.Rows.Select(r => string.Join(',', r.Select(v => _bench.Value(v, sql)))));
        var actual = $"{shape.Relations[insert.TargetRelation].Name}({string.Join(',', insert.Columns)}) {insert.Source} {insert.RowCount}: {rows}"
            + (insert.HasOnConflict ? $" conflict({string.Join(',', insert.ConflictUpdateColumns)})" : "")
            + (insert.HasOverriding ? " overriding" : "") + (insert.HasReturning ? " returning" : "");
        Assert.That(actual, Is.EqualTo(expected));
    }

    [TestCase("UPDATE t SET a = 1, (b, c) = (2, 3), d.x = 4", "a,b,c,d")]
    [TestCase("MERGE INTO t USING u ON t.k = u.k WHEN MATCHED THEN UPDATE SET b = 1 WHEN NOT MATCHED THEN INSERT (c) VALUES (1)", "b")]
    public void AssignedColumnsAreRead(string sql, string expected) =>
        Assert.That(string.Join(',', _bench.Shape(sql).Update!.AssignedColumns), Is.EqualTo(expected));

    [TestCase("COPY t (a, b) FROM STDIN", "from t(a,b) stdio Text '\t' null '\\N'")]
    [TestCase("COPY t TO STDOUT (FORMAT csv, HEADER)", "to t() stdio Csv ',' null '' header")]
    [TestCase("COPY t FROM STDIN CSV HEADER DELIMITER '|' NULL 'x' QUOTE '~'", "from t() stdio Csv '|' null 'x' quote ~~ header")]
    [TestCase("COPY t FROM STDIN (FORMAT csv, HEADER match, FORCE_NULL (a))", "from t() stdio Csv ',' null '' header match")]
    [TestCase("COPY t FROM STDIN (FORMAT csv, FORCE_NOT_NULL (a))", "from t() stdio Csv ',' null '' force not null")]
    [TestCase("COPY t FROM STDIN (HEADER false, FREEZE, ENCODING 'latin1')", "from t() stdio Text '\t' null '\\N' freeze latin1")]
    [TestCase("COPY t FROM STDIN BINARY", "from t() stdio Binary '\t' null '\\N'")]
    [TestCase("COPY t FROM STDIN WHERE a > 1", "from t() stdio Text '\t' null '\\N' where")]
    [TestCase("COPY t FROM '/x'", "from t() Text '\t' null '\\N'")]
    [TestCase("COPY t FROM PROGRAM 'x'", "from t() Text '\t' null '\\N'")]
    [TestCase("COPY (SELECT 1) TO STDOUT", "to ?() stdio Text '\t' null '\\N'")]
    [TestCase("COPY t FROM STDIN (ON_ERROR ignore)", "from t() stdio Text '\t' null '\\N' unknown")]
    [TestCase("COPY t FROM STDIN (FORMAT xml)", "from t() stdio Text '\t' null '\\N' unknown")]
    [TestCase("COPY t FROM STDIN (DELIMITER '||')", "from t() stdio Text '\t' null '\\N' unknown")]
    [TestCase("COPY t FROM STDIN (NULL 'a', NULL 'b')", "from t() stdio Text '\t' null 'a' unknown")]
    public void CopyIsRead(string sql, string expected)
    {
        var shape = _bench.Shape(sql);
        var copy = shape.Copy!;
        var actual = (copy.IsFrom ? "from " : "to ") + (copy.Relation is { } relation ? shape.Relations[relation].Name : "?") + $"({string.Join(',', copy.Columns)})"
            + (copy.IsStdio ? " stdio" : "") + $" {copy.Format} '{(char)copy.Delimiter}' null '{copy.NullText}'"
            + (copy.Quote != '"' || copy.Escape != '"' ? $" quote {(char)copy.Quote}{(char)copy.Escape}" : "")
            + (copy.HasHeader ? " header" : "") + (copy.HasHeaderMatch ? " match" : "") + (copy.HasForceNotNull ? " force not null" : "")
            + (copy.Freeze ? " freeze" : "") + (copy.HasWhere ? " where" : "") + (copy.Encoding is { } encoding ? " " + encoding : "")
            + (copy.HasUnknownOptions ? " unknown" : "");
        Assert.That(actual, Is.EqualTo(expected));
    }

    [TestCase("BEGIN", "Begin")]
    [TestCase("START TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY, NOT DEFERRABLE", "StartTransaction [ISOLATION LEVEL REPEATABLE READ READ ONLY NOT DEFERRABLE]")]
    [TestCase("BEGIN READ WRITE", "Begin [READ WRITE]")]
    [TestCase("END", "Commit")]
    [TestCase("COMMIT AND CHAIN", "Commit chain")]
    [TestCase("ABORT", "Rollback")]
    [TestCase("SAVEPOINT \"S\"", "Savepoint S")]
    [TestCase("RELEASE s", "ReleaseSavepoint s")]
    [TestCase("ROLLBACK TO s", "RollbackToSavepoint s")]
    [TestCase("PREPARE TRANSACTION 'x'", "Prepare x")]
    [TestCase("COMMIT PREPARED 'x'", "CommitPrepared x")]
    [TestCase("ROLLBACK PREPARED 'y'", "RollbackPrepared y")]
    public void TransactionsAreRead(string sql, string expected)
    {
        var t = _bench.Shape(sql).Transaction!;
        Assert.That($"{t.Verb}{(t.Name is null ? "" : " " + t.Name)}{(t.Chain ? " chain" : "")}{(t.HasOptions ? $" [{t.OptionsText}]" : "")}", Is.EqualTo(expected));
    }

    [TestCase("SET Search_Path TO a, \"B\", 'c'", "Set search_path = 'a', 'B', 'c'")]
    [TestCase("SET \"X.Y\" = 'it''s'", "Set x.y = 'it''s'")]
    [TestCase("SET work_mem = -1", "Set work_mem = -1")]
    [TestCase("SET x = 1.50", "Set x = 1.50")]
    [TestCase("SET x = E'a\\\\b'", "Set x = E'a\\\\b'")]
    [TestCase("SET LOCAL x = on", "SetLocal x = 'on'")]
    [TestCase("SET x TO DEFAULT", "SetDefault x = DEFAULT")]
    [TestCase("SET TIME ZONE -5", "Set timezone = -5")]
    [TestCase("SET TIME ZONE INTERVAL '1' HOUR", "Set timezone = ?")]
    [TestCase("SET TIME ZONE LOCAL", "SetDefault timezone = DEFAULT")]
    [TestCase("SET NAMES 'utf8'", "Set client_encoding = 'utf8'")]
    [TestCase("SET ROLE x", "Set role = 'x'")]
    [TestCase("SET SESSION AUTHORIZATION DEFAULT", "SetDefault session_authorization = DEFAULT")]
    [TestCase("SET TRANSACTION READ ONLY", "SetTransaction  = READ ONLY")]
    [TestCase("SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE", "SetSessionCharacteristics  = ISOLATION LEVEL SERIALIZABLE")]
    [TestCase("SET TRANSACTION SNAPSHOT 's'", "SetTransactionSnapshot  = 's'")]
    [TestCase("RESET x", "Reset x = ?")]
    [TestCase("RESET ALL", "ResetAll  = ?")]
    [TestCase("SHOW TIME ZONE", "Show timezone = ?")]
    [TestCase("SHOW all", "ShowAll  = ?")]
    public void VariablesAreRead(string sql, string expected)
    {
        var v = _bench.Shape(sql).Variable!;
        Assert.That($"{v.Verb} {v.Name} = {v.ValueText ?? "?"}", Is.EqualTo(expected));
    }

    [TestCase("CREATE TABLE s.t (a int)", "CreateTable Table s.t")]
    [TestCase("CREATE TEMP TABLE IF NOT EXISTS t (a int)", "CreateTable Table t temporary exists")]
    [TestCase("CREATE TABLE pg_temp.t (a int)", "CreateTable Table pg_temp.t temporary")]
    [TestCase("CREATE TABLE t AS SELECT 1", "CreateTable Table t")]
    [TestCase("SELECT 1 INTO TEMP t", "CreateTable Table t temporary")]
    [TestCase("CREATE MATERIALIZED VIEW v AS SELECT 1", "OtherDdl MaterializedView v")]
    [TestCase("DROP TABLE IF EXISTS a, s.b CASCADE", "DropTable Table a s.b cascade exists")]
    [TestCase("DROP INDEX CONCURRENTLY i", "DropIndex Index i concurrently alone")]
    [TestCase("CREATE INDEX CONCURRENTLY i ON s.t (a)", "CreateIndex Index s.i concurrently alone")]
    [TestCase("CREATE INDEX ON t (a)", "CreateIndex Index")]
    [TestCase("ALTER TABLE t ADD a int", "AlterTable Table t")]
    [TestCase("ALTER TABLE t RENAME a TO b", "AlterTable Table t")]
    [TestCase("ALTER INDEX i RENAME TO j", "OtherDdl Index i")]
    [TestCase("TRUNCATE a, b CASCADE", "Truncate Table a b cascade")]
    [TestCase("VACUUM a", "Vacuum Table a alone")]
    [TestCase("ANALYZE a", "Vacuum Table a")]
    [TestCase("LOCK a", "Lock Table a")]
    [TestCase("REINDEX TABLE CONCURRENTLY a", "OtherDdl Index a concurrently alone")]
    [TestCase("REINDEX DATABASE d", "OtherDdl Index alone")]
    [TestCase("CREATE DATABASE d", "OtherDdl Database d alone")]
    [TestCase("CREATE SCHEMA s", "OtherDdl Schema s")]
    [TestCase("DROP SCHEMA s CASCADE", "OtherDdl Schema s cascade")]
    [TestCase("DROP FUNCTION s.f(int)", "OtherDdl Function s.f")]
    [TestCase("CREATE EXTENSION x", "OtherDdl Extension x")]
    [TestCase("CREATE SEQUENCE q", "OtherDdl Sequence q")]
    public void UtilitiesAreRead(string sql, string expected)
    {
        var shape = _bench.Shape(sql);
        var u = shape.Utility!;
        var names = string.Concat(u.Names.Select(n => n.Schema is null ? " " + n.Name : $" {n.Schema}.{n.Name}"));
        var actual = $"{shape.Kind} {u.Object}{names}" + (u.IsTemporary ? " temporary" : "") + (u.IsConcurrently ? " concurrently" : "")
            + (u.IsCascade ? " cascade" : "") + (u.IfExists ? " exists" : "") + (shape.ForbidsTransactionBlock ? " alone" : "");
        Assert.That(actual, Is.EqualTo(expected));
    }

    [TestCase("PREPARE p (int, text) AS SELECT $1", "Prepare p 25")]
    [TestCase("PREPARE p AS SELECT 1", "Prepare p 13")]
    [TestCase("EXECUTE p (1, $2, a)", "Execute p -1 1 $2 ?")]
    [TestCase("DEALLOCATE p", "Deallocate p -1")]
    [TestCase("DEALLOCATE ALL", "Deallocate  -1")]
    public void PreparedStatementsAreRead(string sql, string expected)
    {
        var shape = _bench.Shape(sql);
        var p = shape.Prepared!;
        Assert.That($"{shape.Kind} {p.Name} {p.QueryOffset}{string.Concat(p.Arguments.Select(a => " " + _bench.Value(a, sql)))}", Is.EqualTo(expected));
    }

    [TestCase("DISCARD ALL", StatementKind.Discard)]
    [TestCase("LISTEN x", StatementKind.Listen)]
    [TestCase("NOTIFY x", StatementKind.Notify)]
    [TestCase("UNLISTEN *", StatementKind.Unlisten)]
    [TestCase("FETCH 5 FROM c", StatementKind.Fetch)]
    [TestCase("MOVE c", StatementKind.Fetch)]
    [TestCase("CLOSE ALL", StatementKind.Close)]
    [TestCase("DO 'x'", StatementKind.Other)]
    [TestCase("CALL p()", StatementKind.Other)]
    [TestCase("CHECKPOINT", StatementKind.Other)]
    [TestCase("SET CONSTRAINTS ALL DEFERRED", StatementKind.Other)]
    [TestCase("GRANT SELECT ON t TO x", StatementKind.OtherDdl)]
    [TestCase("(SELECT 1)", StatementKind.Select)]
    [TestCase("SELECT FROM WHERE", StatementKind.Unparsable)]
    [TestCase("SELECT 1 SELECT 2", StatementKind.Unparsable)]
    public void KindsAreKnown(string sql, StatementKind expected) => Assert.That(_bench.Shape(sql).Kind, Is.EqualTo(expected));

    [Test]
    public void WhereCurrentOfIsSeen() => Assert.That(_bench.Shape("DELETE FROM t WHERE CURRENT OF c").HasCurrentOf);

    [TestCase("select  A.\"B\" , f( 1,'x' )::int FROM t where k=$2 -- c", "select A.\"B\", f ($3, $4)::int from t where k = $2")]
    [TestCase("ALTER ROLE r PASSWORD 'secret'", "alter role r password $1")]
    public void TextForPeopleHoldsNoValues(string sql, string expected) =>
        Assert.That(_bench.Shape(sql).Text, Is.EqualTo(expected.Replace("A.", "a.", StringComparison.Ordinal)));

    [TestCase("SELECT count(*) FROM t", "CountStar")]
    [TestCase("SELECT sum(a), min(b + 1), pg_catalog.max(upper(c)), count(d) AS n FROM s.t x WHERE x.a > 1 AND lower(b) = 'c'", "Sum Min Max Count")]
    [TestCase("SELECT (SELECT sum(a) FROM t) AS x, (SELECT count(*) FROM u WHERE b = 1)", "Sum CountStar scalar")]
    [TestCase("SELECT count(*) FROM t, u", null)]
    [TestCase("SELECT count(*) FROM t JOIN u ON true", null)]
    [TestCase("SELECT count(*) FROM (SELECT 1) x", null)]
    [TestCase("SELECT count(*) FROM t TABLESAMPLE system (1)", null)]
    [TestCase("SELECT count(*) FROM t AS x (y)", null)]
    [TestCase("WITH t AS (SELECT 1) SELECT count(*) FROM t", null)]
    [TestCase("SELECT count(*), 1 FROM t", null)]
    [TestCase("SELECT count(*) + 1 FROM t", null)]
    [TestCase("SELECT sum(a)::int FROM t", null)]
    [TestCase("SELECT avg(a) FROM t", null)]
    [TestCase("SELECT my.sum(a) FROM t", null)]
    [TestCase("SELECT sum(DISTINCT a) FROM t", null)]
    [TestCase("SELECT sum(a) FILTER (WHERE b) FROM t", null)]
    [TestCase("SELECT sum(a) OVER () FROM t", null)]
    [TestCase("SELECT sum(a ORDER BY b) FROM t", null)]
    [TestCase("SELECT DISTINCT sum(a) FROM t", null)]
    [TestCase("SELECT sum(a) FROM t GROUP BY b", null)]
    [TestCase("SELECT sum(a) FROM t HAVING true", null)]
    [TestCase("SELECT sum(a) FROM t LIMIT 1", null)]
    [TestCase("SELECT sum(a) FROM t ORDER BY 1", null)]
    [TestCase("SELECT sum(a) FROM t UNION SELECT 1", null)]
    [TestCase("SELECT sum(a) FROM t FOR UPDATE", null)]
    [TestCase("SELECT sum(a) INTO x FROM t", null)]
    [TestCase("SELECT sum(random()) FROM t", null)]
    [TestCase("SELECT sum((SELECT 1)) FROM t", null)]
    [TestCase("SELECT count(*) FROM t WHERE EXISTS (SELECT 1 FROM u)", null)]
    [TestCase("SELECT count(*) FROM t WHERE f(a)", null)]
    [TestCase("SELECT count(*) FROM t WHERE a < CURRENT_TIMESTAMP", null)]
    [TestCase("SELECT max(ctid) FROM t", null)]
    [TestCase("SELECT count(*) FROM t WHERE a = 't'::regclass", null)]
    [TestCase("SELECT (SELECT sum(a) FROM t), 1", null)]
    [TestCase("SELECT (SELECT sum(a), 1 FROM t)", null)]
    [TestCase("SELECT (SELECT sum(a) FROM t) + 1", null)]
    [TestCase("SELECT EXISTS (SELECT count(*) FROM t)", null)]
    [TestCase("SELECT 1", null)]
    public void AggregatesOverOneTableAreRecognised(string sql, string? expected)
    {
        var aggregate = _bench.Shape(sql).Aggregate;
        var actual = aggregate is null ? null : string.Join(' ', aggregate.Outputs.Select(o => o.Function)) + (aggregate.IsScalarSubqueries ? " scalar" : "");
        Assert.That(actual, Is.EqualTo(expected));
    }

    [TestCase("SELECT count(*) FROM t", "SELECT count(*) FROM t WHERE (P(t))")]
    [TestCase("SELECT count(*) FROM t -- c", "SELECT count(*) FROM t WHERE (P(t))")]
    [TestCase("SELECT count(*) FROM s.t AS x", "SELECT count(*) FROM s.t AS x WHERE (P(x))")]
    [TestCase("SELECT count(*) FROM s.\"where\" * \"from\"", "SELECT count(*) FROM s.\"where\" * \"from\" WHERE (P(from))")]
    [TestCase("SELECT count(*) FROM s.where x", "SELECT count(*) FROM s.where x WHERE (P(x))")]
    [TestCase("SELECT count(*) AS where FROM ONLY t WHERE a = 1 OR b = 2", "SELECT count(*) AS where FROM ONLY t WHERE ( a = 1 OR b = 2) AND (P(t))")]
    [TestCase("(SELECT count(*) FROM t WHERE (a = 1) OR b = ')')", "(SELECT count(*) FROM t WHERE ( (a = 1) OR b = ')') AND (P(t)))")]
    [TestCase("SELECT (SELECT sum(a) FROM t), (SELECT max(b) FROM u x WHERE c = 1 -- d\n) AS m",
        "SELECT (SELECT sum(a) FROM t WHERE (P(t))), (SELECT max(b) FROM u x WHERE ( c = 1) AND (P(x)) -- d\n) AS m")]
    [TestCase("SELECT count(*) FROM ONLY (t)", null)]
    [TestCase("SELECT a FROM t", null)]
    public void PredicatesAreSplicedIn(string sql, string? expected)
    {
        var shape = _bench.Shape(sql);
        var scan = _bench.Scan(sql);
        var statement = Encoding.UTF8.GetBytes(sql).AsSpan(scan.Start, scan.End - scan.Start);
        var rewritten = StatementRewriter.TryAddPredicates(statement, shape, r => $"P({r.Alias ?? r.Name})");
        Assert.That(rewritten is null ? null : Encoding.UTF8.GetString(rewritten), Is.EqualTo(expected));
    }

    // The slots come from the first text of a shape: they must fit every other text of it.
    [Test]
    public void PredicatesFitEveryTextOfAShape()
    {
        _bench.Shape("SELECT count(*) FROM t WHERE a = 1");
        const string Sql = "SELECT  count ( * )  FROM /* x */ T WHERE a = 123456789 -- y";
        var scan = _bench.Scan(Sql);
        Assert.That(scan.Outcome, Is.EqualTo(ScanOutcome.Found));
        var rewritten = StatementRewriter.TryAddPredicates(Encoding.UTF8.GetBytes(Sql).AsSpan(scan.Start, scan.End - scan.Start), scan.Shape!, _ => "p");
        Assert.That(Encoding.UTF8.GetString(rewritten!), Is.EqualTo("SELECT  count ( * )  FROM /* x */ T WHERE ( a = 123456789) AND (p)"));
    }

    [Test]
    public void StatisticsAddUp()
    {
        var statistics = _bench.Shape("SELECT 1 AS counted").Statistics;
        statistics.Record(10, 2, false);
        statistics.Record(30, 0, true);
        statistics.Record(20, 1, false);
        Assert.That((statistics.Calls, statistics.Errors, statistics.Rows, statistics.TotalMicros, statistics.MaxMicros), Is.EqualTo((3L, 1L, 3L, 60L, 30L)));
    }
}
