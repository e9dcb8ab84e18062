using System.Globalization;
using System.Text;
using Npgsql;
using NpgsqlTypes;
using NUnit.Framework;
using ShardProxy.Model.Keys;
using ShardProxy.Model.Topology;
using ShardProxy.TestKit.Clusters;

namespace ShardProxy.Functional.Tests.Keys;

/// <summary>
/// Protects the agreement between proxy and server on where a key lies, on thousands of values of every key type: edge values and
/// random ones from a printed seed. Each case goes through the decoder as text and as binary, as a statement's value would.
/// </summary>
[TestFixture]
internal sealed class KeyHashServerTests
{
    private const int RandomValues = 3000;
    private static readonly long[] Seeds = [0, 1, -1, long.MinValue, long.MaxValue, 1L << 32, 0xFFFF_FFFF, 0x0123_4567_89AB_CDEF];

    [Test]
    public async Task IntegersOfEveryWidth()
    {
        var random = NewRandom();
        var int8 = Edges(long.MinValue, long.MaxValue).Concat(Draw(() => random.NextInt64(long.MinValue, long.MaxValue))).Concat(Draw(() => random.NextInt64() >> random.Next(64))).ToArray();
        var int4 = Edges(int.MinValue, int.MaxValue).Concat(Draw(() => random.Next(int.MinValue, int.MaxValue))).ToArray();
        var int2 = Edges(short.MinValue, short.MaxValue).Concat(Draw(() => random.Next(short.MinValue, short.MaxValue))).ToArray();

        await CompareAsync(KeyType.Int8, "hashint8extended", "int8", int8, v => v.ToString(CultureInfo.InvariantCulture), v => BigEndian(v, 8), random);
        await CompareAsync(KeyType.Int4, "hashint4extended", "int4", int4, v => v.ToString(CultureInfo.InvariantCulture), v => BigEndian(v, 4), random);
        await CompareAsync(KeyType.Int2, "hashint2extended", "int2", int2, v => v.ToString(CultureInfo.InvariantCulture), v => BigEndian(v, 2), random);

        // The SQL the project writes uses int8's function for all three.
        await CompareAsync(KeyType.Int4, "hashint8extended", "int4", int4, v => v.ToString(CultureInfo.InvariantCulture), v => BigEndian(v, 4), random);
        await CompareAsync(KeyType.Int2, "hashint8extended", "int2", int2, v => v.ToString(CultureInfo.InvariantCulture), v => BigEndian(v, 2), random);
    }

    [Test]
    public async Task TextOfEveryLength()
    {
        var random = NewRandom();
        var everyLength = Enumerable.Range(0, 80).Select(n => RandomText(random, n, isAscii: true));
        var edges = new[] { "", " ", "  ", "a ", " a", "\t", "\n", "'", "\\", "é", "ß", "日本語", "𝄞", "e\u0301", "\u00a0", "\U0010FFFF", "\uFFFD", new string('x', 100_000) };
        var texts = everyLength.Concat(edges).Concat(Draw(() => RandomText(random, random.Next(60), isAscii: false))).ToArray();
        await CompareAsync(KeyType.Text, "hashtextextended", "text", texts, v => v, Encoding.UTF8.GetBytes, random);
        await CompareAsync(KeyType.Varchar, "hashtextextended", "varchar", texts, v => v, Encoding.UTF8.GetBytes, random);
    }

    [Test]
    public async Task TextUnderOtherDeterministicCollations()
    {
        var cluster = await SharedCluster.GetAsync();
        foreach (var collation in (string[])["C", "POSIX", "ucs_basic", "default"])
        {
            var sql = $"SELECT hashtextextended('Straße' COLLATE \"{collation}\", 5)";
            Assert.That(await cluster.ScalarAsync<long>(0, sql), Is.EqualTo(KeyHash.Text("Straße"u8, 5)), collation);
        }
    }

    [Test]
    public async Task Uuids()
    {
        var random = NewRandom();
        var uuids = new[] { Guid.Empty, Guid.AllBitsSet }.Concat(Draw(() => RandomUuid(random))).ToArray();
        await CompareAsync(KeyType.Uuid, "uuid_hash_extended", "uuid", uuids, v => v.ToString(), v => v.ToByteArray(bigEndian: true), random);
    }

    [Test]
    public async Task CompositeKeysThroughTheSqlTheProjectWrites()
    {
        var random = NewRandom();
        var cluster = await SharedCluster.GetAsync();
        var rows = Enumerable.Range(0, RandomValues).Select(_ => (A: random.Next(short.MinValue, short.MaxValue), B: RandomText(random, random.Next(30), isAscii: false), C: RandomUuid(random), D: random.NextInt64())).ToArray();
        var hash = KeySpaceSql.HashExpression([new("a", KeyType.Int2), new("b", KeyType.Varchar), new("c", KeyType.Uuid), new("d", KeyType.Int8)]);
        await using var command = cluster.DataSource(0).CreateCommand($"SELECT {hash} FROM unnest($1::int2[], $2::varchar[], $3::uuid[], $4::int8[]) WITH ORDINALITY AS t(a, b, c, d, n) ORDER BY n");
        command.Parameters.Add(new NpgsqlParameter { Value = rows.Select(r => (short)r.A).ToArray() });
        command.Parameters.Add(new NpgsqlParameter { Value = rows.Select(r => r.B).ToArray() });
        command.Parameters.Add(new NpgsqlParameter { Value = rows.Select(r => r.C).ToArray() });
        command.Parameters.Add(new NpgsqlParameter { Value = rows.Select(r => r.D).ToArray() });

        var expected = await HashesAsync(command);
        var actual = rows.Select(r => KeyHash.Int64(
            r.A, KeyHash.Text(Encoding.UTF8.GetBytes(r.B), KeyHash.Uuid(r.C.ToByteArray(bigEndian: true), KeyHash.Int64(r.D, KeyHash.FirstSeed)))));
        Assert.That(actual, Is.EqualTo(expected));
    }

