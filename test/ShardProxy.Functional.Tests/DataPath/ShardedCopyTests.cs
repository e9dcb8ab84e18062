using System.Buffers.Binary;
using System.Text;
using NUnit.Framework;
using ShardProxy.TestKit.Wire;
using static ShardProxy.TestKit.Wire.Frontend;

namespace ShardProxy.Functional.Tests.DataPath;

/// <summary>
/// Protects COPY FROM STDIN into sharded tables: whatever the format and wherever the messages are cut, each row lies on its node or the
/// whole COPY fails; data that PostgreSQL would refuse is refused with its own words.
/// </summary>
[TestFixture]
internal sealed class ShardedCopyTests : DataPathFixture
{
    private static readonly byte[] Header = [(byte)'P', (byte)'G', (byte)'C', (byte)'O', (byte)'P', (byte)'Y', (byte)'\n', 0xff, (byte)'\r', (byte)'\n', 0, 0, 0, 0, 0, 0, 0, 0, 0];
    private static readonly byte[] Trailer = [0xff, 0xff];

    protected override Placement Tables { get; } = new Placement()
        .Sharded("a", "id int4, v text", "id").Sharded("names", "name text, v int4", "name").Sharded("u", "id uuid, v int4", "id").Sharded("pair", "v int4, x text, y int8", "x", "y");

    protected override string Ddl => """
        CREATE TABLE a (id int PRIMARY KEY, v text);
        CREATE TABLE names (name text PRIMARY KEY, v int);
        CREATE TABLE u (id uuid PRIMARY KEY, v int);
        CREATE TABLE pair (v int, x text NOT NULL, y bigint NOT NULL, PRIMARY KEY (x, y));
        """;

    [SetUp]
    public Task EmptyAsync() => DirectOnAllAsync("TRUNCATE a, names, u, pair");

    [Test]
    public async Task BinaryRowsOfEveryKeyTypeLieOnTheirNodes()
    {
        using var client = await Proxy.LoginAsync();
        var seed = Environment.TickCount;
        await TestContext.Out.WriteLineAsync($"seed {seed}");
        var random = new Random(seed);
        var numbers = Enumerable.Range(-200, 400).ToArray();
        (string Copy, string Hash, byte[] Data)[] cases =
        [
            ("COPY a FROM STDIN (FORMAT binary)", "hashint8extended(id, 0) FROM a", Rows(numbers.Select(i => Row(Int4(i), Text("v" + i))))),
            ("COPY names (v, name) FROM STDIN BINARY", "hashtextextended(name, 0) FROM names", Rows(numbers.Select(i => Row(null, Text("näme" + i))))),
            ("COPY u (v, id) FROM STDIN (FORMAT 'binary')", "uuid_hash_extended(id, 0) FROM u", Rows(numbers.Select(i => Row(Int4(i), Uuid(random))))),
            ("COPY pair FROM STDIN (FORMAT binary)", "hashtextextended(x, hashint8extended(y, 0)) FROM pair", Rows(numbers.Select(i => Row(Int4(i), Text("x" + (i / 3)), Int8(i * 12345678901))))),
        ];
        foreach (var (copy, hash, data) in cases)
        {
            await client.SendAsync([Query(copy), .. Pieces(data, random), CopyDone()]);
            var reply = await client.ReadUntilReadyAsync();
            Assert.That(reply.Tags, Is.EqualTo(new[] { "COPY 400" }), reply.ToString());
            await EveryRowIsInItsPlaceAsync(hash);
        }

        Assert.That((await client.QueryAsync("SELECT v FROM a WHERE id = -77")).Rows.Single(), Is.EqualTo(new[] { "v-77" }));
        Assert.That((await client.QueryAsync("SELECT v IS NULL FROM names WHERE name = 'näme5'")).Rows.Single(), Is.EqualTo(new[] { "t" }));
    }

