using System.Text;
using NUnit.Framework;
using ShardProxy.Sql;
using ShardProxy.TestKit.Clusters;

namespace ShardProxy.Functional.Tests.Sql;

// Protects the meaning of pins and equalities, the ground that all routing stands on: a query over whole tables must give the
// same rows as over tables cut down to what the pins say can matter. PostgreSQL itself is the judge, on random queries.
[TestFixture]
internal sealed class PinSemanticsTests
{
    private const string Schema = "pin_semantics";
    private const int Queries = 250;

    [Test]
    public async Task RowsOutsideThePinsDoNotMatter()
    {
        var seed = TestContext.CurrentContext.Random.Next();
        TestContext.Out.WriteLine($"seed {seed}");
        var random = new Random(seed);
        var cluster = await SharedCluster.GetAsync();
        await cluster.ExecuteAsync(0, CreateTables(random));
        using var analyzer = new StatementAnalyzer(new SqlOptions());
        var literals = new LiteralList();
        var writer = new RandomQuery(random);
        int cut = 0, changed = 0, withRows = 0;
        for (var i = 0; i < Queries; i++)
        {
            var sql = writer.Next();
            var text = Encoding.UTF8.GetBytes(sql);
            var scan = analyzer.Scan(text, 0, literals);
            Assert.That(scan.Outcome, Is.EqualTo(ScanOutcome.Missing).Or.EqualTo(ScanOutcome.Found), sql);
            var shape = scan.Shape ?? await analyzer.AnalyzeAsync(text, CancellationToken.None);
            Assert.That(shape.Kind, Is.EqualTo(StatementKind.Select), sql);
            var tables = CutTables(shape, text, literals);
            if (tables.Count == 0)
            {
                continue;
            }

            cut++;
            var whole = await RowsAsync(cluster, WithTables(sql, []));
            var part = await RowsAsync(cluster, WithTables(sql, tables));
            Assert.That(part, Is.EqualTo(whole), $"{sql}\ncut to {string.Join("; ", tables.Values)}");
            withRows += whole.Count > 0 ? 1 : 0;

            // The same with one table emptied shows that the tables matter at all.
            var emptied = tables.ToDictionary(t => t.Key, t => t.Value + " AND false");
            changed += (await RowsAsync(cluster, WithTables(sql, emptied))).SequenceEqual(whole) ? 0 : 1;
        }

        TestContext.Out.WriteLine($"{cut} queries cut, {withRows} of them gave rows, {changed} depended on the cut tables");
        Assert.That(cut, Is.GreaterThan(Queries / 3), "too few queries had pins");
        Assert.That(changed, Is.GreaterThan(Queries / 25), "too few queries depended on their pinned tables");
    }

    private static string CreateTables(Random random)
    {
        var sql = new StringBuilder($"DROP SCHEMA IF EXISTS {Schema} CASCADE; CREATE SCHEMA {Schema};");
        for (var t = 0; t < RandomQuery.Tables; t++)
        {
            string Value() => random.Next(8) == 0 ? "NULL" : $"{random.Next(4)}";
            var rows = string.Join(", ", Enumerable.Range(0, 3).Select(_ => $"({random.Next(4)}, {Value()}, {Value()})"));
            sql.Append($"CREATE TABLE {Schema}.t{t} (k int NOT NULL, x int, y int); INSERT INTO {Schema}.t{t} VALUES {rows};");
        }

        return sql.ToString();
    }

    /// <summary>The query with its tables replaced by WITH queries of the same names.</summary>
    private static string WithTables(string sql, Dictionary<string, string> filters)
    {
        var tables = Enumerable.Range(0, RandomQuery.Tables).Select(i => $"t{i}")
            .Select(t => $"{t} AS NOT MATERIALIZED (SELECT * FROM {Schema}.{t} WHERE {filters.GetValueOrDefault(t, "true")})");
        return $"WITH {string.Join(", ", tables)} {sql}";
    }

    private static async Task<List<string>> RowsAsync(TestCluster cluster, string sql)
    {
        try
        {
            var rows = await cluster.RowsAsync(0, sql);
            return [.. rows.Select(r => string.Join('|', r.Select(v => v ?? "NULL"))).Order(StringComparer.Ordinal)];
        }
        catch (Npgsql.PostgresException e)
        {
            throw new AssertionException($"{e.MessageText}: {sql}", e);
        }
    }

    /// <summary>Per table a predicate that its rows must pass to matter, from the pins and from what the equalities make of them.</summary>
    private static Dictionary<string, string> CutTables(StatementShape shape, byte[] text, LiteralList literals)
    {
        var known = new Dictionary<(int Relation, string Column), HashSet<long>>();
        foreach (var relation in shape.Relations)
        {
            foreach (var pin in relation.Pins)
            {
                // Every table has every column: an unqualified name is sure only where there is one table.
                if (pin.IsQualified || shape.Blocks[relation.BlockIndex].Length == 1)
                {
                    Narrow(known, (relation.Index, pin.Column), pin.Values.SelectMany(v => Value(v, text, literals)));
                }
            }
        }

        for (var isChanged = true; isChanged;)
        {
            isChanged = false;
            foreach (var equality in shape.Equalities)
            {
                if (known.TryGetValue((equality.FromRelation, equality.FromColumn), out var values))
                {
                    isChanged |= Narrow(known, (equality.ToRelation, equality.ToColumn), values);
                }
            }
        }

        return known.GroupBy(k => shape.Relations[k.Key.Relation].Name)
            .ToDictionary(g => g.Key, g => string.Join(" AND ", g.Select(k => $"{k.Key.Column} = ANY ('{{{string.Join(',', k.Value)}}}'::int[])")));
    }

    private static bool Narrow(Dictionary<(int Relation, string Column), HashSet<long>> known, (int Relation, string Column) key, IEnumerable<long> values)
    {
        if (!known.TryGetValue(key, out var present))
        {
            known[key] = [.. values];
            return true;
        }

        var before = present.Count;
        present.IntersectWith(values.ToHashSet());
        return present.Count != before;
    }

    /// <summary>The value of a constant; none for NULL, which equals nothing.</summary>
    private static IEnumerable<long> Value(KeySource source, byte[] text, LiteralList literals)
    {
        if (source.Kind == KeySourceKind.Null)
        {
            return [];
        }

        if (LiteralReader.TryReadInt64(text, literals[source.Index], source.Negated, out var value))
        {
            return [value];
        }

        var buffer = new System.Buffers.ArrayBufferWriter<byte>();
        return LiteralReader.TryReadText(text, literals[source.Index], buffer)
            ? [long.Parse(Encoding.UTF8.GetString(buffer.WrittenSpan), System.Globalization.CultureInfo.InvariantCulture)]
            : throw new AssertionException("a constant cannot be read");
    }
}
