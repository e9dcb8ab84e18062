using System.Buffers;
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
/// Protects the routing of RANGE groups: keys are ordered here exactly as by the server. 10,000 pairs a type from a printed seed, edge values among them,
/// each value decoded from the text as written, from the server's own text and from its binary form.
/// </summary>
[TestFixture]
internal sealed class KeyOrderServerTests
{
    private const int Pairs = 10_000;
    private const string Letters = "\u0001 !'09AZaz~\u007f\u0080éßÿ\u07ff\u0800日\uffee";

    [Test]
    public Task Integers([Values(KeyType.Int2, KeyType.Int4, KeyType.Int8)] KeyType type)
    {
        var (sql, low, high) = type switch
        {
            KeyType.Int2 => ("int2", short.MinValue, short.MaxValue),
            KeyType.Int4 => ("int4", int.MinValue, int.MaxValue),
            _ => ("int8", long.MinValue, long.MaxValue),
        };
        return CompareAsync(type, sql, random => (random.Next(8) switch
        {
            0 => low,
            1 => high,
            2 => random.Next(-2, 3),
            3 => Math.Clamp(1L << random.Next(63), low, high),
            _ => random.NextInt64(low, high),
        }).ToString(CultureInfo.InvariantCulture));
    }

    [Test]
    public Task Text([Values(KeyType.Text, KeyType.Varchar)] KeyType type) => CompareAsync(type, type == KeyType.Text ? "text" : "varchar", NextText);

    [Test]
    public Task Uuids() => CompareAsync(KeyType.Uuid, "uuid", random =>
    {
        var bytes = new byte[16];
        random.NextBytes(bytes);
        bytes.AsSpan(0, random.Next(16)).Fill((byte)(random.Next(2) * 255));
        return random.Next(20) == 0 ? Guid.Empty.ToString() : new Guid(bytes, bigEndian: true).ToString(random.Next(2) == 0 ? "D" : "N");
    });

    [Test]
    public Task Dates() => CompareAsync(KeyType.Date, "date", random => random.Next(12) switch
    {
        0 => "infinity",
        1 => "-infinity",
        2 => $"{random.Next(1, 4700):0000}-{random.Next(1, 13):00}-{random.Next(1, 29):00} BC",
        3 => $"{random.Next(10_000, 200_000)}-{random.Next(1, 13):00}-{random.Next(1, 29):00}",
        4 => random.Next(2) == 0 ? "0001-01-01" : "0001-12-31 BC",
        5 => $"{random.Next(1, 1000) * 4:0000}-02-{(random.Next(2) == 0 ? 28 : 27):00}",
        _ => new DateOnly(2026, 1, 1).AddDays(random.Next(-800, 800)).ToString("yyyy-MM-dd", CultureInfo.InvariantCulture),
    });

    [Test]
    public Task Timestamps() => CompareAsync(KeyType.Timestamp, "timestamp", random => NextTime(random, hasZone: false));

    [Test]
    public Task TimestampsWithTimeZone() => CompareAsync(KeyType.TimestampTz, "timestamptz", random => NextTime(random, hasZone: true));

    [Test]
    public Task Numerics() => CompareAsync(KeyType.Numeric, "numeric", NextNumeric);

    [Test]
    public async Task NumericsAndTimesStoredInColumnsWithAModifier([Values("numeric(6,2)", "numeric(3,-2)", "numeric(4,4)", "numeric(30,0)", "timestamp(0)", "timestamp(3)", "timestamptz(2)")] string sql)
    {
        var type = sql.StartsWith('n') ? KeyType.Numeric : sql.StartsWith("timestamptz", StringComparison.Ordinal) ? KeyType.TimestampTz : KeyType.Timestamp;
        var random = NewRandom();
        var cluster = await SharedCluster.GetAsync();
        await using var connection = await cluster.DataSource(0).OpenConnectionAsync();
        await using (var prepare = new NpgsqlCommand($"""
            SET timezone = 'UTC';
            CREATE TEMPORARY TABLE k (n int, v {sql});
            CREATE FUNCTION pg_temp.try(i int, t text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN INSERT INTO k VALUES (i, t::{sql}); EXCEPTION WHEN numeric_value_out_of_range THEN NULL; END $$
            """, connection))
        {
            await prepare.ExecuteNonQueryAsync();
        }

        var texts = Enumerable.Range(0, 3000).Select(_ => type != KeyType.Numeric ? NextTime(random, type == KeyType.TimestampTz)
            : (random.Next(-99_999, 100_000) / (decimal)Math.Pow(10, random.Next(8))).ToString(CultureInfo.InvariantCulture)).ToArray();
        await using (var insert = new NpgsqlCommand("SELECT pg_temp.try(n::int, t) FROM unnest($1::text[]) WITH ORDINALITY u(t, n)", connection))
        {
            insert.Parameters.Add(new NpgsqlParameter { Value = texts });
            await insert.ExecuteNonQueryAsync();
        }

        var modifier = 0;
        var stored = new Dictionary<int, string>();
        await using (var read = new NpgsqlCommand("SELECT n, v::text, (SELECT atttypmod FROM pg_attribute WHERE attrelid = 'k'::regclass AND attname = 'v') FROM k", connection))
        await using (var reader = await read.ExecuteReaderAsync())
        {
            while (await reader.ReadAsync())
            {
                stored[reader.GetInt32(0)] = reader.GetString(1);
                modifier = reader.GetInt32(2);
            }
        }

        Assert.Multiple(() =>
        {
            for (var i = 0; i < texts.Length; i++)
            {
                var key = new ArrayBufferWriter<byte>();
                var outcome = OrderedKeyDecoder.TryText(type, modifier, 0, Encoding.UTF8.GetBytes(texts[i]), isAssignment: true, isUtc: true, key);
                if (!stored.TryGetValue(i + 1, out var value))
                {
                    Assert.That(outcome, Is.EqualTo(KeyHashOutcome.Invalid), $"{texts[i]} does not fit {sql}");
                }
                else
                {
                    Assert.That((outcome, Convert.ToHexString(key.WrittenSpan)), Is.EqualTo((KeyHashOutcome.Ok, Convert.ToHexString(Ordered(type, value)))), $"{texts[i]} stored as {value}");
                }
            }
        });
        Assert.That(stored, Has.Count.GreaterThan(100));
    }

