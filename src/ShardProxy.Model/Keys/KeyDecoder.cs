using System.Buffers.Binary;
using System.Text.Unicode;
using ShardProxy.Model.Topology;

namespace ShardProxy.Model.Keys;

/// <summary>
/// Turns one key value, as it stands in a literal, a COPY field or a bound parameter, into its contribution to the key's hash:
/// the value is read exactly as PostgreSQL's input or receive function of its type reads it. Allocates nothing.
/// </summary>
/// <remarks>
/// The server's encoding has to be UTF8 and the bytes given must already be in it; a session with another client encoding must
/// not route by text keys. <c>isAssignment</c> tells the two uses of a value apart: stored into the column (INSERT, COPY), where
/// PostgreSQL applies the column's length and range, or compared with it, where the column's own limits play no part: a number
/// too large for an int2 column then is no error but simply equals no row.
/// </remarks>
public static class KeyDecoder
{
    // OIDs of pg_type.dat; built-in, so the same on every server.
    private const uint Unspecified = 0, Int8 = 20, Int2 = 21, Int4 = 23, TextType = 25, UnknownType = 705, Varchar = 1043, UuidType = 2950;

    // atttypmod of varchar(n) is n plus the size of a varlena header.
    private const int VarcharHeaderBytes = 4;

    /// <summary>
    /// A value in text format whose type PostgreSQL infers from the column: a string literal, a COPY text field (unescaped), or a
    /// parameter of unspecified type.
    /// </summary>
    /// <param name="type">Type of the key column.</param>
    /// <param name="typeModifier">The column's <c>atttypmod</c>, -1 when none.</param>
    /// <param name="text">The value, without terminator.</param>
    /// <param name="isAssignment">The value is stored into the column, not compared with it.</param>
    /// <param name="seed">The hash of the key's next column, or <see cref="KeyHash.FirstSeed"/>.</param>
    /// <param name="hash">The hash; 0 unless the outcome is Ok.</param>
    public static KeyHashOutcome TryText(KeyType type, int typeModifier, ReadOnlySpan<byte> text, bool isAssignment, long seed, out long hash) =>
        TryText(type, typeModifier, Unspecified, text, isAssignment, seed, out hash);

    /// <summary>A parameter in text format with the type its Parse message declared (0 and <c>unknown</c>: inferred from the column).</summary>
    /// <inheritdoc cref="TryText(KeyType, int, ReadOnlySpan{byte}, bool, long, out long)"/>
    /// <param name="type">Type of the key column.</param>
    /// <param name="typeModifier">The column's <c>atttypmod</c>, -1 when none.</param>
    /// <param name="parameterTypeOid">The declared type.</param>
    /// <param name="text">The value, without terminator.</param>
    /// <param name="isAssignment">The value is stored into the column, not compared with it.</param>
    /// <param name="seed">The hash of the key's next column, or <see cref="KeyHash.FirstSeed"/>.</param>
    /// <param name="hash">The hash; 0 unless the outcome is Ok.</param>
    public static KeyHashOutcome TryText(
        KeyType type, int typeModifier, uint parameterTypeOid, ReadOnlySpan<byte> text, bool isAssignment, long seed, out long hash)
    {
        var sink = new HashSink(seed);
        var outcome = Text(type, typeModifier, parameterTypeOid, text, isAssignment, ref sink);
        hash = sink.Hash;
        return outcome;
    }

