using System.Buffers;
using System.Collections.Immutable;
using System.Globalization;
using System.Text;
using Npgsql;
using NUnit.Framework;
using ShardProxy.Model.Keys;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Topology;
using ShardProxy.TestKit.Clusters;

namespace ShardProxy.Functional.Tests.Keys;

/// <summary>
/// Protects the owned-rows predicate of RANGE groups in its three uses: WHERE, a publication's row filter and a trigger's WHEN take the text for every key
/// type and for composite keys, also under a search_path that puts another schema first, and agree with the proxy on every row.
/// </summary>
[TestFixture]
internal sealed class RangeSpaceSqlServerTests
{
    private static readonly object[] Keys =
    [
        new object[] { "int2", new[] { KeyType.Int2 }, new[] { "-3", "5", "100" } },
        new object[] { "int4", new[] { KeyType.Int4 }, new[] { "-9", "5", "100" } },
        new object[] { "int8", new[] { KeyType.Int8 }, new[] { "-9", "5", "3000000000" } },
        new object[] { "text COLLATE \"C\"", new[] { KeyType.Text }, new[] { "10", "3\\'7", "é" } },
        new object[] { "varchar(40)", new[] { KeyType.Varchar }, new[] { "10", "4", "7" } },
        new object[] { "uuid", new[] { KeyType.Uuid }, new[] { "40000000-0000-0000-0000-000000000000", "80000000-0000-0000-0000-000000000001", "c0000000-0000-0000-0000-000000000000" } },
        new object[] { "date", new[] { KeyType.Date }, new[] { "-infinity", "2000-01-01", "2001-06-15" } },
        new object[] { "timestamp", new[] { KeyType.Timestamp }, new[] { "1999-06-01 00:00:00", "2000-01-01 12:30:00.5", "infinity" } },
        new object[] { "timestamptz", new[] { KeyType.TimestampTz }, new[] { "1999-06-01 00:00:00+00", "2000-01-01 12:30:00.5+00", "infinity" } },
        new object[] { "numeric", new[] { KeyType.Numeric }, new[] { "-1.50", "7", "NaN" } },
        new object[] { "int4,text COLLATE \"C\"", new[] { KeyType.Int4, KeyType.Text }, new[] { "-5|20", "5", "5|3" } },
        new object[] { "date,int8,uuid", new[] { KeyType.Date, KeyType.Int8, KeyType.Uuid }, new[] { "1999-12-31|5|80000000-0000-0000-0000-000000000000", "2000-01-02", "2000-01-03|7" } },
    ];

    [TestCaseSource(nameof(Keys))]
    public async Task ThePredicateMeansTheSameInWhereRowFilterAndTrigger(string columnTypes, KeyType[] types, string[] bounds)
    {
        var cluster = await SharedCluster.GetAsync();
        await using var connection = await cluster.DataSource(0).OpenConnectionAsync();
        var schema = "range_" + Guid.NewGuid().ToString("n", CultureInfo.InvariantCulture);
        var columns = columnTypes.Split(',').Select((t, i) => (Name: $"k{i}", SqlType: t, Type: types[i])).ToArray();
        var group = Group(types, bounds);
        await ExecuteAsync(connection, $"""
            SET timezone = 'America/New_York'; SET datestyle = 'German';
            CREATE SCHEMA {schema};
            CREATE FUNCTION {schema}.never(bigint, bigint) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT NULL::boolean';
            CREATE OPERATOR {schema}.>= (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = {schema}.never);
            CREATE OPERATOR {schema}.< (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = {schema}.never);
            SET search_path = {schema}, pg_catalog;
            CREATE TABLE r ({string.Join(", ", columns.Select(c => $"{c.Name} {c.SqlType} NOT NULL"))}, n int, owner int NOT NULL DEFAULT 0, PRIMARY KEY ({string.Join(", ", columns.Select(c => c.Name))}, n));
            """);
        try
        {
            foreach (var node in (int[])[1, 2])
            {
                ImmutableArray<ShardRange> owned = [.. group.Ranges.Where(r => r.NodeId == node)];
                await ExecuteAsync(connection, $"""
                    CREATE FUNCTION mark{node}() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.owner := NEW.owner + {node}; RETURN NEW; END';
                    CREATE TRIGGER mark{node} BEFORE INSERT ON r FOR EACH ROW WHEN {KeySpaceSql.OwnedPredicate(group, Written("NEW."), owned)} EXECUTE FUNCTION mark{node}();
                    CREATE PUBLICATION {schema}_{node} FOR TABLE r WHERE {KeySpaceSql.OwnedPredicate(group, Written(""), owned)} WITH (publish = 'insert, update, delete');
                    """);
            }

            await ExecuteAsync(connection, $"SELECT pg_create_logical_replication_slot('{schema}', 'pgoutput')");
            await ExecuteAsync(connection, $"INSERT INTO r SELECT {string.Join(", ", columns.Select(c => Value(c.Type)))}, g FROM generate_series(-1000, 1000) g");
            var expected = new Dictionary<int, int>();
            await using (var read = new NpgsqlCommand($"SET timezone = 'UTC'; SET datestyle = 'ISO'; SELECT n, {string.Join(", ", columns.Select(c => c.Name + "::text"))} FROM r", connection))
            await using (var reader = await read.ExecuteReaderAsync())
            {
                while (await reader.ReadAsync())
                {
                    var key = new ArrayBufferWriter<byte>();
                    for (var i = 0; i < types.Length; i++)
                    {
                        Assert.That(OrderedKeyDecoder.TryText(types[i], -1, 0, Encoding.UTF8.GetBytes(reader.GetString(i + 1)), isAssignment: true, isUtc: true, key), Is.EqualTo(KeyHashOutcome.Ok));
                    }

                    expected[reader.GetInt32(0)] = group.Locate(group.Scale!.PositionOf(key.WrittenSpan)).NodeId;
                }
            }

            Assert.That(expected.Values.Distinct(), Is.EquivalentTo(new[] { 1, 2 }), "the rows have to lie on both sides");
            foreach (var node in (int[])[1, 2])
            {
                var rows = await NumbersAsync(connection, $"SELECT x.n FROM r x WHERE {KeySpaceSql.OwnedPredicate(group, Written("x."), [.. group.Ranges.Where(r => r.NodeId == node)])}");
                Assert.That(rows, Is.EquivalentTo(expected.Where(e => e.Value == node).Select(e => e.Key)), $"WHERE for node {node}");
                Assert.That(await NumbersAsync(connection, $"SELECT n FROM r WHERE owner OPERATOR(pg_catalog.=) {node}"), Is.EquivalentTo(rows), $"trigger for node {node}");

                // 'I' is pgoutput's Insert message.
                Assert.That(
                    await NumbersAsync(connection, $"SELECT count(*)::int FROM pg_logical_slot_peek_binary_changes('{schema}', NULL, NULL, 'proto_version', '1', 'publication_names', '{schema}_{node}') WHERE get_byte(data, 0) OPERATOR(pg_catalog.=) ascii('I')"),
                    Is.EqualTo(new[] { rows.Count }), $"row filter for node {node}");
            }
        }
        finally
        {
            await ExecuteAsync(connection, $"RESET search_path; SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = '{schema}'; DROP SCHEMA {schema} CASCADE; DROP PUBLICATION IF EXISTS {schema}_1, {schema}_2");
        }

        ImmutableArray<KeyColumn> Written(string qualifier) => [.. columns.Select(c => new KeyColumn(qualifier + c.Name, c.Type))];
    }

