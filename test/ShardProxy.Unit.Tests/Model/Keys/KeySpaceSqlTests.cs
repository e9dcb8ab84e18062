using NUnit.Framework;
using ShardProxy.Model.Keys;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Topology;

namespace ShardProxy.Unit.Tests.Model.Keys;

/// <summary>
/// Protects the text of the owned-rows predicates: one missing bound or parenthesis copies, shows or deletes rows of another
/// range. That the text means the same as <see cref="KeyHash"/> is shown against a server elsewhere.
/// </summary>
[TestFixture]
internal sealed class KeySpaceSqlTests
{
    private const string Hash = "pg_catalog.hashint8extended(\"k\", '0'::pg_catalog.int8)";
    private const string Ge = " OPERATOR(pg_catalog.>=) ";
    private const string Lt = " OPERATOR(pg_catalog.<) ";
    private static readonly KeyColumn[] Key = [new("\"k\"", KeyType.Int4)];

    [Test]
    public void ACompositeHashNestsTheLastColumnInnermost() =>
        Assert.That(
            KeySpaceSql.HashExpression([new("t.a", KeyType.Int2), new("t.b", KeyType.Varchar), new("t.c", KeyType.Uuid)]),
            Is.EqualTo("pg_catalog.hashint8extended(t.a, pg_catalog.hashtextextended(t.b, pg_catalog.uuid_hash_extended(t.c, '0'::pg_catalog.int8)))"));

    [Test]
    public void AKeyWithoutColumnsIsRefused() => Assert.That(() => KeySpaceSql.HashExpression([]), Throws.ArgumentException);

    [Test]
    public void TheFirstRangeHasNoLowerTestAndTheLastNoUpper() => Assert.Multiple(() =>
    {
        Assert.That(Owned((long.MinValue, -5)), Is.EqualTo($"({Hash}{Lt}'-5'::pg_catalog.int8)"));
        Assert.That(Owned((-5, 9)), Is.EqualTo($"({Hash}{Ge}'-5'::pg_catalog.int8 AND {Hash}{Lt}'9'::pg_catalog.int8)"));
        Assert.That(Owned((9, null)), Is.EqualTo($"({Hash}{Ge}'9'::pg_catalog.int8)"));
    });

    [Test]
    public void NeighboursAreMergedInAnyOrder() => Assert.Multiple(() =>
    {
        Assert.That(Owned((9, null), (long.MinValue, -5), (-5, 9)), Is.EqualTo("(true)"));
        Assert.That(Owned((0, 5), (5, 9)), Is.EqualTo(Owned((0, 9))));
        Assert.That(
            Owned((20, 30), (long.MinValue, 0), (0, 10)),
            Is.EqualTo($"({Hash}{Lt}'10'::pg_catalog.int8 OR ({Hash}{Ge}'20'::pg_catalog.int8 AND {Hash}{Lt}'30'::pg_catalog.int8))"));
    });

    [Test]
    public void NoRangeOwnsNothing() => Assert.That(Owned(), Is.EqualTo("(false)"));

    [Test]
    public void OverlappingRangesAreRefused() => Assert.Multiple(() =>
    {
        Assert.That(() => Owned((0, 10), (9, 20)), Throws.ArgumentException);
        Assert.That(() => Owned((0, null), (9, 20)), Throws.ArgumentException);
        Assert.That(() => Owned((0, 10), (0, 10)), Throws.ArgumentException);
    });

    [Test]
    public void OneRangeIsASetOfOne() =>
        Assert.That(KeySpaceSql.RangePredicate([.. Key], new ShardRange(1, 1, 3, 4, 1)), Is.EqualTo(Owned((3, 4))));

    private static string Owned(params (long From, long? To)[] ranges) =>
        KeySpaceSql.OwnedPredicate([.. Key], [.. ranges.Select((r, i) => new ShardRange(i + 1, 1, r.From, r.To, 1))]);
}
