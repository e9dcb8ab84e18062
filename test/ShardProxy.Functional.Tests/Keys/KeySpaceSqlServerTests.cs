using System.Collections.Immutable;
using System.Globalization;
using Npgsql;
using NUnit.Framework;
using ShardProxy.Model.Keys;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Topology;
using ShardProxy.TestKit.Clusters;

namespace ShardProxy.Functional.Tests.Keys;

/// <summary>
/// Protects the three uses of the owned-rows predicate: WHERE, a publication's row filter and a trigger's WHEN all take the text, for
/// every key type, also under a search_path that puts another schema first, and they agree with the proxy on every row.
/// </summary>
[TestFixture]
internal sealed class KeySpaceSqlServerTests
{
    private static readonly ImmutableArray<(string Name, KeyType Type, string SqlType)> Columns =
    [
        ("Small", KeyType.Int2, "int2"), ("n", KeyType.Int4, "int4"), ("b", KeyType.Int8, "int8"), ("t", KeyType.Text, "text COLLATE \"C\""),
        ("v", KeyType.Varchar, "varchar(40)"), ("u", KeyType.Uuid, "uuid"),
    ];

    private static readonly ImmutableArray<ShardRange> Ranges =
    [
        new(1, 1, long.MinValue, -5_000_000_000_000_000_000, 1), new(2, 1, -5_000_000_000_000_000_000, -1, 2), new(3, 1, -1, 0, 1),
        new(4, 1, 0, 5_000_000_000_000_000_000, 1), new(5, 1, 5_000_000_000_000_000_000, null, 2),
    ];

    [Test]
    public async Task ThePredicateMeansTheSameInWhereRowFilterAndTrigger([Values(0, 1, 2, 3, 4, 5, -1)] int column)
    {
        var cluster = await SharedCluster.GetAsync();
        await using var connection = await cluster.DataSource(0).OpenConnectionAsync();
        var schema = "keys_" + Guid.NewGuid().ToString("n", CultureInfo.InvariantCulture);
        var key = column < 0 ? Columns : [Columns[column]];
        await ExecuteAsync(connection, $"""
            CREATE SCHEMA {schema};
            CREATE FUNCTION {schema}.never(bigint, bigint) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT NULL::boolean';
            CREATE OPERATOR {schema}.>= (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = {schema}.never);
            CREATE OPERATOR {schema}.< (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = {schema}.never);
            SET search_path = {schema}, pg_catalog;
            CREATE TABLE r ({string.Join(", ", Columns.Select(c => $"\"{c.Name}\" {c.SqlType} NOT NULL"))}, owner int NOT NULL DEFAULT 0, PRIMARY KEY ({string.Join(", ", key.Select(c => $"\"{c.Name}\""))}));
            """);
        try
        {
            foreach (var node in (int[])[1, 2])
            {
                var owned = Ranges.Where(r => r.NodeId == node).ToImmutableArray();
                var inTrigger = KeySpaceSql.OwnedPredicate(Written(key, "NEW."), owned);
                await ExecuteAsync(connection, $"""
                    CREATE FUNCTION mark{node}() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.owner := NEW.owner + {node}; RETURN NEW; END';
                    CREATE TRIGGER mark{node} BEFORE INSERT ON r FOR EACH ROW WHEN {inTrigger} EXECUTE FUNCTION mark{node}();
                    CREATE PUBLICATION {schema}_{node} FOR TABLE r WHERE {KeySpaceSql.OwnedPredicate(Written(key, ""), owned)} WITH (publish = 'insert, update, delete');
                    """);
            }

            await ExecuteAsync(connection, """
                INSERT INTO r SELECT g::int2, g * 1000003, g * 1000000007000::int8, md5(g::text), 'v' || g, md5('u' || g)::uuid FROM generate_series(-1000, 1000) g
                """);

            var expected = await ExpectedOwnersAsync(connection, key);
            Assert.That(expected.Values.Distinct(), Is.EquivalentTo(new[] { 1, 2 }), "the rows have to lie on both sides");
            foreach (var node in (int[])[1, 2])
            {
                var where = KeySpaceSql.OwnedPredicate(Written(key, "x."), [.. Ranges.Where(r => r.NodeId == node)]);
                var rows = await NumbersAsync(connection, $"SELECT x.n FROM r x WHERE {where}");
                Assert.That(rows, Is.EquivalentTo(expected.Where(e => e.Value == node).Select(e => e.Key)), $"WHERE for node {node}");
                var marked = await NumbersAsync(connection, $"SELECT n FROM r WHERE owner OPERATOR(pg_catalog.=) {node}");
                Assert.That(marked, Is.EquivalentTo(rows), $"trigger for node {node}");
            }
        }
        finally
        {
            await ExecuteAsync(connection, $"RESET search_path; DROP SCHEMA {schema} CASCADE; DROP PUBLICATION IF EXISTS {schema}_1, {schema}_2");
        }
    }