    [Test]
    public void NoRangesIsFalseAndAllRangesIsTrue()
    {
        var group = Group([KeyType.Int4], ["1", "5", "9"]);
        ImmutableArray<KeyColumn> key = [new("k", KeyType.Int4)];
        Assert.That(KeySpaceSql.OwnedPredicate(group, key, []), Is.EqualTo("(false)"));
        Assert.That(KeySpaceSql.OwnedPredicate(group, key, group.Ranges), Is.EqualTo("(true)"));
    }

    private static TableGroup Group(KeyType[] types, string[] bounds)
    {
        var scale = new KeyScale([]);
        var positions = new List<long> { long.MinValue };
        foreach (var bound in bounds)
        {
            (scale, var mark) = scale.With(KeyBound.TryParse([.. types], [.. bound.Split('|')])!)!.Value;
            positions.Add(mark.Position);
        }

        return new TableGroup(
            1, "g", ShardingMethod.Range, [.. types],
            [.. positions.Select((from, i) => new ShardRange(i + 1, 1, from, i + 1 < positions.Count ? positions[i + 1] : null, (i % 2) + 1))], scale);
    }

    private static string Value(KeyType type) => type switch
    {
        KeyType.Int2 or KeyType.Int4 => "g / 40",
        KeyType.Int8 => "CASE WHEN g > 900 THEN g * 1000000007::int8 ELSE g / 40 END",
        KeyType.Text or KeyType.Varchar => "CASE g % 5 WHEN 0 THEN '3\\''7' WHEN 1 THEN 'é' WHEN 2 THEN '' ELSE g::text END",
        KeyType.Uuid => "md5(g::text)::uuid",
        KeyType.Date => "CASE g % 97 WHEN 0 THEN '-infinity'::date WHEN 1 THEN 'infinity' ELSE date '2000-01-01' + g / 10 END",
        KeyType.Timestamp => "CASE g % 97 WHEN 0 THEN '-infinity'::timestamp WHEN 1 THEN 'infinity' ELSE timestamp '2000-01-01 12:30:00.5' + g * interval '1 hour' END",
        KeyType.TimestampTz => "CASE g % 97 WHEN 0 THEN '-infinity'::timestamptz WHEN 1 THEN 'infinity' ELSE timestamptz '2000-01-01 12:30:00.5+00' + g * interval '1 hour' END",
        _ => "CASE g % 97 WHEN 0 THEN 'NaN'::numeric WHEN 1 THEN 'infinity' WHEN 2 THEN '-infinity' WHEN 3 THEN 7.000 ELSE g / 8.0 END",
    };

    private static async Task ExecuteAsync(NpgsqlConnection connection, string sql)
    {
        await using var command = new NpgsqlCommand(sql, connection) { AllResultTypesAreUnknown = true };
        await command.ExecuteNonQueryAsync();
    }

    private static async Task<List<int>> NumbersAsync(NpgsqlConnection connection, string sql)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        await using var reader = await command.ExecuteReaderAsync();
        var numbers = new List<int>();
        while (await reader.ReadAsync())
        {
            numbers.Add(reader.GetInt32(0));
        }

        return numbers;
    }
}
