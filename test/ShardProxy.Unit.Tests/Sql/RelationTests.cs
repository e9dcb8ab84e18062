using NUnit.Framework;
using ShardProxy.Sql;

namespace ShardProxy.Unit.Tests.Sql;

// Protects against a table that a statement touches without routing knowing: every relation named anywhere must be listed,
// and a WITH name hides a table exactly where PostgreSQL says so.
[TestFixture]
public sealed class RelationTests
{
    private readonly SqlTestBench _bench = new();

    [OneTimeTearDown]
    public void Close() => _bench.Dispose();

    [TestCase("WITH c AS (SELECT * FROM t) SELECT * FROM c", "Read t")]
    [TestCase("WITH t AS (SELECT * FROM t) SELECT * FROM t", "Read t")]
    [TestCase("WITH RECURSIVE t AS (SELECT 1 UNION ALL SELECT * FROM t) SELECT * FROM t", "")]
    [TestCase("WITH a AS (SELECT * FROM b), b AS (SELECT * FROM a) SELECT * FROM b", "Read b")]
    [TestCase("WITH c AS (SELECT 1) SELECT * FROM s.c", "Read s.c")]
    [TestCase("WITH c AS (SELECT 1) SELECT * FROM (SELECT * FROM c) x, (WITH c AS (SELECT * FROM c) SELECT * FROM c) y", "")]
    [TestCase("SELECT * FROM (WITH c AS (SELECT 1) SELECT * FROM c) x, c", "Read c")]
    [TestCase("WITH t AS (SELECT 1) INSERT INTO t SELECT * FROM t", "Insert t")]
    [TestCase("WITH t AS (SELECT 1) UPDATE t SET a = 1", "Update t")]
    [TestCase("WITH d AS (DELETE FROM t WHERE k = 1 RETURNING *) INSERT INTO h SELECT * FROM d", "Insert h; Delete t {k?=1}")]
    [TestCase("SELECT * FROM a FOR UPDATE OF a", "Read a")]
    [TestCase("SELECT * FROM a x TABLESAMPLE system ((SELECT 1 FROM b))", "Read a x; Read b")]
    [TestCase("SELECT * FROM generate_series(1, (SELECT max(a) FROM t)) g", "Read t")]
    [TestCase("SELECT * FROM a ORDER BY (SELECT 1 FROM b) LIMIT (SELECT 2 FROM c)", "Read a; Read b; Read c")]
    [TestCase("SELECT * FROM XMLTABLE('/x' PASSING (SELECT x FROM t) COLUMNS a int) y", "Read t")]
    [TestCase("VALUES (1), ((SELECT 2 FROM t))", "Read t")]
    [TestCase("TABLE t", "Read t")]
    [TestCase("INSERT INTO t VALUES ((SELECT 1 FROM u)) ON CONFLICT (k) DO UPDATE SET a = (SELECT 1 FROM v) RETURNING (SELECT 1 FROM w)", "Insert t; Read u; Read v; Read w")]
    [TestCase("CREATE TABLE x (LIKE y, z int REFERENCES p, FOREIGN KEY (z) REFERENCES q.pp)", "Utility x; Utility y; Referenced p; Referenced q.pp")]
    [TestCase("CREATE TABLE x PARTITION OF y DEFAULT", "Utility x; Utility y")]
    [TestCase("CREATE TABLE x AS SELECT * FROM t", "Read t; Utility x")]
    [TestCase("SELECT * INTO x FROM t", "Utility x; Read t")]
    [TestCase("CREATE VIEW v AS SELECT * FROM t JOIN u ON t.a = u.a", "Utility v; Read t; Read u")]
    [TestCase("ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES u", "Utility t; Referenced u")]
    [TestCase("ALTER TABLE t ATTACH PARTITION u DEFAULT", "Utility t; Utility u")]
    [TestCase("ALTER TABLE t RENAME TO u", "Utility t")]
    [TestCase("CREATE INDEX i ON s.t (a)", "Utility s.t")]
    [TestCase("CREATE CONSTRAINT TRIGGER g AFTER INSERT ON t FROM u FOR EACH ROW EXECUTE FUNCTION f()", "Utility t; Utility u")]
    [TestCase("DROP TABLE a, s.b CASCADE", "Utility a; Utility s.b")]
    [TestCase("DROP TRIGGER g ON s.t", "Utility s.t")]
    [TestCase("COMMENT ON COLUMN t.a IS 'x'", "Utility t")]
    [TestCase("TRUNCATE a, ONLY b", "Utility a; Utility b")]
    [TestCase("VACUUM ANALYZE a (x), b", "Utility a; Utility b")]
    [TestCase("LOCK TABLE a IN SHARE MODE", "Utility a")]
    [TestCase("GRANT SELECT ON a, b TO x", "Utility a; Utility b")]
    [TestCase("COPY t (a) FROM STDIN", "Utility t")]
    [TestCase("COPY (SELECT * FROM t WHERE k = 1) TO STDOUT", "Read t {k?=1}")]
    [TestCase("EXPLAIN ANALYZE UPDATE t SET a = 1 WHERE k = 1", "Update t {k?=1}")]
    [TestCase("DECLARE c CURSOR FOR SELECT * FROM t WHERE k = 1", "Read t {k?=1}")]
    [TestCase("PREPARE p AS SELECT * FROM t WHERE k = $1", "Read t {k?=$1}")]
    [TestCase("CREATE RULE r AS ON INSERT TO t DO ALSO (INSERT INTO u VALUES (1); DELETE FROM v)", "Utility t; Insert u; Delete v")]
    [TestCase("CREATE POLICY p ON t USING (a IN (SELECT b FROM u))", "Utility t; Read u")]
    [TestCase("CREATE PUBLICATION p FOR TABLE t, u", "Utility t; Utility u")]
    [TestCase("CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1 FROM t; SELECT CASE WHEN true THEN 2 END FROM u; END", "Read t; Read u")]
    [TestCase("REFRESH MATERIALIZED VIEW v", "Utility v")]
    [TestCase("CLUSTER t USING i", "Utility t")]
    [TestCase("SHOW search_path", "")]
    public void EveryRelationIsListed(string sql, string expected)
    {
        var actual = _bench.Relations(sql).Split("; ").Order(StringComparer.Ordinal);
        Assert.That(actual, Is.EqualTo(expected.Split("; ").Order(StringComparer.Ordinal)));
    }

