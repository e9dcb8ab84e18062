using NUnit.Framework;

namespace ShardProxy.Unit.Tests.Sql;

// Protects statements that are finished on gathered rows: a condition that is applied on the nodes must be one that no row failing it could have
// influenced the answer, and it must be the whole condition. Columns that are not gathered must be ones the statement cannot mean.
[TestFixture]
public sealed class GatherFilterTests
{
    private readonly SqlTestBench _bench = new();

    [OneTimeTearDown]
    public void Close() => _bench.Dispose();

    [TestCase("SELECT a FROM t WHERE a > 1", "t: a > 1 [a]")]
    [TestCase("SELECT a FROM t WHERE t.a > 1 AND b = 'x' OR c IS NULL", "")]
    [TestCase("SELECT a FROM t WHERE t.a > 1 AND (b = 'x' OR c = 2)", "t: b = 'x' OR c = 2 [b c]; t: t.a > 1")]
    [TestCase("SELECT a FROM t WHERE ((t.a > 1))", "t: t.a > 1")]
    [TestCase("SELECT a FROM t WHERE a = $1 AND b = $2::int", "t: a = <1> [a]; t: b = <2>::int [b]")]
    [TestCase("SELECT a FROM t WHERE a = -1", "t: a = -1 [a]")]
    [TestCase("SELECT a FROM t WHERE (a, b) = (1, 2) LIMIT 3", "t: (a, b) = (1, 2) [a b]")]
    [TestCase("SELECT a FROM t WHERE a IN (1, (2)) ORDER BY 1", "t: a IN (1, (2)) [a]")]
    [TestCase("SELECT a FROM t WHERE a = ANY (ARRAY[1, 2])", "t: a = ANY (ARRAY[1, 2]) [a]")]
    [TestCase("SELECT a FROM t WHERE NOT a = 1 GROUP BY a", "t: NOT a = 1 [a]")]
    [TestCase("SELECT a FROM t WHERE a BETWEEN 1 AND 2 AND b = 3", "t: a BETWEEN 1 AND 2 [a]; t: b = 3 [b]")]
    // Not the same on every node, or at every time.
    [TestCase("SELECT a FROM t WHERE a = random()", "")]
    [TestCase("SELECT a FROM t WHERE a < now()", "")]
    [TestCase("SELECT a FROM t WHERE f(a)", "")]
    [TestCase("SELECT a FROM t WHERE a = (SELECT 1)", "")]
    [TestCase("SELECT a FROM t WHERE a = 't'::regclass", "")]
    // What the tree does not say where it ends.
    [TestCase("SELECT a FROM t WHERE a::double precision > 1", "t: a::double precision > 1 [a]")]
    [TestCase("SELECT a FROM t WHERE 1 < a::double precision", "")]
    [TestCase("SELECT a FROM t WHERE a > interval '1' day", "")]
    [TestCase("SELECT a FROM t WHERE CASE WHEN a > 1 THEN true END", "")]
    [TestCase("SELECT a FROM t WHERE a = 'x' COLLATE \"C\"", "")]
    [TestCase("SELECT a FROM t WHERE (a = 1) IS NOT TRUE", "")]
    public void OneTable(string sql, string expected) => Assert.That(_bench.Filters(sql), Is.EqualTo(expected));