    [Test]
    public async Task TheRowFilterSendsExactlyTheRowsOfItsRange()
    {
        var cluster = await SharedCluster.GetAsync();
        await using var connection = await cluster.DataSource(0).OpenConnectionAsync();
        var name = "filter_" + Guid.NewGuid().ToString("n", CultureInfo.InvariantCulture);
        var range = Ranges[1];
        await ExecuteAsync(connection, $"CREATE TABLE {name} (n int4 PRIMARY KEY); CREATE PUBLICATION {name} FOR TABLE {name} WHERE {KeySpaceSql.RangePredicate([new("n", KeyType.Int4)], range)}");
        try
        {
            await ExecuteAsync(connection, $"SELECT pg_create_logical_replication_slot('{name}', 'pgoutput')");
            await ExecuteAsync(connection, $"INSERT INTO {name} SELECT generate_series(1, 500)");

            // 'I' is pgoutput's Insert message.
            var sent = await NumbersAsync(connection, $"""
                SELECT count(*)::int FROM pg_logical_slot_get_binary_changes('{name}', NULL, NULL, 'proto_version', '1', 'publication_names', '{name}') WHERE get_byte(data, 0) = ascii('I')
                """);
            Assert.That(sent, Is.EqualTo(new[] { Enumerable.Range(1, 500).Count(n => range.Contains(KeyHash.OfKey([n]))) }));
        }
        finally
        {
            await ExecuteAsync(connection, $"SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = '{name}'; DROP PUBLICATION {name}; DROP TABLE {name}");
        }
    }

    /// <summary>Who owns each row, by the proxy's own hash of the values as text; keyed by column n, which is unique.</summary>
    private static async Task<Dictionary<int, int>> ExpectedOwnersAsync(NpgsqlConnection connection, ImmutableArray<(string Name, KeyType Type, string SqlType)> key)
    {
        var owners = new Dictionary<int, int>();
        await using var command = new NpgsqlCommand($"SELECT n, {string.Join(", ", key.Select(c => $"\"{c.Name}\"::text"))} FROM r", connection);
        await using var reader = await command.ExecuteReaderAsync();
        while (await reader.ReadAsync())
        {
            var hash = KeyHash.FirstSeed;
            for (var i = key.Length - 1; i >= 0; i--)
            {
                var outcome = KeyDecoder.TryText(key[i].Type, -1, System.Text.Encoding.UTF8.GetBytes(reader.GetString(i + 1)), isAssignment: true, hash, out hash);
                Assert.That(outcome, Is.EqualTo(KeyHashOutcome.Ok));
            }

            owners[reader.GetInt32(0)] = Ranges.Single(r => r.Contains(hash)).NodeId;
        }

        return owners;
    }

    private static ImmutableArray<KeyColumn> Written(ImmutableArray<(string Name, KeyType Type, string SqlType)> key, string qualifier) =>
        [.. key.Select(c => new KeyColumn(qualifier + SqlIdentifier.Quote(c.Name), c.Type))];

    private static async Task<List<int>> NumbersAsync(NpgsqlConnection connection, string sql)
    {
        var numbers = new List<int>();
        await using var command = new NpgsqlCommand(sql, connection);
        await using var reader = await command.ExecuteReaderAsync();
        while (await reader.ReadAsync())
        {
            numbers.Add(reader.GetInt32(0));
        }

        return numbers;
    }

    private static async Task ExecuteAsync(NpgsqlConnection connection, string sql)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync();
    }
}
