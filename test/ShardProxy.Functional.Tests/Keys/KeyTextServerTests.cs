using System.Globalization;
using System.Text;
using Npgsql;
using NUnit.Framework;
using ShardProxy.Model.Keys;
using ShardProxy.Model.Topology;
using ShardProxy.TestKit.Clusters;

namespace ShardProxy.Functional.Tests.Keys;

/// <summary>
/// Protects the reading of text forms: for random near-misses of valid input the decoder says Ok exactly with the server's hash, and
/// Invalid only where the server raises an error. Unsupported is always allowed, but counted: a decoder that never decides is useless.
/// </summary>
[TestFixture]
internal sealed class KeyTextServerTests
{
    private const int Values = 4000;

    [TestCase(KeyType.Int2, "int2", " \t\n+-0123456789999_xaé")]
    [TestCase(KeyType.Int4, "int4", " \t\r+-0123456789999_xoé")]
    [TestCase(KeyType.Int8, "int8", " \v\f+-0123456789999_xbé")]
    public async Task RandomIntegerTextIsJudgedAsTheServerDoes(KeyType type, string sqlType, string alphabet)
    {
        var random = NewRandom();
        await CompareAsync(type, -1, sqlType, Enumerable.Range(0, Values).Select(_ => MutatedInteger(random, type, alphabet)).ToArray(), minimumDecided: 0.9);
    }

    [Test]
    public async Task RandomUuidTextIsJudgedAsTheServerDoes()
    {
        var random = NewRandom();
        await CompareAsync(KeyType.Uuid, -1, "uuid", Enumerable.Range(0, Values).Select(_ => MutatedUuid(random)).ToArray(), minimumDecided: 1.0);
    }

    [Test]
    public async Task TextStoredIntoALimitedVarcharIsJudgedAsTheServerDoes()
    {
        var random = NewRandom();
        var texts = Enumerable.Range(0, Values).Select(_ => string.Concat(Enumerable.Range(0, random.Next(9)).Select(_ => random.Next(3) switch { 0 => "x", 1 => "é", _ => " " })) + new string(' ', random.Next(3))).ToArray();
        await CompareAsync(KeyType.Varchar, 5 + 4, "varchar(5)", texts, minimumDecided: 1.0);
    }

    /// <summary>Stores each value into a column, so that the server reads it as it reads any statement's.</summary>
    private static async Task CompareAsync(KeyType type, int typeModifier, string sqlType, string[] texts, double minimumDecided)
    {
        var cluster = await SharedCluster.GetAsync();
        var table = "key_text_" + Guid.NewGuid().ToString("n", CultureInfo.InvariantCulture);
        await using var connection = await cluster.DataSource(0).OpenConnectionAsync();
        var hash = KeySpaceSql.HashExpression([new("k", type)]);

        // An unknown literal goes through the column type's input function with the column's modifier, as COPY does too.
        await ExecuteAsync(connection, $"""
            CREATE TEMP TABLE {table} (k {sqlType});
            CREATE FUNCTION pg_temp.judge(value text) RETURNS bigint LANGUAGE plpgsql AS $$
            DECLARE result bigint;
            BEGIN
                EXECUTE format('INSERT INTO {table} VALUES (%L) RETURNING {hash.Replace("'", "''", StringComparison.Ordinal)}', value) INTO result;
                RETURN result;
            EXCEPTION WHEN data_exception THEN
                RETURN NULL;
            END $$
            """);

        await using var command = connection.CreateCommand();
        command.CommandText = "SELECT pg_temp.judge(v) FROM unnest($1) WITH ORDINALITY AS t(v, n) ORDER BY n";
        command.Parameters.Add(new NpgsqlParameter { Value = texts });
        var expected = new List<long?>();
        await using (var reader = await command.ExecuteReaderAsync())
        {
            while (await reader.ReadAsync())
            {
                expected.Add(await reader.IsDBNullAsync(0) ? null : reader.GetInt64(0));
            }
        }

        int decided = 0, accepted = 0;
        Assert.Multiple(() =>
        {
            for (var i = 0; i < texts.Length; i++)
            {
                var outcome = KeyDecoder.TryText(type, typeModifier, Encoding.UTF8.GetBytes(texts[i]), isAssignment: true, KeyHash.FirstSeed, out var actual);
                decided += outcome == KeyHashOutcome.Unsupported ? 0 : 1;
                accepted += outcome == KeyHashOutcome.Ok ? 1 : 0;
                var isRight = outcome switch
                {
                    KeyHashOutcome.Ok => expected[i] == actual,
                    KeyHashOutcome.Invalid => expected[i] is null,
                    _ => true,
                };
                if (!isRight)
                {
                    Assert.Fail($"{sqlType} '{texts[i]}': here {outcome}, the server {(expected[i] is null ? "refuses it" : "takes it")}");
                }
            }
        });
        Assert.That((double)decided / texts.Length, Is.AtLeast(minimumDecided));
        Assert.That(accepted, Is.InRange(texts.Length / 10, texts.Length * 9 / 10), "the values have to try both sides");
    }

    private static string MutatedInteger(Random random, KeyType type, string alphabet)
    {
        var bits = type switch { KeyType.Int2 => 16, KeyType.Int4 => 32, _ => 64 };
        var value = new System.Numerics.BigInteger(random.NextInt64(long.MinValue, long.MaxValue)) * random.Next(1, 4) >> (64 - bits + random.Next(bits));
        var text = new StringBuilder(value.ToString(CultureInfo.InvariantCulture));
        for (var edits = random.Next(3); edits > 0; edits--)
        {
            text.Insert(random.Next(5) < 3 ? random.Next(2) * text.Length : random.Next(text.Length + 1), alphabet[random.Next(alphabet.Length)]);
        }

        return text.ToString();
    }

    private static string MutatedUuid(Random random)
    {
        var digits = string.Concat(Enumerable.Range(0, 32).Select(_ => "0123456789abcdefABCDEF"[random.Next(22)]));
        var text = new StringBuilder();
        for (var i = 0; i < 32; i++)
        {
            text.Append(digits[i]);
            if (i % 4 == 3 && i < 31 && random.Next(2) == 0)
            {
                text.Append('-');
            }
        }

        var isBraced = random.Next(3) == 0;
        var form = isBraced ? "{" + text + "}" : text.ToString();
        return random.Next(2) switch
        {
            0 => form,
            _ when random.Next(2) == 0 => form.Remove(random.Next(form.Length), 1),
            _ => form.Insert(random.Next(form.Length + 1), "-{} 0g"[random.Next(6)].ToString()),
        };
    }

    private static async Task ExecuteAsync(NpgsqlConnection connection, string sql)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync();
    }

    private static Random NewRandom()
    {
        var seed = Environment.TickCount;
        TestContext.Out.WriteLine($"seed {seed}");
        return new Random(seed);
    }
}