    /// <summary>
    /// A parameter in binary format with the type its Parse message declared (0 and <c>unknown</c>: inferred from the column). An
    /// integer key takes every integer type, a text or varchar key takes text and varchar, a uuid key takes uuid; any other type is
    /// unsupported, <c>name</c> and <c>char(n)</c> included because they compare by rules of their own.
    /// </summary>
    /// <inheritdoc cref="TryText(KeyType, int, uint, ReadOnlySpan{byte}, bool, long, out long)"/>
    /// <param name="type">Type of the key column.</param>
    /// <param name="typeModifier">The column's <c>atttypmod</c>, -1 when none.</param>
    /// <param name="parameterTypeOid">The declared type.</param>
    /// <param name="binary">The value.</param>
    /// <param name="isAssignment">The value is stored into the column, not compared with it.</param>
    /// <param name="seed">The hash of the key's next column, or <see cref="KeyHash.FirstSeed"/>.</param>
    /// <param name="hash">The hash; 0 unless the outcome is Ok.</param>
    public static KeyHashOutcome TryBinary(
        KeyType type, int typeModifier, uint parameterTypeOid, ReadOnlySpan<byte> binary, bool isAssignment, long seed, out long hash)
    {
        var sink = new HashSink(seed);
        var outcome = Binary(type, typeModifier, parameterTypeOid, binary, isAssignment, ref sink);
        hash = sink.Hash;
        return outcome;
    }

    /// <summary>An integer constant of SQL text (no quotes, fits 64 bits) beside or into an integer key column.</summary>
    /// <param name="type">Type of the key column; not an integer type is unsupported.</param>
    /// <param name="value">The number.</param>
    /// <param name="isAssignment">The value is stored into the column, not compared with it.</param>
    /// <param name="seed">The hash of the key's next column, or <see cref="KeyHash.FirstSeed"/>.</param>
    /// <param name="hash">The hash; 0 unless the outcome is Ok.</param>
    public static KeyHashOutcome TryInteger(KeyType type, long value, bool isAssignment, long seed, out long hash)
    {
        var sink = new HashSink(seed);
        var outcome = Integer(type, value, isAssignment, ref sink);
        hash = sink.Hash;
        return outcome;
    }

    /// <summary>As the public method of text, for any use of the value.</summary>
    internal static KeyHashOutcome Text<TSink>(KeyType type, int typeModifier, uint parameterTypeOid, ReadOnlySpan<byte> text, bool isAssignment, ref TSink sink)
        where TSink : struct, IKeySink
    {
        switch (ResolveType(type, parameterTypeOid))
        {
            case Int2:
                return IntegerText(type, text, short.MinValue, isAssignment, ref sink);
            case Int4:
                return IntegerText(type, text, int.MinValue, isAssignment, ref sink);
            case Int8:
                return IntegerText(type, text, long.MinValue, isAssignment, ref sink);
            case TextType:
                return Characters(type, typeModifier, text, isAssignment, ref sink);
            case UuidType:
                Span<byte> uuid = stackalloc byte[16];
                if (!UuidText.TryParse(text, uuid))
                {
                    return KeyHashOutcome.Invalid;
                }

                sink.Uuid(uuid);
                return KeyHashOutcome.Ok;
            default:
                return KeyHashOutcome.Unsupported;
        }
    }

    /// <summary>As the public method of binary values, for any use of the value.</summary>
    internal static KeyHashOutcome Binary<TSink>(KeyType type, int typeModifier, uint parameterTypeOid, ReadOnlySpan<byte> binary, bool isAssignment, ref TSink sink)
        where TSink : struct, IKeySink
    {
        switch (ResolveType(type, parameterTypeOid))
        {
            case Int2:
                return binary.Length == 2 ? Integer(type, BinaryPrimitives.ReadInt16BigEndian(binary), isAssignment, ref sink) : KeyHashOutcome.Invalid;
            case Int4:
                return binary.Length == 4 ? Integer(type, BinaryPrimitives.ReadInt32BigEndian(binary), isAssignment, ref sink) : KeyHashOutcome.Invalid;
            case Int8:
                return binary.Length == 8 ? Integer(type, BinaryPrimitives.ReadInt64BigEndian(binary), isAssignment, ref sink) : KeyHashOutcome.Invalid;
            case TextType:
                return Characters(type, typeModifier, binary, isAssignment, ref sink);
            case UuidType:
                if (binary.Length != 16)
                {
                    return KeyHashOutcome.Invalid;
                }

                sink.Uuid(binary);
                return KeyHashOutcome.Ok;
            default:
                return KeyHashOutcome.Unsupported;
        }
    }