    private static IEnumerable<TestCaseData> RefusedByPostgres()
    {
        var good = Row(Int4(1), Text("x"));
        yield return new TestCaseData(Concat("PGCOPX"u8.ToArray(), Header[6..], good, Trailer), "22P04").SetArgDisplayNames("signature");
        yield return new TestCaseData(Header[..7], "22P04").SetArgDisplayNames("cut in the header");
        yield return new TestCaseData(Array.Empty<byte>(), "22P04").SetArgDisplayNames("nothing");
        yield return new TestCaseData(Concat(Header[..11], [0, 1, 0, 0], Header[15..], good, Trailer), "22P04").SetArgDisplayNames("flags");
        yield return new TestCaseData(Concat(Header[..15], [0xff, 0, 0, 0], good, Trailer), "22P04").SetArgDisplayNames("extension");
        yield return new TestCaseData(Concat(Header, good, Row(Int4(2)), Trailer), "22P04").SetArgDisplayNames("fields");
        yield return new TestCaseData(Concat(Header, good, good[..^1]), "22P04").SetArgDisplayNames("cut in a row");
        yield return new TestCaseData(Concat(Header, good, [0, 2, 0xff, 0xff, 0xff, 0xfe], Trailer), "22P04").SetArgDisplayNames("length");
        yield return new TestCaseData(Concat(Header, good, Row(Int8(2), Text("y")), Trailer), "22P03").SetArgDisplayNames("too long an integer");
        yield return new TestCaseData(Concat(Header, good, Row([0, 1], Text("y")), Trailer), "08P01").SetArgDisplayNames("too short an integer");
        yield return new TestCaseData(Concat(Header, good, Row(null, Text("y")), Trailer), "23502").SetArgDisplayNames("no key");
        yield return new TestCaseData(Concat(Header, good, Trailer, good), "22P04").SetArgDisplayNames("behind the end");
    }

    [TestCaseSource(nameof(RefusedByPostgres))]
    public async Task WhatPostgresRefusesInBinaryItRefusesHere(byte[] data, string sqlState)
    {
        using var client = await Proxy.LoginAsync();
        await client.SendAsync([Query("COPY a FROM STDIN (FORMAT binary)"), CopyBytes(data), CopyDone()]);
        var through = await client.ReadUntilReadyAsync();
        Assert.That((through.SqlState, through.Status), Is.EqualTo((sqlState, 'I')), through.ToString());
        await client.SendAsync([Query("COPY a FROM STDIN (FORMAT binary)"), .. Pieces(data, new Random(data.Length)), CopyDone()]);
        Assert.That((await client.ReadUntilReadyAsync()).SqlState, Is.EqualTo(sqlState), "in pieces");
        Assert.That((await OnEachNodeAsync("SELECT count(*) FROM a")).SelectMany(c => c), Is.All.EqualTo("0"));
    }

    [Test]
    public async Task TheBinaryEndMayBeMissing()
    {
        using var client = await Proxy.LoginAsync();
        await client.SendAsync([Query("COPY a FROM STDIN (FORMAT binary)"), CopyBytes(Concat(Header, Row(Int4(1), Text("x")), Row(Int4(2), Text("x")), Row(Int4(3), null))), CopyDone()]);
        Assert.That((await client.ReadUntilReadyAsync()).Tags, Is.EqualTo(new[] { "COPY 3" }), "as PostgreSQL takes it");
    }

    [Test]
    public async Task AHeaderThatMustMatchIsCheckedOnEveryNode()
    {
        using var client = await Proxy.LoginAsync();
        await client.SendAsync(Query("COPY a FROM STDIN (FORMAT csv, HEADER match, ENCODING 'utf-8', FORCE_NULL (v))"), CopyData("id,v\n1,x\n2,\"\"\n3,x\n4,x\n"), CopyDone());
        Assert.That((await client.ReadUntilReadyAsync()).Tags, Is.EqualTo(new[] { "COPY 4" }));
        await EveryRowIsInItsPlaceAsync("hashint8extended(id, 0) FROM a");
        await client.SendAsync(Query("COPY a FROM STDIN (FORMAT csv, HEADER match)"), CopyData("id,w\n11,x\n12,x\n13,x\n14,x\n"), CopyDone());
        Assert.That((await client.ReadUntilReadyAsync()).SqlState, Is.EqualTo("22P04"));
        Assert.That((await client.QueryAsync("SELECT count(*) FROM a")).Rows.Single(), Is.EqualTo(new[] { "4" }));
    }

