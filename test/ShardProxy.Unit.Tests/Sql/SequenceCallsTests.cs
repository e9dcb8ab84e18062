using System.Text;
using NUnit.Framework;
using ShardProxy.Sql;

namespace ShardProxy.Unit.Tests.Sql;

/// <summary>Protects currval and lastval of numbers the proxy has drawn: only calls that are certain to be such are replaced, and no column changes its name.</summary>
[TestFixture]
internal sealed class SequenceCallsTests
{
    [TestCase("SELECT currval('a')", "SELECT (7::bigint) AS currval")]
    [TestCase("SELECT lastval();", "SELECT (7::bigint) AS lastval;")]
    [TestCase("SELECT currval('a'::regclass) AS x, 1", "SELECT (7::bigint) AS x, 1")]
    [TestCase("select 1, pg_catalog.currval('a') FROM t", "select 1, (7::bigint) AS currval FROM t")]
    [TestCase("SELECT currval(pg_get_serial_sequence('t', 'id'))", "SELECT (7::bigint) AS currval")]
    [TestCase("INSERT INTO t VALUES (currval('a'), 'currval(''a'')')", "INSERT INTO t VALUES ((7::bigint), 'currval(''a'')')")]
    [TestCase("UPDATE t SET a = lastval() + 1 WHERE id = 1", "UPDATE t SET a = (7::bigint) + 1 WHERE id = 1")]
    [TestCase("SELECT currval('a')::int", null)]
    [TestCase("SELECT currval('a') + 1", null)]
    [TestCase("SELECT 1 + currval('a')", null)]
    [TestCase("WITH w AS (SELECT currval('a')) SELECT * FROM w", null)]
    [TestCase("SELECT nextval('a')", "SELECT nextval('a')")]
    public void AreReplaced(string sql, string? expected) =>
        Assert.That(SequenceCalls.Replace(Encoding.UTF8.GetBytes(sql), _ => "7") is { } text ? Encoding.UTF8.GetString(text) : null, Is.EqualTo(expected));

    [TestCase("SELECT nextval('s.a')", "nextval s.a")]
    [TestCase("SELECT setval('a', 5)", "setval a")]
    [TestCase("SELECT nextval($1)", "nextval ?")]
    [TestCase("SELECT nextval('a' || 'b')", "nextval ?")]
    [TestCase("SELECT currval(pg_get_serial_sequence('t', 'id'))", "currval t.id")]
    [TestCase("SELECT lastval()", "lastval ?")]
    [TestCase("SELECT my.nextval('a')", "")]
    [TestCase("SELECT 'nextval(''a'')'", "")]
    public void AreFound(string sql, string expected) => Assert.That(
        string.Join(", ", SequenceCalls.Find(Encoding.UTF8.GetBytes(sql)).Select(c => $"{c.Function} {c.Sequence ?? (c.Table is null ? "?" : $"{c.Table}.{c.Column}")}")), Is.EqualTo(expected));
}
