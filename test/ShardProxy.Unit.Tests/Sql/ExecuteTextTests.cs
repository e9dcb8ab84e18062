using System.Text;
using NUnit.Framework;
using ShardProxy.Sql;

namespace ShardProxy.Unit.Tests.Sql;

/// <summary>Protects the texts made of PREPARE and EXECUTE: nothing but the query, and each value where its parameter stood.</summary>
[TestFixture]
internal sealed class ExecuteTextTests
{
    [TestCase("PREPARE q AS SELECT 1", "SELECT 1")]
    [TestCase("prepare \"as\" (int, numeric(3,2)) /* AS */ As\nVALUES ($1) -- end", "VALUES ($1)")]
    [TestCase("PREPARE q AS SELECT 1;", "SELECT 1")]
    [TestCase("PREPARE q AS SELECT 1; SELECT 2", null)]
    [TestCase("SELECT 1; PREPARE q AS SELECT 1", null)]
    [TestCase("EXECUTE q", null)]
    public void FindsTheQuery(string text, string? expected) =>
        Assert.That(ExecuteText.Query(Encoding.UTF8.GetBytes(text)) is { } query ? Encoding.UTF8.GetString(query).Trim() : null, Is.EqualTo(expected));

    [TestCase("EXECUTE q", new string[0])]
    [TestCase("EXECUTE q(1)", new[] { "1" })]
    [TestCase("EXECUTE \"q(\" ( 'a,b)' , ARRAY[1, 2], f(3, 4)) ;", new[] { "'a,b)'", "ARRAY[1, 2]", "f(3, 4)" })]
    public void FindsTheArguments(string text, string[] expected) =>
        Assert.That(ExecuteText.Arguments(Encoding.UTF8.GetBytes(text)).Select(a => a.Trim()), Is.EqualTo(expected));

    [TestCase("SELECT a FROM t WHERE b = $1 AND c IN ($2, $1)", "SELECT a FROM t WHERE b = <1> AND c IN ( <2> , <1> )")]
    [TestCase("SELECT $1, f($2), $2 FROM t", "SELECT <1> AS \"?column?\" , f( <2> ), <2> AS \"?column?\" FROM t")]
    [TestCase("SELECT '$1', $1::int, \"$2\", $2 AS two FROM t ORDER BY a, $1", "SELECT '$1', <1> ::int, \"$2\", <2> AS two FROM t ORDER BY a, <1>")]
    [TestCase("SELECT * FROM (SELECT DISTINCT $1) x, (VALUES ($2)) y", "SELECT * FROM (SELECT DISTINCT <1> AS \"?column?\" ) x, (VALUES ( <2> )) y")]
    [TestCase("UPDATE t SET a = $1 RETURNING $2", "UPDATE t SET a = <1> RETURNING <2> AS \"?column?\"")]
    [TestCase("SELECT $3", null)]
    public void PutsValuesInThePlaceOfParameters(string query, string? expected) =>
        Assert.That(
            ExecuteText.Bind(Encoding.UTF8.GetBytes(query), ["<1>", "<2>"]) is { } text ? System.Text.RegularExpressions.Regex.Replace(Encoding.UTF8.GetString(text), " +", " ").Trim() : null,
            Is.EqualTo(expected));
}
