using System.Buffers;
using ShardProxy.Model.Keys;
using ShardProxy.Model.Topology;

namespace ShardProxy.DataPath.Routing;

/// <summary>What the values of a key's columns are made into, by the group's method. Structs, so that each use compiles to calls of its own.</summary>
internal interface IKeyReader
{
    KeyHashOutcome Text(KeyType type, int typeModifier, uint typeOid, ReadOnlySpan<byte> text, bool isAssignment);

    KeyHashOutcome Binary(KeyType type, int typeModifier, uint typeOid, ReadOnlySpan<byte> binary, bool isAssignment);

    KeyHashOutcome Integer(KeyType type, int typeModifier, long value, bool isAssignment);

    KeyHashOutcome Decimal(KeyType type, int typeModifier, ReadOnlySpan<byte> text, bool isNegated, bool isAssignment);
}

/// <summary>The key of a HASH group: one hash, each column's on top of the next one's. Columns are read from the last to the first.</summary>
internal struct HashReader() : IKeyReader
{
    private long _hash = KeyHash.FirstSeed;

    public readonly long Hash => _hash;

    public KeyHashOutcome Text(KeyType type, int typeModifier, uint typeOid, ReadOnlySpan<byte> text, bool isAssignment) =>
        KeyDecoder.TryText(type, typeModifier, typeOid, text, isAssignment, _hash, out _hash);

    public KeyHashOutcome Binary(KeyType type, int typeModifier, uint typeOid, ReadOnlySpan<byte> binary, bool isAssignment) =>
        KeyDecoder.TryBinary(type, typeModifier, typeOid, binary, isAssignment, _hash, out _hash);

    public KeyHashOutcome Integer(KeyType type, int typeModifier, long value, bool isAssignment) =>
        KeyDecoder.TryInteger(type, value, isAssignment, _hash, out _hash);

    public readonly KeyHashOutcome Decimal(KeyType type, int typeModifier, ReadOnlySpan<byte> text, bool isNegated, bool isAssignment) => KeyHashOutcome.Unsupported;
}

/// <summary>The key of a RANGE group: bytes in the key's order. Columns are read from the first to the last.</summary>
/// <param name="key">Gets the bytes.</param>
/// <param name="isUtc">Moments without an offset are UTC.</param>
internal readonly struct OrderReader(ArrayBufferWriter<byte> key, bool isUtc) : IKeyReader
{
    public KeyHashOutcome Text(KeyType type, int typeModifier, uint typeOid, ReadOnlySpan<byte> text, bool isAssignment) =>
        OrderedKeyDecoder.TryText(type, typeModifier, typeOid, text, isAssignment, isUtc, key);

    public KeyHashOutcome Binary(KeyType type, int typeModifier, uint typeOid, ReadOnlySpan<byte> binary, bool isAssignment) =>
        OrderedKeyDecoder.TryBinary(type, typeModifier, typeOid, binary, isAssignment, key);

    public KeyHashOutcome Integer(KeyType type, int typeModifier, long value, bool isAssignment) =>
        OrderedKeyDecoder.TryInteger(type, typeModifier, value, isAssignment, key);

    public KeyHashOutcome Decimal(KeyType type, int typeModifier, ReadOnlySpan<byte> text, bool isNegated, bool isAssignment) =>
        OrderedKeyDecoder.TryDecimal(type, typeModifier, text, isNegated, isAssignment, key);
}