    [Test]
    public async Task ANullKeyHasNoPlace()
    {
        var cluster = await SharedCluster.GetAsync();
        var hash = KeySpaceSql.HashExpression([new("a", KeyType.Int4), new("b", KeyType.Text)]);
        var sql = $"SELECT count(*) FROM (VALUES (NULL::int4, 'x'::text), (1, NULL), (NULL, NULL)) t(a, b) WHERE {hash} IS NULL";
        Assert.That(await cluster.ScalarAsync<long>(0, sql), Is.EqualTo(3), "a row with a NULL in its key would be in no range: key columns have to be NOT NULL");
    }

    /// <summary>Compares the decoder's hash, from text and from binary, with the server's function, each value under some seed.</summary>
    private static async Task CompareAsync<T>(
        KeyType type, string function, string sqlType, IReadOnlyList<T> values, Func<T, string> toText, Func<T, byte[]> toBinary, Random random)
    {
        var cluster = await SharedCluster.GetAsync();
        var seeds = values.Select((_, i) => i % 3 == 0 ? 0 : i % 3 == 1 ? Seeds[random.Next(Seeds.Length)] : random.NextInt64(long.MinValue, long.MaxValue)).ToArray();
        await using var command = cluster.DataSource(0).CreateCommand($"SELECT {function}(v::{sqlType}, s) FROM unnest($1::text[], $2::int8[]) WITH ORDINALITY AS t(v, s, n) ORDER BY n");
        command.Parameters.Add(new NpgsqlParameter { Value = values.Select(toText).ToArray(), NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Text });
        command.Parameters.Add(new NpgsqlParameter { Value = seeds });
        var expected = await HashesAsync(command);

        Assert.That(expected, Has.Count.EqualTo(values.Count));
        Assert.Multiple(() =>
        {
            for (var i = 0; i < values.Count; i++)
            {
                var fromText = KeyDecoder.TryText(type, -1, Encoding.UTF8.GetBytes(toText(values[i])), isAssignment: true, seeds[i], out var text);
                var fromBinary = KeyDecoder.TryBinary(type, -1, 0, toBinary(values[i]), isAssignment: true, seeds[i], out var binary);
                if ((fromText, text, fromBinary, binary) != (KeyHashOutcome.Ok, expected[i], KeyHashOutcome.Ok, expected[i]))
                {
                    Assert.Fail($"{function}('{toText(values[i])}'::{sqlType}, {seeds[i]}) is {expected[i]}, here {text} ({fromText}) and {binary} ({fromBinary})");
                }
            }
        });
    }

    private static async Task<List<long>> HashesAsync(NpgsqlCommand command)
    {
        var hashes = new List<long>();
        await using var reader = await command.ExecuteReaderAsync();
        while (await reader.ReadAsync())
        {
            hashes.Add(reader.GetInt64(0));
        }

        return hashes;
    }

    private static Random NewRandom()
    {
        var seed = Environment.TickCount;
        TestContext.Out.WriteLine($"seed {seed}");
        return new Random(seed);
    }

    private static IEnumerable<T> Draw<T>(Func<T> draw) => Enumerable.Range(0, RandomValues).Select(_ => draw());

    private static IEnumerable<long> Edges(long minimum, long maximum) =>
        new[] { 0L, 1, -1, 2, -2, 127, 128, 255, 256, 32767, 32768, -32768, -32769, int.MaxValue, int.MinValue, 1L + int.MaxValue, int.MinValue - 1L, uint.MaxValue, 1L << 32, long.MaxValue, long.MinValue, minimum, maximum, minimum + 1, maximum - 1 }
            .Where(v => v >= minimum && v <= maximum);

    private static IEnumerable<long> Draw(Func<int> draw) => Draw<long>(() => draw());

    private static string RandomText(Random random, int length, bool isAscii)
    {
        var text = new StringBuilder();
        for (var i = 0; i < length; i++)
        {
            var codePoint = isAscii || random.Next(2) == 0 ? random.Next(1, 128) : random.Next(3) == 0 ? random.Next(0x10000, 0x110000) : random.Next(0x80, 0xD800);
            text.Append(char.ConvertFromUtf32(codePoint));
        }

        return text.ToString();
    }

    private static Guid RandomUuid(Random random)
    {
        var bytes = new byte[16];
        random.NextBytes(bytes);
        return new Guid(bytes, bigEndian: true);
    }

    private static byte[] BigEndian(long value, int width)
    {
        var bytes = new byte[8];
        System.Buffers.Binary.BinaryPrimitives.WriteInt64BigEndian(bytes, value);
        return bytes[^width..];
    }
}