    [TestCase("SELECT 1 FROM t JOIN u ON t.k = u.k AND t.a = 1 AND u.b = 2", "t: t.a = 1; u: u.b = 2")]
    [TestCase("SELECT 1 FROM t, u WHERE t.k = u.k AND t.a = 1", "t: t.a = 1")]
    [TestCase("SELECT 1 FROM t, u WHERE a = 1", "t: a = 1 [a]; u: a = 1 [a]")]
    [TestCase("SELECT 1 FROM t LEFT JOIN u ON t.k = u.k AND t.a = 1 AND u.b = 2", "u: u.b = 2")]
    [TestCase("SELECT 1 FROM t RIGHT JOIN u ON t.k = u.k AND t.a = 1 AND u.b = 2", "t: t.a = 1")]
    [TestCase("SELECT 1 FROM t FULL JOIN u ON t.k = u.k AND t.a = 1 AND u.b = 2", "")]
    // WHERE sees the NULLs that an outer join has put in.
    [TestCase("SELECT 1 FROM t LEFT JOIN u ON t.k = u.k WHERE coalesce(u.b, 0) = 0 AND t.a = 1", "t: t.a = 1")]
    [TestCase("SELECT 1 FROM t RIGHT JOIN u ON t.k = u.k WHERE coalesce(t.b, 0) = 0 AND u.a = 1", "u: u.a = 1")]
    [TestCase("SELECT 1 FROM t FULL JOIN u ON t.k = u.k WHERE t.a = 1 AND u.b = 1", "")]
    [TestCase("SELECT 1 FROM t LEFT JOIN (u JOIN v ON u.k = v.k AND u.a = 1) ON t.k = u.k WHERE coalesce(v.b, 1) = 1", "u: u.a = 1")]
    [TestCase("SELECT 1 FROM (t LEFT JOIN u ON t.k = u.k) JOIN v ON coalesce(u.a, 1) = 1 AND t.a = 2", "t: t.a = 2")]
    // Merged columns are of neither side alone.
    [TestCase("SELECT 1 FROM t JOIN u USING (k) WHERE k = 1", "")]
    [TestCase("SELECT 1 FROM t LEFT JOIN u USING (k) WHERE k = 1 AND t.k = 2", "t: t.k = 2")]
    [TestCase("SELECT 1 FROM t NATURAL JOIN u WHERE a::text = '1.0'", "*")]
    [TestCase("SELECT 1 FROM t NATURAL LEFT JOIN u WHERE t.a = 1 AND b = 2", "*; t: t.a = 1")]
    public void Joins(string sql, string expected) => Assert.That(_bench.Filters(sql), Is.EqualTo(expected));

    [TestCase("SELECT 1 FROM t WHERE EXISTS (SELECT 1 FROM u WHERE t.a = 1 AND u.b = 2 AND u.k = t.k)", "u: u.b = 2")]
    [TestCase("SELECT 1 FROM t WHERE EXISTS (SELECT 1 FROM u WHERE a = 1)", "u: a = 1 [a]")]
    [TestCase("SELECT 1 FROM t WHERE EXISTS (SELECT 1 FROM u t WHERE t.a = 1)", "t: t.a = 1")]
    [TestCase("SELECT 1 FROM t, LATERAL (SELECT 1 FROM u WHERE t.a = 1) s WHERE s.x = 1", "")]
    [TestCase("SELECT 1 FROM t, (SELECT 1 AS a) s WHERE s.a = 1 AND t.b = 2", "t: t.b = 2")]
    [TestCase("WITH t AS (SELECT * FROM u WHERE u.a = 1) SELECT 1 FROM t WHERE t.b = 2", "*; u: u.a = 1")]
    [TestCase("WITH t AS (SELECT k FROM u) SELECT 1 FROM t JOIN u t2 ON t2.k = t.k WHERE t.b = 2", "")]
    [TestCase("SELECT count(*) FILTER (WHERE a = 1) FROM t HAVING max(a) = 2", "")]
    [TestCase("SELECT a FROM t WHERE a = 1 UNION SELECT b FROM t WHERE b = 2", "t: a = 1 [a]; t: b = 2 [b]")]
    [TestCase("SELECT x FROM t AS c (x, y) WHERE x = 1 AND c.y = 2", "*")]
    [TestCase("SELECT 1 FROM s.t WHERE t.a = 1", "t: t.a = 1")]
    public void Scopes(string sql, string expected) => Assert.That(_bench.Filters(sql), Is.EqualTo(expected));

    // Names that stand for columns which the text does not name.
    [TestCase("SELECT j FROM (t JOIN u ON t.k = u.k) AS j", "*")]
    [TestCase("SELECT x FROM (t JOIN u ON t.k = u.k) AS j (x, y)", "*")]
    [TestCase("SELECT row_to_json(j) FROM (t CROSS JOIN u) j", "*")]
    [TestCase("SELECT t FROM t", "*")]
    [TestCase("SELECT count(c) FROM t c", "*")]
    [TestCase("SELECT (c).a FROM t c", "*")]
    [TestCase("SELECT c.* FROM t c", "*")]
    [TestCase("TABLE t", "*")]
    [TestCase("SELECT a FROM t c (a)", "*")]
    [TestCase("SELECT count(*) FROM t", "")]
    public void Stars(string sql, string expected) => Assert.That(_bench.Filters(sql), Is.EqualTo(expected));
}