    [TestCase("SELECT count(*), pg_catalog.now(), s.f(g(1)) FROM h(2)", "count, pg_catalog.now, s.f, g, h")]
    [TestCase("CALL p(1)", "p")]
    [TestCase("INSERT INTO t VALUES (nextval('q'))", "nextval")]
    public void EveryFunctionIsListed(string sql, string expected)
    {
        var names = _bench.Shape(sql).Functions.Select(f => f.Schema is null ? f.Name : $"{f.Schema}.{f.Name}");
        Assert.That(names.Order(StringComparer.Ordinal), Is.EqualTo(expected.Split(", ").Order(StringComparer.Ordinal)));
    }

    [TestCase("SELECT 1 FROM t", true)]
    [TestCase("SELECT 1 FROM t FOR SHARE", false)]
    [TestCase("SELECT * FROM (SELECT 1 FROM t FOR UPDATE) x", false)]
    [TestCase("WITH d AS (DELETE FROM t RETURNING *) SELECT * FROM d", false)]
    [TestCase("SELECT 1 INTO x", false)]
    [TestCase("VALUES (1)", true)]
    [TestCase("SHOW x", true)]
    [TestCase("EXPLAIN DELETE FROM t", true)]
    [TestCase("EXPLAIN ANALYZE DELETE FROM t", false)]
    [TestCase("EXPLAIN (ANALYZE) SELECT 1", true)]
    [TestCase("COPY t TO STDOUT", true)]
    [TestCase("COPY t FROM STDIN", false)]
    [TestCase("COPY (DELETE FROM t RETURNING *) TO STDOUT", false)]
    [TestCase("INSERT INTO t VALUES (1)", false)]
    [TestCase("BEGIN", false)]
    public void ReadOnlyIsKnown(string sql, bool expected) => Assert.That(_bench.Shape(sql).IsReadOnly, Is.EqualTo(expected));

    [Test]
    public void CodeInStringsGivesItsWords()
    {
        var shape = _bench.Shape("DO $x$ BEGIN EXECUTE 'delete from ' || 'Accounts'; PERFORM \"My \"\"T\" ; END $x$");
        Assert.That(shape.Identifiers, Does.Contain("accounts"));
        Assert.That(shape.Identifiers, Does.Contain("My \"T"));
    }

    [Test]
    public void UnparsableTextGivesItsWordsAndIsNotCached()
    {
        var before = _bench.Analyzer.ShapeCount;
        var shape = _bench.Shape("SELEKT * FROM Accounts WHERE \"Ka\" = 0x1F");
        Assert.That(shape.Kind, Is.EqualTo(StatementKind.Unparsable));
        Assert.That(shape.Identifiers, Is.SupersetOf(new[] { "accounts", "Ka", "selekt" }));
        Assert.That(_bench.Analyzer.ShapeCount, Is.EqualTo(before));
    }
}
