using System.Collections.Immutable;
using NUnit.Framework;
using ShardProxy.Control.Schema;

namespace ShardProxy.Unit.Tests.Control;

/// <summary>Protects that a function called apart from the client's transaction, on the home node, cannot tell: it sees no rows, no clock and no settings.</summary>
internal sealed class PureFunctionTests
{
    private static readonly HashSet<string> Relations = new(["plain", "item"], StringComparer.OrdinalIgnoreCase);

    [TestCase("sql", 'i', "SELECT $1 * 2", true)]
    [TestCase("sql", 's', "SELECT lower($1)", true)]
    [TestCase("plpgsql", 's', "BEGIN RETURN helper($1); END", true)]
    [TestCase("c", 'i', "citext_eq", true)]
    [TestCase("c", 's', "now_is", false)]
    [TestCase("sql", 'v', "SELECT $1", false)]
    [TestCase("plpython3u", 'i', "return 1", false)]
    [TestCase("sql", 'i', "SELECT v FROM Plain", false)]
    [TestCase("sql", 's', "SELECT now()", false)]
    [TestCase("sql", 's', "SELECT CURRENT_DATE", false)]
    [TestCase("sql", 's', "SELECT 'today'::date", false)]
    [TestCase("sql", 's', "SELECT relname FROM pg_class", false)]
    [TestCase("plpgsql", 's', "BEGIN EXECUTE 'SELECT ' || $1; END", false)]
    [TestCase("sql", 'i', "SELECT impure($1)", false)]
    [TestCase("sql", 'i', "SELECT calls_impure($1)", false)]
    public void OnlyWhatComputesIsPure(string language, char volatility, string source, bool isPure)
    {
        ImmutableArray<PureFunctionReader.Function> functions =
        [
            new("tried", language, volatility, 'f', source),
            new("helper", "sql", 'i', 'f', "SELECT 1"),
            new("impure", "sql", 'v', 'f', "SELECT random()"),
            new("calls_impure", "sql", 'i', 'f', "SELECT impure(1)"),
        ];
        Assert.That(PureFunctionReader.Find(functions, Relations), Is.EqualTo(isPure ? new[] { "helper", "tried" } : ["helper"]));
    }

    [Test]
    public void OneOverloadThatIsMoreSpoilsTheName() =>
        Assert.That(PureFunctionReader.Find([new("f", "sql", 'i', 'f', "SELECT 1"), new("f", "sql", 'v', 'f', "SELECT 2"), new("g", "sql", 'i', 'p', "")], Relations), Is.Empty);

    [Test]
    public void AnAggregateIsWhatItsFunctionsAre() =>
        Assert.That(
            PureFunctionReader.Find(
                [
                    new("product", "internal", 'i', 'a', "numeric_mul"), new("counted", "internal", 'i', 'a', "step last"), new("drawn", "internal", 'i', 'a', "step impure"),
                    new("step", "sql", 'i', 'f', "SELECT $1 + 1"), new("last", "plpgsql", 's', 'f', "BEGIN RETURN $1; END"), new("impure", "sql", 'v', 'f', "SELECT random()"),
                ],
                Relations),
            Is.EqualTo(["counted", "last", "product", "step"]));
}
