using System.Buffers;
using System.Buffers.Binary;
using ShardProxy.Model.Topology;

namespace ShardProxy.Model.Keys;

/// <summary>
/// Turns one key value of a RANGE group, as it stands in a literal, a COPY field or a bound parameter, into the bytes of <see cref="KeyOrder"/>: read
/// exactly as PostgreSQL's input or receive function of its type reads it. Besides the writer's growth nothing allocates.
/// </summary>
/// <remarks>What <see cref="KeyDecoder"/> says of encodings and of assignment holds here too; with assignment a numeric, a time and a text are rounded or cut to the column's modifier.</remarks>
public static class OrderedKeyDecoder
{
    // OIDs of pg_type.dat.
    private const uint Unspecified = 0, UnknownType = 705, Int8 = 20, Int2 = 21, Int4 = 23, Date = 1082, Timestamp = 1114, TimestampTz = 1184, Numeric = 1700;

    // atttypmod of numeric holds the size of a varlena header besides precision and scale.
    private const int NumericHeaderBytes = 4;

    /// <summary>A value in text format.</summary>
    /// <param name="type">Type of the key column.</param>
    /// <param name="typeModifier">The column's <c>atttypmod</c>, -1 when none.</param>
    /// <param name="parameterTypeOid">The declared type of a parameter or cast; 0 and <c>unknown</c>: inferred from the column.</param>
    /// <param name="text">The value, without terminator.</param>
    /// <param name="isAssignment">The value is stored into the column, not compared with it.</param>
    /// <param name="isUtc">The session's TimeZone is UTC. In any other a timestamptz needs an offset, else it is unsupported.</param>
    /// <param name="key">Gets the bytes; unchanged unless the outcome is Ok.</param>
    public static KeyHashOutcome TryText(
        KeyType type, int typeModifier, uint parameterTypeOid, ReadOnlySpan<byte> text, bool isAssignment, bool isUtc, ArrayBufferWriter<byte> key)
    {
        var inferred = parameterTypeOid is Unspecified or UnknownType;
        switch (type)
        {
            case KeyType.Numeric when inferred || parameterTypeOid == Numeric:
                Span<byte> digits = stackalloc byte[NumericText.MaxDigits + 1];
                var outcome = NumericText.TryParse(text, isNegated: false, digits, out var number);
                return outcome == KeyHashOutcome.Ok ? AddNumeric(number, typeModifier, isAssignment, key) : outcome;
            case KeyType.Numeric when IntegerType(parameterTypeOid) is { } integer:
                var sink = new NumericSink(typeModifier, isAssignment, key);
                var read = KeyDecoder.Text(integer, -1, parameterTypeOid, text, isAssignment: true, ref sink);
                return read == KeyHashOutcome.Ok ? sink.Outcome : read;
            case KeyType.Date when inferred || parameterTypeOid == Date:
                return Add(TimeText.TryDate(text, out var days), days, key);
            case KeyType.Timestamp when inferred || parameterTypeOid == Timestamp:
                return AddTime(TimeText.TryTimestamp(text, isUtc: null, out var local), local, typeModifier, isAssignment, key);
            case KeyType.TimestampTz when inferred || parameterTypeOid == TimestampTz:
                return AddTime(TimeText.TryTimestamp(text, isUtc, out var moment), moment, typeModifier, isAssignment, key);
            case KeyType.Numeric or KeyType.Date or KeyType.Timestamp or KeyType.TimestampTz:
                return KeyHashOutcome.Unsupported;
            default:
                var order = new OrderSink(key);
                return KeyDecoder.Text(type, typeModifier, parameterTypeOid, text, isAssignment, ref order);
        }
    }

    /// <summary>A parameter or COPY field in binary format.</summary>
    /// <inheritdoc cref="TryText"/>
    /// <param name="type">Type of the key column.</param>
    /// <param name="typeModifier">The column's <c>atttypmod</c>, -1 when none.</param>
    /// <param name="parameterTypeOid">The declared type; 0 and <c>unknown</c>: inferred from the column.</param>
    /// <param name="binary">The value.</param>
    /// <param name="isAssignment">The value is stored into the column, not compared with it.</param>
    /// <param name="key">Gets the bytes; unchanged unless the outcome is Ok.</param>
    public static KeyHashOutcome TryBinary(
        KeyType type, int typeModifier, uint parameterTypeOid, ReadOnlySpan<byte> binary, bool isAssignment, ArrayBufferWriter<byte> key)
    {
        var inferred = parameterTypeOid is Unspecified or UnknownType;
        switch (type)
        {
            case KeyType.Numeric when inferred || parameterTypeOid == Numeric:
                Span<byte> digits = stackalloc byte[NumericText.MaxDigits + 1];
                var outcome = NumericText.TryRead(binary, digits, out var number);
                return outcome == KeyHashOutcome.Ok ? AddNumeric(number, typeModifier, isAssignment, key) : outcome;
            case KeyType.Numeric when IntegerType(parameterTypeOid) is { } integer:
                var sink = new NumericSink(typeModifier, isAssignment, key);
                var read = KeyDecoder.Binary(integer, -1, parameterTypeOid, binary, isAssignment: true, ref sink);
                return read == KeyHashOutcome.Ok ? sink.Outcome : read;
            case KeyType.Date when inferred || parameterTypeOid == Date:
                return binary.Length == 4 ? Add(KeyHashOutcome.Ok, BinaryPrimitives.ReadInt32BigEndian(binary), key) : KeyHashOutcome.Invalid;
            case KeyType.Timestamp when inferred || parameterTypeOid == Timestamp:
            case KeyType.TimestampTz when inferred || parameterTypeOid == TimestampTz:
                return binary.Length == 8
                    ? AddTime(KeyHashOutcome.Ok, BinaryPrimitives.ReadInt64BigEndian(binary), typeModifier, isAssignment, key)
                    : KeyHashOutcome.Invalid;
            case KeyType.Numeric or KeyType.Date or KeyType.Timestamp or KeyType.TimestampTz:
                return KeyHashOutcome.Unsupported;
            default:
                var order = new OrderSink(key);
                return KeyDecoder.Binary(type, typeModifier, parameterTypeOid, binary, isAssignment, ref order);
        }
    }

