using NUnit.Framework;

namespace ShardProxy.Functional.Tests.DataPath;

/// <summary>
/// Protects statements that look into gathered rows again and again: the tables of those rows have the real tables' indexes, so that a correlated subquery does
/// not read all of them for every row.
/// </summary>
[TestFixture]
internal sealed class GatherIndexTests : DataPathFixture
{
    private const int Rows = 6_000;

    protected override Placement Tables { get; } = new Placement().Sharded("parts", "id int4, kind int4, amount int4, v text", "id");

    protected override string Ddl => """
        CREATE TABLE parts (id int PRIMARY KEY, kind int, amount int, v text);
        CREATE INDEX parts_kind ON parts (kind, amount DESC) INCLUDE (v);
        CREATE INDEX parts_partial ON parts (amount) WHERE kind > 3;
        CREATE INDEX parts_expression ON parts (lower(v));
        """;

    [OneTimeSetUp]
    public async Task FillAsync()
    {
        using var proxy = await Proxy.LoginAsync();
        Assert.That((await proxy.QueryAsync($"INSERT INTO parts SELECT i, i % 500, i % 7, 'v' || i FROM generate_series(1, {Rows}) i")).Errors, Is.Empty);
    }

    [TestCase("SELECT count(*) FROM parts a WHERE a.amount > (SELECT avg(b.amount) FROM parts b WHERE b.kind = a.kind)", "_kind_amount_idx")]
    [TestCase("SELECT kind, (SELECT max(b.amount) FROM parts b WHERE b.id = a.kind) FROM parts a ORDER BY a.id LIMIT 5", "_id_idx")]
    public async Task ACorrelatedSubqueryFindsItsRowsByTheRealTablesIndex(string sql, string index)
    {
        using var proxy = await Proxy.LoginAsync();
        var plan = await proxy.QueryAsync("EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off) " + sql);
        Assert.That(plan.ToString(), Does.Contain(index));
        Assert.That((await proxy.QueryAsync(sql)).Errors, Is.Empty);
    }
}
