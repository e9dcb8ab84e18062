using NUnit.Framework;
using ShardProxy.Sql;

namespace ShardProxy.Unit.Tests.Sql;

// Protects Law 1 where nodes answer for their own rows: a part that does not make up the whole gives a wrong answer. What may not be split is tested
// as much as what may. A statement is shown as its kind, its keys, and its text with <key> and {aggregate} in their places, or with what it is ordered by.
[TestFixture]
public sealed class PartialTests
{
    private readonly SqlTestBench _bench = new();

    [OneTimeTearDown]
    public void Close() => _bench.Dispose();

    [TestCase("SELECT * FROM t", "Rows")]
    [TestCase("SELECT a, b + 1 AS c FROM t WHERE a > 1", "Rows")]
    [TestCase("SELECT t.a FROM t JOIN u ON t.k = u.k AND u.x = 3 LEFT JOIN v USING (k)", "Rows")]
    [TestCase("SELECT count(*) FROM t", "Aggregates [] SELECT {0}")]
    [TestCase("SELECT count(*), sum(a + 1) FILTER (WHERE b > 2) AS s FROM t WHERE a IS DISTINCT FROM 3", "Aggregates [] SELECT {0} , {1} AS s")]
    [TestCase("SELECT a, count(*) FROM t GROUP BY a", "Aggregates [a] SELECT <0> , {0}")]
    [TestCase("SELECT a, t.b, max(c) FROM t GROUP BY a, t.b HAVING min(c) > 0 ORDER BY t.b DESC, avg(c)", "Aggregates [a;t.b] SELECT <0> , <1> , {0} HAVING {1} > 0 ORDER BY <1> DESC, {2}")]
    [TestCase("SELECT count(*), a FROM t GROUP BY 2 ORDER BY 1, a", "Aggregates [a] SELECT {0} , <0> ORDER BY (0) , (1)")]
    [TestCase("SELECT upper(a), upper(a) || b, sum(c) / count(*) FROM t GROUP BY upper(a), b", "no")]
    [TestCase("SELECT upper(a), b || 'x', sum(c) / count(*) FROM t GROUP BY upper(a), b", "Aggregates [upper(a);b] SELECT <0> , <1> || 'x', {0} / {1}")]
    [TestCase("SELECT a AS x, sum(b) AS y FROM t GROUP BY a ORDER BY y, x", "Aggregates [a] SELECT <0> AS x, {0} AS y ORDER BY (1) , (0)")]
    [TestCase("SELECT a AS b, b AS a, count(*) FROM t GROUP BY a, b", "no")]
    [TestCase("SELECT a AS from FROM t GROUP BY a", "Aggregates [a] SELECT <0> AS from")]
    [TestCase("SELECT a, b, count(*) FROM t GROUP BY a", "no")]
    [TestCase("SELECT a, count(*) FROM t GROUP BY ROLLUP (a)", "no")]
    [TestCase("SELECT a, count(*) FROM t GROUP BY GROUPING SETS ((a), ())", "no")]
    [TestCase("SELECT DISTINCT a, count(*) FROM t GROUP BY a", "no")]
    [TestCase("SELECT count(DISTINCT a) FROM t", "no")]
    [TestCase("SELECT sum(a ORDER BY b) FROM t", "no")]
    [TestCase("SELECT string_agg(a, ',') FROM t", "no")]
    [TestCase("SELECT array_agg(a) FROM t GROUP BY b", "no")]
    [TestCase("SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY a) FROM t", "no")]
    [TestCase("SELECT stddev(a) FROM t", "no")]
    [TestCase("SELECT mine.count(a) FROM t", "no")]
    [TestCase("SELECT pg_catalog.count(a) FROM t", "Aggregates [] SELECT {0}")]
    [TestCase("SELECT sum(sum(a)) OVER () FROM t GROUP BY b", "no")]
    [TestCase("SELECT count(*) OVER () FROM t", "no")]
    [TestCase("SELECT rank() OVER w FROM t WINDOW w AS (ORDER BY a)", "no")]
    [TestCase("SELECT count(*) FROM t WHERE a > now()", "no")]
    [TestCase("SELECT count(*) FROM t WHERE a > random()", "no")]
    [TestCase("SELECT count(*) FROM t WHERE a IN (SELECT b FROM u)", "no")]
    [TestCase("SELECT (SELECT 1) FROM t", "no")]
    [TestCase("SELECT count(*) FROM (SELECT a FROM t LIMIT 3) q", "no")]
    [TestCase("SELECT count(*) FROM t, generate_series(1, 3) g", "no")]
    [TestCase("SELECT count(*) FROM t NATURAL JOIN u", "no")]
    [TestCase("SELECT count(*) FROM (t JOIN u ON t.k = u.k) AS j", "no")]
    [TestCase("WITH q AS (SELECT 1) SELECT count(*) FROM t", "no")]
    [TestCase("SELECT a FROM t UNION SELECT a FROM u", "no")]
    [TestCase("SELECT a FROM t FOR UPDATE", "Locked [] SELECT a FOR UPDATE")]
    [TestCase("SELECT a FROM t LIMIT 1 FOR UPDATE", "no")]
    [TestCase("SELECT count(*) FROM t FOR UPDATE", "no")]
    [TestCase("SELECT DISTINCT a, b AS c FROM t ORDER BY c DESC, a LIMIT 3", "Distinct [a;b] SELECT DISTINCT <0> , <1> AS c ORDER BY (1) DESC, (0) LIMIT 3")]
    [TestCase("SELECT DISTINCT a % 3 FROM t ORDER BY a % 3", "Distinct [a % 3] SELECT DISTINCT <0> ORDER BY <0>")]
    [TestCase("SELECT DISTINCT * FROM t", "no")]
    [TestCase("SELECT DISTINCT ON (a) a, b FROM t ORDER BY a", "no")]
    [TestCase("SELECT a, b FROM t ORDER BY b DESC NULLS LAST, c LIMIT 10 OFFSET 2", "Top b(1) DESC NULLS LAST, c(-1) limit 10 offset 2")]
    [TestCase("SELECT * FROM t ORDER BY a LIMIT $1", "Top a(-1) limit $1")]
    [TestCase("SELECT *, b AS a FROM t ORDER BY a LIMIT 3", "no")]
    [TestCase("SELECT *, b AS c FROM t ORDER BY 2 LIMIT 3", "Top 2(1) limit 3")]
    [TestCase("SELECT a::text FROM t ORDER BY a LIMIT 3", "no")]
    [TestCase("SELECT a::text FROM t ORDER BY t.a LIMIT 3", "Top t.a(-1) limit 3")]
    [TestCase("SELECT lower(a) FROM t ORDER BY lower LIMIT 3", "no")]
    [TestCase("SELECT a FROM t ORDER BY a USING < LIMIT 3", "no")]
    [TestCase("SELECT a FROM t ORDER BY a", "no")]
    [TestCase("SELECT a FROM t LIMIT 3", "Top limit 3")]
    [TestCase("SELECT a FROM t LIMIT ALL", "no")]
    [TestCase("SELECT a FROM t ORDER BY a FETCH FIRST 3 ROWS ONLY", "no")]
    [TestCase("SELECT a FROM t ORDER BY a FETCH FIRST 3 ROWS WITH TIES", "no")]
    [TestCase("SELECT a FROM t ORDER BY a LIMIT 3 OFFSET 2 ROWS", "no")]
    [TestCase("SELECT a FROM t ORDER BY a LIMIT (SELECT 3)", "no")]
    [TestCase("SELECT a FROM t OFFSET 3", "no")]
    [TestCase("SELECT extract(year FROM a), count(*) FROM t GROUP BY extract(year FROM a)", "Aggregates [extract(year FROM a)] SELECT <0> , {0}")]
    [TestCase("SELECT CASE WHEN a > 1 THEN 'x' ELSE b END, count(*) FROM t GROUP BY a, b", "Aggregates [a;b] SELECT CASE WHEN <0> > 1 THEN 'x' ELSE <1> END, {0}")]
    [TestCase("SELECT count(*) FROM t HAVING count(*) > 1", "Aggregates [] SELECT {0} HAVING {1} > 1")]
    [TestCase("SELECT ctid, count(*) FROM t GROUP BY ctid", "no")]
    [TestCase("SELECT a -- one\n, count(*) FROM t -- two\nGROUP BY a -- three", "Aggregates [a] SELECT <0> -- one\n, {0}")]
    public void APartIsWhatItIs(string sql, string expected) => Assert.That(Show(sql), Is.EqualTo(expected));