    /// <summary>An integer constant of SQL text beside or into a key column of an integer type or numeric.</summary>
    /// <param name="type">Type of the key column.</param>
    /// <param name="typeModifier">The column's <c>atttypmod</c>, -1 when none.</param>
    /// <param name="value">The number.</param>
    /// <param name="isAssignment">The value is stored into the column, not compared with it.</param>
    /// <param name="key">Gets the bytes; unchanged unless the outcome is Ok.</param>
    public static KeyHashOutcome TryInteger(KeyType type, int typeModifier, long value, bool isAssignment, ArrayBufferWriter<byte> key)
    {
        if (type == KeyType.Numeric)
        {
            var sink = new NumericSink(typeModifier, isAssignment, key);
            sink.Integer(value);
            return sink.Outcome;
        }

        var order = new OrderSink(key);
        return KeyDecoder.Integer(type, value, isAssignment, ref order);
    }

    /// <summary>A decimal constant of SQL text, such as <c>1.5e3</c>, beside or into a numeric key column.</summary>
    /// <param name="type">Type of the key column; any other than numeric is unsupported.</param>
    /// <param name="typeModifier">The column's <c>atttypmod</c>, -1 when none.</param>
    /// <param name="text">The constant without sign.</param>
    /// <param name="isNegated">A minus sign stands before it.</param>
    /// <param name="isAssignment">The value is stored into the column, not compared with it.</param>
    /// <param name="key">Gets the bytes; unchanged unless the outcome is Ok.</param>
    public static KeyHashOutcome TryDecimal(KeyType type, int typeModifier, ReadOnlySpan<byte> text, bool isNegated, bool isAssignment, ArrayBufferWriter<byte> key)
    {
        if (type != KeyType.Numeric)
        {
            return KeyHashOutcome.Unsupported;
        }

        Span<byte> digits = stackalloc byte[NumericText.MaxDigits + 1];
        var outcome = NumericText.TryParse(text, isNegated, digits, out var number);
        return outcome == KeyHashOutcome.Ok ? AddNumeric(number, typeModifier, isAssignment, key) : outcome;
    }

    private static KeyType? IntegerType(uint oid) => oid switch
    {
        Int2 => KeyType.Int2,
        Int4 => KeyType.Int4,
        Int8 => KeyType.Int8,
        _ => null,
    };

    private static KeyHashOutcome Add(KeyHashOutcome outcome, long value, ArrayBufferWriter<byte> key)
    {
        if (outcome == KeyHashOutcome.Ok)
        {
            KeyOrder.Integer(value, key);
        }

        return outcome;
    }

    private static KeyHashOutcome AddTime(KeyHashOutcome outcome, long micros, int precision, bool isAssignment, ArrayBufferWriter<byte> key) =>
        Add(outcome, isAssignment ? TimeText.Round(micros, precision) : micros, key);

    private static KeyHashOutcome AddNumeric(in NumericValue value, int typeModifier, bool isAssignment, ArrayBufferWriter<byte> key)
    {
        if (!isAssignment || typeModifier < NumericHeaderBytes)
        {
            KeyOrder.Numeric(value, key);
            return KeyHashOutcome.Ok;
        }

        // Precision in the upper half, scale in eleven signed bits of the lower.
        var precision = ((typeModifier - NumericHeaderBytes) >> 16) & 0xFFFF;
        var scale = (((typeModifier - NumericHeaderBytes) & 0x7FF) ^ 1024) - 1024;
        Span<byte> digits = stackalloc byte[NumericText.MaxDigits + 1];
        if (!value.TryRound(precision, scale, digits, out var stored))
        {
            return KeyHashOutcome.Invalid;
        }

        KeyOrder.Numeric(stored, key);
        return KeyHashOutcome.Ok;
    }

    private readonly struct OrderSink(ArrayBufferWriter<byte> key) : IKeySink
    {
        public void Integer(long value) => KeyOrder.Integer(value, key);

        public void Text(ReadOnlySpan<byte> utf8) => KeyOrder.Text(utf8, key);

        public void Uuid(ReadOnlySpan<byte> uuid) => KeyOrder.Uuid(uuid, key);
    }

    /// <summary>An integer that meets a numeric column.</summary>
    private struct NumericSink(int typeModifier, bool isAssignment, ArrayBufferWriter<byte> key) : IKeySink
    {
        private const int MostDigits = 19;

        public KeyHashOutcome Outcome { get; private set; } = KeyHashOutcome.Unsupported;

        public void Integer(long value)
        {
            Span<byte> digits = stackalloc byte[MostDigits];
            var magnitude = value < 0 ? 0 - (ulong)value : (ulong)value;
            for (var i = MostDigits - 1; i >= 0; i--)
            {
                (magnitude, var digit) = Math.DivRem(magnitude, 10);
                digits[i] = (byte)digit;
            }

            Outcome = AddNumeric(NumericValue.Finite(value < 0, digits, MostDigits), typeModifier, isAssignment, key);
        }

        public void Text(ReadOnlySpan<byte> utf8)
        {
        }

        public void Uuid(ReadOnlySpan<byte> uuid)
        {
        }
    }
}