    [Test]
    public async Task AnEndMarkEndsAllNodesOrNone()
    {
        using var client = await Proxy.LoginAsync();
        await client.SendAsync(Query("COPY a FROM STDIN"), CopyData("1\tx\n2\tx\n3\tx\n4\tx\n\\.\n"), CopyDone());
        Assert.That((await client.ReadUntilReadyAsync()).Tags, Is.EqualTo(new[] { "COPY 4" }));

        // Behind other data it would end the COPY of this row's node, and not that of the others.
        await client.SendAsync(Query("COPY a FROM STDIN"), CopyData("11\tx\\.\n12\tx\n13\tx\n14\tx\n15\tx\n16\tx\n"), CopyDone());
        Assert.That((await client.ReadUntilReadyAsync()).Errors.Single().Field('D'), Is.EqualTo("SHP-222"));
        await client.SendAsync(Query("COPY a FROM STDIN"), CopyData("11\tx\\\\.\n12\tx\n13\tx\n"), CopyDone());
        Assert.That((await client.ReadUntilReadyAsync()).Tags, Is.EqualTo(new[] { "COPY 3" }), "a backslash and a point");
        Assert.That((await client.QueryAsync("SELECT v FROM a WHERE id = 11")).Rows.Single(), Is.EqualTo(new[] { "x\\." }));
    }

    /// <summary>The last line may lack its end, but what would be put there in its place must not become a value's.</summary>
    [Test]
    public async Task ALastLineWithoutItsEnd()
    {
        using var client = await Proxy.LoginAsync();
        await client.SendAsync(Query("COPY a FROM STDIN"), CopyData("21\tx\n22\ty"), CopyDone());
        Assert.That((await client.ReadUntilReadyAsync()).Tags, Is.EqualTo(new[] { "COPY 2" }));
        await client.SendAsync(Query("COPY a FROM STDIN"), CopyData("23\tx\n24\ty\\"), CopyDone());
        var refused = await client.ReadUntilReadyAsync();
        Assert.That(refused.Errors.SingleOrDefault()?.Field('D'), Is.EqualTo("SHP-222"), refused.ToString());
        Assert.That((await client.QueryAsync("SELECT count(*) FROM a WHERE id > 22")).Rows.Single(), Is.EqualTo(new[] { "0" }));
    }

    private async Task EveryRowIsInItsPlaceAsync(string hashFrom)
    {
        // Ranges 1, 3 are on node 1, ranges 2, 4 on node 2.
        const string onNode1 = "(h < -4611686018427387904 OR (h >= 0 AND h < 4611686018427387903))";
        var counts = await OnEachNodeAsync($"SELECT count(*) FILTER (WHERE {onNode1}) > 0, count(*) FILTER (WHERE NOT {onNode1}) > 0 FROM (SELECT {hashFrom.Replace(" FROM", " AS h FROM", StringComparison.Ordinal)}) q");
        Assert.That((counts[0][0], counts[1][0]), Is.EqualTo(("t|f", "f|t")), hashFrom);
    }

    private static byte[] Rows(IEnumerable<byte[]> rows) => Concat([Header, .. rows, Trailer]);

    private static byte[] Row(params byte[]?[] fields)
    {
        var builder = new List<byte> { 0, (byte)fields.Length };
        foreach (var field in fields)
        {
            builder.AddRange(Int4(field?.Length ?? -1));
            builder.AddRange(field ?? []);
        }

        return [.. builder];
    }

    private static byte[] Int4(int value)
    {
        var bytes = new byte[4];
        BinaryPrimitives.WriteInt32BigEndian(bytes, value);
        return bytes;
    }

    private static byte[] Int8(long value)
    {
        var bytes = new byte[8];
        BinaryPrimitives.WriteInt64BigEndian(bytes, value);
        return bytes;
    }

    private static byte[] Text(string value) => Encoding.UTF8.GetBytes(value);

    private static byte[] Uuid(Random random)
    {
        var bytes = new byte[16];
        random.NextBytes(bytes);
        return bytes;
    }

    private static byte[] Concat(params byte[][] parts) => [.. parts.SelectMany(p => p)];

    private static byte[] CopyBytes(ReadOnlySpan<byte> data) => Raw('d', data);

    private static List<byte[]> Pieces(byte[] data, Random random)
    {
        var pieces = new List<byte[]>();
        for (var at = 0; at < data.Length;)
        {
            var length = Math.Min(random.Next(1, 40), data.Length - at);
            pieces.Add(CopyBytes(data.AsSpan(at, length)));
            at += length;
        }

        return pieces;
    }
}
