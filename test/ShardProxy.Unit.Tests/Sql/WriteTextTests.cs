using System.Text;
using NUnit.Framework;
using ShardProxy.Sql;

namespace ShardProxy.Unit.Tests.Sql;

// Protects the texts that each node gets of a write over several nodes: a row or a condition in the wrong place would be a wrong write.
[TestFixture]
public sealed class WriteTextTests
{
    private readonly SqlTestBench _bench = new();

    [OneTimeTearDown]
    public void Close() => _bench.Dispose();

    [TestCase("INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c')", "INSERT INTO t VALUES (1, 'a'),\n(3, 'c')")]
    [TestCase("INSERT INTO s.t AS x (a, b) OVERRIDING SYSTEM VALUE VALUES (1, f(2, 3)), (2, '),('), ((1), ARRAY[1, 2]) ON CONFLICT DO NOTHING RETURNING a -- x",
        "INSERT INTO s.t AS x (a, b) OVERRIDING SYSTEM VALUE VALUES (1, f(2, 3)),\n((1), ARRAY[1, 2]) ON CONFLICT DO NOTHING RETURNING a -- x")]
    [TestCase("WITH v AS (VALUES (1)) INSERT INTO t /* VALUES (0), */ VALUES (1), -- , (9)\n (2), (3) ;", "WITH v AS (VALUES (1)) INSERT INTO t /* VALUES (0), */ VALUES (1),\n(3)")]
    public void RowsAreTaken(string sql, string firstAndThird)
    {
        var text = Statement(sql);
        Assert.That(Encoding.UTF8.GetString(new WriteText(text, _bench.Shape(sql)).WithRows(row => row != 1)).TrimEnd(' ', ';'), Is.EqualTo(firstAndThird));
    }

    [TestCase("INSERT INTO t (VALUES (1), (2))")]
    [TestCase("INSERT INTO t (SELECT 1)")]
    [TestCase("INSERT INTO t VALUES (1), (2) UNION ALL VALUES (3), (4)")]
    [TestCase("INSERT INTO t VALUES (1), (2) LIMIT 1")]
    [TestCase("INSERT INTO U&\"t\" VALUES (1), (2)")]
    public void RowsWhosePlaceIsNotCertainAreLeft(string sql) => Assert.That(_bench.Shape(sql).Insert!.RowTokens, Is.Empty);

    [TestCase("DELETE FROM t", "DELETE FROM t WHERE (p)")]
    [TestCase("DELETE FROM t -- x", "DELETE FROM t WHERE (p) -- x")]
    [TestCase("DELETE FROM ONLY (t) RETURNING a AS where", "DELETE FROM ONLY (t) WHERE (p) RETURNING a AS where")]
    [TestCase("DELETE FROM t AS x USING u WHERE x.a = u.a OR x.b RETURNING *", "DELETE FROM t AS x USING u WHERE ( x.a = u.a OR x.b) AND (p) RETURNING *")]
    [TestCase("UPDATE t SET a = t.where, b = (SELECT 1 FROM u WHERE c) FROM u WHERE t.returning = 1 -- y", "UPDATE t SET a = t.where, b = (SELECT 1 FROM u WHERE c) FROM u WHERE ( t.returning = 1) AND (p) -- y")]
    [TestCase("WITH u AS (SELECT 1 WHERE true) UPDATE t * SET a = CASE WHEN b THEN 1 END", "WITH u AS (SELECT 1 WHERE true) UPDATE t * SET a = CASE WHEN b THEN 1 END WHERE (p)")]
    [TestCase("UPDATE t SET a = count(*) FILTER (WHERE b) WHERE \"where\" = 'where' /* where */", "UPDATE t SET a = count(*) FILTER (WHERE b) WHERE ( \"where\" = 'where') AND (p) /* where */")]
    public void ConditionsAreAdded(string sql, string expected) =>
        Assert.That(Encoding.UTF8.GetString(new WriteText(Statement(sql), _bench.Shape(sql)).WithPredicate("p")), Is.EqualTo(expected));

    private static byte[] Statement(string sql) => Encoding.UTF8.GetBytes(sql);
}