    [Test]
    public void WhatAnotherSessionCouldReadOtherwiseIsNotRead([Values("2026-01-02 03:04:05", "2026-01-02")] string text)
    {
        var key = new ArrayBufferWriter<byte>();
        Assert.That(OrderedKeyDecoder.TryText(KeyType.TimestampTz, -1, 0, Encoding.UTF8.GetBytes(text), isAssignment: true, isUtc: false, key), Is.EqualTo(KeyHashOutcome.Unsupported));
        Assert.That(OrderedKeyDecoder.TryText(KeyType.TimestampTz, -1, 0, Encoding.UTF8.GetBytes(text), isAssignment: true, isUtc: true, key), Is.EqualTo(KeyHashOutcome.Ok));
    }

    [TestCase(KeyType.Date, "01/02/2026")]
    [TestCase(KeyType.Date, "today")]
    [TestCase(KeyType.Date, "2026-01-02 10:00")]
    [TestCase(KeyType.Date, "26-01-02")]
    [TestCase(KeyType.Timestamp, "now")]
    [TestCase(KeyType.Timestamp, "2026-01-02 10:00:00.1234567")]
    [TestCase(KeyType.TimestampTz, "2026-01-02 10:00:00 PST")]
    [TestCase(KeyType.TimestampTz, "2026-01-02 10:00:00 Europe/Paris")]
    [TestCase(KeyType.Numeric, "0x10")]
    [TestCase(KeyType.Numeric, "1_000")]
    public void FormsThatDependOnMoreThanTheTextAreNotRead(KeyType type, string text) =>
        Assert.That(OrderedKeyDecoder.TryText(type, -1, 0, Encoding.UTF8.GetBytes(text), isAssignment: false, isUtc: true, new ArrayBufferWriter<byte>()), Is.EqualTo(KeyHashOutcome.Unsupported));

    /// <summary>The order of two texts, and what the server makes of each, against what is made of them here.</summary>
    private static async Task CompareAsync(KeyType type, string sql, Func<Random, string> next)
    {
        var random = NewRandom();
        var left = Enumerable.Range(0, Pairs).Select(_ => next(random)).ToArray();

        // Pairs that are equal, or nearly so, besides those that are not.
        var right = left.Select(l => random.Next(10) == 0 ? l : next(random)).ToArray();
        var cluster = await SharedCluster.GetAsync();
        var collate = sql is "text" or "varchar" ? " COLLATE \"C\"" : "";
        await using var connection = await cluster.DataSource(0).OpenConnectionAsync();
        await using (var utc = new NpgsqlCommand("SET timezone = 'UTC'", connection))
        {
            await utc.ExecuteNonQueryAsync();
        }

        await using var command = new NpgsqlCommand(
            $"SELECT CASE WHEN l::{sql}{collate} < r::{sql} THEN -1 WHEN l::{sql}{collate} = r::{sql} THEN 0 ELSE 1 END, l::{sql}::text, {sql}send(l::{sql}) FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS t(l, r, n) ORDER BY n"
                .Replace("datesend", "date_send", StringComparison.Ordinal).Replace("uuidsend", "uuid_send", StringComparison.Ordinal)
                .Replace("numericsend", "numeric_send", StringComparison.Ordinal).Replace("timestampsend", "timestamp_send", StringComparison.Ordinal)
                .Replace("timestamptzsend", "timestamptz_send", StringComparison.Ordinal),
            connection);
        command.Parameters.Add(new NpgsqlParameter { Value = left, NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Text });
        command.Parameters.Add(new NpgsqlParameter { Value = right, NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Text });
        await using var reader = await command.ExecuteReaderAsync();
        var seen = new HashSet<int>();
        for (var i = 0; await reader.ReadAsync(); i++)
        {
            var expected = reader.GetInt32(0);
            seen.Add(expected);
            var ordered = Ordered(type, left[i]);
            var actual = Math.Sign(ordered.AsSpan().SequenceCompareTo(Ordered(type, right[i])));
            Assert.That(actual, Is.EqualTo(expected), $"pair {i}: '{left[i]}' and '{right[i]}'");
            Assert.That(Ordered(type, reader.GetString(1)), Is.EqualTo(ordered), $"the server's text '{reader.GetString(1)}' of '{left[i]}'");
            var binary = new ArrayBufferWriter<byte>();
            Assert.That(OrderedKeyDecoder.TryBinary(type, -1, 0, reader.GetFieldValue<byte[]>(2), isAssignment: false, binary), Is.EqualTo(KeyHashOutcome.Ok), left[i]);
            Assert.That(binary.WrittenSpan.ToArray(), Is.EqualTo(ordered), $"the binary form of '{left[i]}'");
        }

        Assert.That(seen, Is.EquivalentTo(new[] { -1, 0, 1 }));
    }