    /// <summary>As the public method of integers, for any use of the value.</summary>
    internal static KeyHashOutcome Integer<TSink>(KeyType type, long value, bool isAssignment, ref TSink sink)
        where TSink : struct, IKeySink
    {
        if (type is not (KeyType.Int2 or KeyType.Int4 or KeyType.Int8))
        {
            return KeyHashOutcome.Unsupported;
        }

        if (isAssignment && !Fits(type, value))
        {
            return KeyHashOutcome.Invalid;
        }

        sink.Integer(value);
        return KeyHashOutcome.Ok;
    }

    private static bool Fits(KeyType type, long value) => type switch
    {
        KeyType.Int2 => value is >= short.MinValue and <= short.MaxValue,
        KeyType.Int4 => value is >= int.MinValue and <= int.MaxValue,
        _ => true,
    };

    /// <summary>
    /// The type whose input function reads the value, text standing for varchar too (their bytes and their = are the same), or
    /// <see cref="UnknownType"/> when that type and the column's do not meet provably.
    /// </summary>
    private static uint ResolveType(KeyType type, uint parameterTypeOid)
    {
        var isInferred = parameterTypeOid is Unspecified or UnknownType;
        return type switch
        {
            KeyType.Int2 => isInferred ? Int2 : IntegerOrUnknown(parameterTypeOid),
            KeyType.Int4 => isInferred ? Int4 : IntegerOrUnknown(parameterTypeOid),
            KeyType.Int8 => isInferred ? Int8 : IntegerOrUnknown(parameterTypeOid),
            KeyType.Text or KeyType.Varchar => isInferred || parameterTypeOid is TextType or Varchar ? TextType : UnknownType,
            KeyType.Uuid => isInferred || parameterTypeOid == UuidType ? UuidType : UnknownType,
            _ => UnknownType,
        };
    }

    private static uint IntegerOrUnknown(uint oid) => oid is Int2 or Int4 or Int8 ? oid : UnknownType;

    private static KeyHashOutcome IntegerText<TSink>(KeyType type, ReadOnlySpan<byte> text, long minimum, bool isAssignment, ref TSink sink)
        where TSink : struct, IKeySink
    {
        var outcome = Keys.IntegerText.TryParse(text, minimum, out var value);
        return outcome == KeyHashOutcome.Ok ? Integer(type, value, isAssignment, ref sink) : outcome;
    }

    private static KeyHashOutcome Characters<TSink>(KeyType type, int typeModifier, ReadOnlySpan<byte> text, bool isAssignment, ref TSink sink)
        where TSink : struct, IKeySink
    {
        if (text.Contains((byte)0) || !Utf8.IsValid(text))
        {
            return KeyHashOutcome.Invalid;
        }

        if (isAssignment && type == KeyType.Varchar && typeModifier >= VarcharHeaderBytes)
        {
            // PostgreSQL cuts an excess of spaces only, and refuses any other (PostgreSQL documentation, section 8.3).
            var kept = BytesOfCharacters(text, typeModifier - VarcharHeaderBytes);
            if (text[kept..].IndexOfAnyExcept((byte)' ') >= 0)
            {
                return KeyHashOutcome.Invalid;
            }

            text = text[..kept];
        }

        sink.Text(text);
        return KeyHashOutcome.Ok;
    }

    /// <summary>How many bytes the first <paramref name="limit"/> characters (code points) of valid UTF-8 take.</summary>
    private static int BytesOfCharacters(ReadOnlySpan<byte> text, int limit)
    {
        if (text.Length <= limit)
        {
            return text.Length;
        }

        var characters = 0;
        for (var i = 0; i < text.Length; i++)
        {
            var isContinuation = (text[i] & 0xC0) == 0x80;
            if (!isContinuation && ++characters > limit)
            {
                return i;
            }
        }

        return text.Length;
    }

    private struct HashSink(long seed) : IKeySink
    {
        public long Hash { get; private set; }

        public void Integer(long value) => Hash = KeyHash.Int64(value, seed);

        public void Text(ReadOnlySpan<byte> utf8) => Hash = KeyHash.Text(utf8, seed);

        public void Uuid(ReadOnlySpan<byte> uuid) => Hash = KeyHash.Uuid(uuid, seed);
    }
}
