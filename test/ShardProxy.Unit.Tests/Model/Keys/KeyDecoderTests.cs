using System.Buffers.Binary;
using System.Text;
using NUnit.Framework;
using ShardProxy.Model.Keys;
using ShardProxy.Model.Topology;

namespace ShardProxy.Unit.Tests.Model.Keys;

/// <summary>
/// Protects the reading of key values: a value read otherwise than PostgreSQL reads it goes to the wrong node, and one called
/// invalid that PostgreSQL takes is a statement answered by the wrong node.
/// </summary>
[TestFixture]
internal sealed class KeyDecoderTests
{
    private const uint Unspecified = 0, Int8 = 20, Int2 = 21, Int4 = 23, TextOid = 25, Unknown = 705, BpChar = 1042, Varchar = 1043, Name = 19, Numeric = 1700, UuidOid = 2950;
    private const long Seed = 77;

    [TestCase("0", 0L)]
    [TestCase("-0", 0L)]
    [TestCase("+7", 7L)]
    [TestCase("007", 7L)]
    [TestCase(" \t\n\v\f\r42 \t\n\v\f\r", 42L)]
    [TestCase("-9223372036854775808", long.MinValue)]
    [TestCase("9223372036854775807", long.MaxValue)]
    public void IntegerTextIsReadAsItsInputFunctionDoes(string text, long expected)
    {
        var outcome = KeyDecoder.TryText(KeyType.Int8, -1, Encoding.UTF8.GetBytes(text), isAssignment: false, Seed, out var hash);
        Assert.That((outcome, hash), Is.EqualTo((KeyHashOutcome.Ok, KeyHash.Int64(expected, Seed))));
    }

    [TestCase(KeyType.Int2, "-32768", KeyHashOutcome.Ok)]
    [TestCase(KeyType.Int2, "32767", KeyHashOutcome.Ok)]
    [TestCase(KeyType.Int2, "-32769", KeyHashOutcome.Invalid)]
    [TestCase(KeyType.Int2, "32768", KeyHashOutcome.Invalid)]
    [TestCase(KeyType.Int4, "-2147483648", KeyHashOutcome.Ok)]
    [TestCase(KeyType.Int4, "2147483647", KeyHashOutcome.Ok)]
    [TestCase(KeyType.Int4, "-2147483649", KeyHashOutcome.Invalid)]
    [TestCase(KeyType.Int4, "2147483648", KeyHashOutcome.Invalid)]
    [TestCase(KeyType.Int8, "-9223372036854775809", KeyHashOutcome.Invalid)]
    [TestCase(KeyType.Int8, "9223372036854775808", KeyHashOutcome.Invalid)]
    [TestCase(KeyType.Int8, "99999999999999999999999999", KeyHashOutcome.Invalid)]
    [TestCase(KeyType.Int4, "", KeyHashOutcome.Invalid)]
    [TestCase(KeyType.Int4, "  ", KeyHashOutcome.Invalid)]
    [TestCase(KeyType.Int4, "-", KeyHashOutcome.Invalid)]
    [TestCase(KeyType.Int4, "- 1", KeyHashOutcome.Invalid)]
    [TestCase(KeyType.Int4, "--1", KeyHashOutcome.Invalid)]
    [TestCase(KeyType.Int4, "1 2", KeyHashOutcome.Invalid)]
    [TestCase(KeyType.Int4, "1.0", KeyHashOutcome.Invalid)]
    [TestCase(KeyType.Int4, "1e3", KeyHashOutcome.Invalid)]
    [TestCase(KeyType.Int4, "1\0", KeyHashOutcome.Invalid)]
    // PostgreSQL 16 reads these as numbers, 15 does not.
    [TestCase(KeyType.Int4, "0x1f", KeyHashOutcome.Unsupported)]
    [TestCase(KeyType.Int4, "-0B11", KeyHashOutcome.Unsupported)]
    [TestCase(KeyType.Int4, "0o17", KeyHashOutcome.Unsupported)]
    [TestCase(KeyType.Int4, "1_000", KeyHashOutcome.Unsupported)]
    // Some C libraries take bytes above 127 for white space.
    [TestCase(KeyType.Int4, "1\u00a0", KeyHashOutcome.Unsupported)]
    public void IntegerTextOutsideTheTypeIsToldApart(KeyType type, string text, KeyHashOutcome expected) =>
        Assert.That(KeyDecoder.TryText(type, -1, Encoding.UTF8.GetBytes(text), isAssignment: true, Seed, out _), Is.EqualTo(expected));