    private static byte[] Ordered(KeyType type, string text)
    {
        var key = new ArrayBufferWriter<byte>();
        Assert.That(OrderedKeyDecoder.TryText(type, -1, 0, Encoding.UTF8.GetBytes(text), isAssignment: true, isUtc: true, key), Is.EqualTo(KeyHashOutcome.Ok), text);
        return key.WrittenSpan.ToArray();
    }

    private static string NextText(Random random)
    {
        var text = new StringBuilder();
        for (var length = random.Next(6); length > 0; length--)
        {
            text.Append(random.Next(12) == 0 ? "𝄞" : Letters[random.Next(Letters.Length)].ToString());
        }

        return text.ToString();
    }

    private static string NextTime(Random random, bool hasZone)
    {
        if (random.Next(12) is var special && special < 2)
        {
            return special == 0 ? "infinity" : "-infinity";
        }

        var (year, era) = random.Next(8) switch
        {
            0 => (random.Next(1, 4700), " BC"),
            1 => (random.Next(10_000, 200_000), ""),
            2 => (1, random.Next(2) == 0 ? " BC" : ""),
            _ => (random.Next(1998, 2028), ""),
        };
        var text = $"{year:0000}-{random.Next(1, 13):00}-{random.Next(1, 29):00}";
        if (random.Next(10) > 0)
        {
            text += $"{(random.Next(2) == 0 ? ' ' : 'T')}{random.Next(24):00}:{random.Next(60):00}";
            text += random.Next(4) > 0 ? $":{random.Next(60):00}" : ":07";
            text += random.Next(3) == 0 ? "." + random.Next(1_000_000).ToString("000000", CultureInfo.InvariantCulture)[..random.Next(1, 7)] : "";
            if (hasZone && random.Next(4) > 0)
            {
                text += random.Next(5) switch
                {
                    0 => "Z",
                    1 => $"{(random.Next(2) == 0 ? '+' : '-')}{random.Next(15):00}",
                    2 => $"{(random.Next(2) == 0 ? '+' : '-')}{random.Next(15):00}:{random.Next(60):00}",
                    3 => $"{(random.Next(2) == 0 ? '+' : '-')}{random.Next(15):00}{random.Next(60):00}",
                    _ => $" {(random.Next(2) == 0 ? '+' : '-')}{random.Next(15):00}:{random.Next(60):00}:{random.Next(60):00}",
                };
            }
        }

        return text + era;
    }

    private static string NextNumeric(Random random)
    {
        var sign = random.Next(3) == 0 ? "-" : random.Next(4) == 0 ? "+" : "";
        return random.Next(16) switch
        {
            0 => "NaN",
            1 => random.Next(2) == 0 ? "Infinity" : "-infinity",
            2 => sign + (random.Next(2) == 0 ? "0" : "0.000"),
            3 => sign + (random.Next(2) == 0 ? "1" : "1.00"),
            4 => $"{sign}{random.Next(1, 1000)}e{random.Next(-40, 40)}",
            5 => $"{sign}{random.Next(1, 100)}.{random.Next(100):00}E+{random.Next(300)}",
            6 => sign + string.Concat(Enumerable.Range(0, random.Next(1, 120)).Select(_ => (char)('0' + random.Next(10)))) + "." + random.NextInt64().ToString(CultureInfo.InvariantCulture),
            7 => sign + "." + random.Next(1000).ToString(CultureInfo.InvariantCulture),
            8 => sign + "0." + new string('0', random.Next(40)) + random.Next(1, 100).ToString(CultureInfo.InvariantCulture),
            9 => sign + random.Next(1, 10).ToString(CultureInfo.InvariantCulture) + new string('0', random.Next(30)),
            _ => sign + (random.Next(-100, 100) / 10m).ToString(CultureInfo.InvariantCulture).TrimStart('-'),
        };
    }

    private static Random NewRandom()
    {
        var seed = Random.Shared.Next();
        TestContext.Out.WriteLine($"seed {seed}");
        return new Random(seed);
    }
}