    private string Show(string sql)
    {
        var shape = _bench.Shape(sql);
        if (shape.Partial is not { } part)
        {
            return "no";
        }

        var text = new GatherText(SqlTestBench.Utf8(sql), shape);
        string Part(TokenSpan span) => text.Part(span, null)!;
        switch (part.Kind)
        {
            case PartialKind.Rows:
                return "Rows";
            case PartialKind.Top:
                var order = string.Join(", ", part.Order.Select(o => $"{Part(o.Expression)}({o.Output}){(o.Suffix is { } s ? " " + Part(s) : "")}"));
                return $"Top {order}{(order.Length > 0 ? " " : "")}limit {Part(part.Limit!.Value)}{(part.Offset is { } offset ? " offset " + Part(offset) : "")}";
            default:
                var patches = part.Patches
                    .Select(p => (p.Span, p.Key >= 0 ? $"<{p.Key}>" : p.Aggregate >= 0 ? $"{{{p.Aggregate}}}" : $"({p.Output})"))
                    .Append((part.Source with { Last = part.GroupBy?.Last ?? part.Source.Last }, ""));
                var shown = text.Patched(patches);
                shown = System.Text.RegularExpressions.Regex.Replace(shown, " {2,}", " ").Trim();
                shown = shown.EndsWith("-- three", StringComparison.Ordinal) ? shown[..^"-- three".Length].TrimEnd() : shown;
                return $"{part.Kind} [{string.Join(';', part.Keys.Select(Part))}] {shown}";
        }
    }
}