    [TestCase("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")]
    [TestCase("A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11")]
    [TestCase("{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}")]
    [TestCase("a0eebc999c0b4ef8bb6d6bb9bd380a11")]
    [TestCase("a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11")]
    [TestCase("{a0eebc99-9c0b4ef8-bb6d6bb9-bd380a11}")]
    public void EveryFormOfAUuidIsRead(string text)
    {
        var bytes = Guid.Parse("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11").ToByteArray(bigEndian: true);
        var outcome = KeyDecoder.TryText(KeyType.Uuid, -1, Encoding.UTF8.GetBytes(text), isAssignment: false, Seed, out var hash);
        Assert.That((outcome, hash), Is.EqualTo((KeyHashOutcome.Ok, KeyHash.Uuid(bytes, Seed))));
    }

    [TestCase("")]
    [TestCase("{")]
    [TestCase("{}")]
    [TestCase(" a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")]
    [TestCase("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11 ")]
    [TestCase("{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")]
    [TestCase("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}")]
    [TestCase("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1")]
    [TestCase("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11-")]
    [TestCase("a0-eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")]
    [TestCase("a0eebc99--9c0b-4ef8-bb6d-6bb9bd380a11")]
    [TestCase("g0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")]
    public void AMalformedUuidIsInvalid(string text) =>
        Assert.That(KeyDecoder.TryText(KeyType.Uuid, -1, Encoding.UTF8.GetBytes(text), isAssignment: false, Seed, out _), Is.EqualTo(KeyHashOutcome.Invalid));

    [TestCase("abc", true, "abc")]
    [TestCase("abc   ", true, "abc")]
    [TestCase("ab    ", true, "ab ")]
    [TestCase("日本語 ", true, "日本語")]
    [TestCase("abc   ", false, "abc   ")]
    [TestCase("abcd", false, "abcd")]
    public void AVarcharLosesAnExcessOfSpacesOnlyWhenItIsStored(string text, bool isAssignment, string seenByPostgres)
    {
        var outcome = KeyDecoder.TryText(KeyType.Varchar, 3 + 4, Encoding.UTF8.GetBytes(text), isAssignment, Seed, out var hash);
        Assert.That((outcome, hash), Is.EqualTo((KeyHashOutcome.Ok, KeyHash.Text(Encoding.UTF8.GetBytes(seenByPostgres), Seed))));
    }

    [TestCase("abcd")]
    [TestCase("abc d")]
    [TestCase("日本語é")]
    public void AVarcharThatIsTooLongToStoreIsInvalid(string text) =>
        Assert.That(KeyDecoder.TryText(KeyType.Varchar, 3 + 4, Encoding.UTF8.GetBytes(text), isAssignment: true, Seed, out _), Is.EqualTo(KeyHashOutcome.Invalid));

    [TestCase(new byte[] { (byte)'a', 0 })]
    [TestCase(new byte[] { 0xC0, 0x80 })]
    [TestCase(new byte[] { 0xED, 0xA0, 0x80 })]
    [TestCase(new byte[] { 0xF4, 0x90, 0x80, 0x80 })]
    [TestCase(new byte[] { 0xE6, 0x97 })]
    public void TextThatTheServersEncodingForbidsIsInvalid(byte[] text) => Assert.Multiple(() =>
    {
        Assert.That(KeyDecoder.TryText(KeyType.Text, -1, text, isAssignment: false, Seed, out _), Is.EqualTo(KeyHashOutcome.Invalid));
        Assert.That(KeyDecoder.TryBinary(KeyType.Text, -1, TextOid, text, isAssignment: false, Seed, out _), Is.EqualTo(KeyHashOutcome.Invalid));
    });

    [Test]
    public void ABinaryIntegerIsReadAtItsOwnWidth([Values(KeyType.Int2, KeyType.Int4, KeyType.Int8)] KeyType column, [Values(Int2, Int4, Int8)] uint oid, [Values(0, 1, -1, -32768, 32767)] int value)
    {
        var outcome = KeyDecoder.TryBinary(column, -1, oid, BigEndian(oid, value), isAssignment: true, Seed, out var hash);
        Assert.That((outcome, hash), Is.EqualTo((KeyHashOutcome.Ok, KeyHash.Int64(value, Seed))));
    }

    [Test]
    public void ABinaryIntegerOfUnspecifiedTypeHasTheColumnsWidth([Values(Unspecified, Unknown)] uint oid) => Assert.Multiple(() =>
    {
        Assert.That(KeyDecoder.TryBinary(KeyType.Int4, -1, oid, BigEndian(Int4, 5), isAssignment: false, Seed, out var hash), Is.EqualTo(KeyHashOutcome.Ok));
        Assert.That(hash, Is.EqualTo(KeyHash.Int64(5, Seed)));
        Assert.That(KeyDecoder.TryBinary(KeyType.Int4, -1, oid, BigEndian(Int8, 5), isAssignment: false, Seed, out _), Is.EqualTo(KeyHashOutcome.Invalid));
    });

    [Test]
    public void ANumberBeyondTheColumnFailsWhenStoredAndEqualsNoRowWhenCompared() => Assert.Multiple(() =>
    {
        var large = BigEndian(Int8, 40_000);
        Assert.That(KeyDecoder.TryBinary(KeyType.Int2, -1, Int8, large, isAssignment: true, Seed, out _), Is.EqualTo(KeyHashOutcome.Invalid));
        Assert.That(KeyDecoder.TryBinary(KeyType.Int2, -1, Int8, large, isAssignment: false, Seed, out _), Is.EqualTo(KeyHashOutcome.Ok));
        Assert.That(KeyDecoder.TryInteger(KeyType.Int4, 1L << 31, isAssignment: true, Seed, out _), Is.EqualTo(KeyHashOutcome.Invalid));
        Assert.That(KeyDecoder.TryInteger(KeyType.Int4, 1L << 31, isAssignment: false, Seed, out _), Is.EqualTo(KeyHashOutcome.Ok));
        Assert.That(KeyDecoder.TryText(KeyType.Int2, -1, Int4, "40000"u8, isAssignment: false, Seed, out _), Is.EqualTo(KeyHashOutcome.Ok));
    });

    [TestCase(KeyType.Text, Name)]
    [TestCase(KeyType.Text, BpChar)]
    [TestCase(KeyType.Varchar, Int4)]
    [TestCase(KeyType.Int4, TextOid)]
    [TestCase(KeyType.Int4, Numeric)]
    [TestCase(KeyType.Int8, UuidOid)]
    [TestCase(KeyType.Uuid, TextOid)]
    [TestCase(KeyType.Uuid, Varchar)]
    public void AParameterOfATypeThatComparesByOtherRulesIsUnsupported(KeyType column, uint oid) => Assert.Multiple(() =>
    {
        Assert.That(KeyDecoder.TryBinary(column, -1, oid, new byte[4], isAssignment: false, Seed, out _), Is.EqualTo(KeyHashOutcome.Unsupported));
        Assert.That(KeyDecoder.TryText(column, -1, oid, "1"u8, isAssignment: false, Seed, out _), Is.EqualTo(KeyHashOutcome.Unsupported));
    });

    [Test]
    public void AnIntegerConstantBesideATextColumnIsUnsupported() =>
        Assert.That(KeyDecoder.TryInteger(KeyType.Text, 1, isAssignment: true, Seed, out _), Is.EqualTo(KeyHashOutcome.Unsupported));

    private static byte[] BigEndian(uint oid, long value)
    {
        var bytes = new byte[8];
        BinaryPrimitives.WriteInt64BigEndian(bytes, value);
        return oid == Int2 ? bytes[6..] : oid == Int4 ? bytes[4..] : bytes;
    }
}
