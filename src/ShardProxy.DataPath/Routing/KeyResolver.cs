using System.Buffers;
using ShardProxy.Model.Keys;
using ShardProxy.Model.Topology;
using ShardProxy.Sql;

namespace ShardProxy.DataPath.Routing;

/// <summary>What a key source turned out to be.</summary>
internal enum KeyOutcome
{
    Found,

    /// <summary>NULL, or text PostgreSQL itself rejects: no row can match, or the server raises the error. Any node will do.</summary>
    NoRow,

    /// <summary>Not provable: refuse.</summary>
    Unproven,
}

/// <summary>Reads key sources with the values of one call. Allocates nothing for literals and parameters without escapes.</summary>
internal static class KeyResolver
{
    private const uint NumericOid = 1700;

    /// <summary>Gives one key column's value to the reader, which adds it to what it has of the key.</summary>
    public static KeyOutcome Resolve<TReader>(in KeyInput input, in KeySource source, KeyType type, int typeModifier, bool isAssignment, ref TReader reader)
        where TReader : struct, IKeyReader
    {
        uint cast = 0;
        if (source.CastType is { } castName && (cast = CastOid(castName)) == 0)
        {
            return KeyOutcome.Unproven;
        }

        switch (source.Kind)
        {
            case KeySourceKind.Null:
                return KeyOutcome.NoRow;
            case KeySourceKind.Parameter:
                return Parameter(input, source, type, typeModifier, cast, isAssignment, ref reader);
            default:
                return Literal(input, source, type, typeModifier, cast, isAssignment, ref reader);
        }
    }

    private static KeyOutcome Parameter<TReader>(
        in KeyInput input, in KeySource source, KeyType type, int typeModifier, uint cast, bool isAssignment, ref TReader reader)
        where TReader : struct, IKeyReader
    {
        if (input.Parameters is not { } parameters || source.Index >= parameters.Count || source.Negated)
        {
            return KeyOutcome.Unproven;
        }

        var declared = source.Index < parameters.TypeOids.Length ? parameters.TypeOids[source.Index] : 0;
        if (cast != 0)
        {
            // The server types an undeclared parameter by its cast; a declared one of another type is converted first. From integer to integer
            // that keeps the value, or fails wherever it runs.
            if (declared is 0 or 705)
            {
                declared = cast;
            }
            else if (declared != cast && !(IsIntegerOid(declared) && IsIntegerOid(cast)))
            {
                return KeyOutcome.Unproven;
            }
        }

        if (parameters.IsNull(source.Index))
        {
            return KeyOutcome.NoRow;
        }

        var value = parameters.Value(source.Index);
        var outcome = parameters.IsBinary(source.Index)
            ? reader.Binary(type, typeModifier, declared, value, isAssignment)
            : reader.Text(type, typeModifier, declared, value, isAssignment);
        return Map(outcome);
    }

    private static KeyOutcome Literal<TReader>(
        in KeyInput input, in KeySource source, KeyType type, int typeModifier, uint cast, bool isAssignment, ref TReader reader)
        where TReader : struct, IKeyReader
    {
        var literal = input.Literals[source.Index];
        if (literal.Kind == LiteralKind.Integer)
        {
            if (!LiteralReader.TryReadInt64(input.Text, literal, source.Negated, out var number) || (cast != 0 && !IsIntegerOid(cast) && (cast != NumericOid || type != KeyType.Numeric)))
            {
                return KeyOutcome.Unproven;
            }

            if (cast != 0 && !FitsOid(cast, number))
            {
                return KeyOutcome.NoRow;
            }

            return Map(reader.Integer(type, typeModifier, number, isAssignment));
        }

        if (literal.Kind == LiteralKind.Decimal && cast is 0 or NumericOid)
        {
            return Map(reader.Decimal(type, typeModifier, input.Text.Slice(literal.Offset, literal.Length), source.Negated, isAssignment));
        }

        if (source.Negated || literal.Kind is LiteralKind.Decimal or LiteralKind.BitString)
        {
            return KeyOutcome.Unproven;
        }

        var writer = Scratch;
        writer.ResetWrittenCount();
        if (!LiteralReader.TryReadText(input.Text, literal, writer))
        {
            return KeyOutcome.Unproven;
        }

        return Map(reader.Text(type, typeModifier, cast, writer.WrittenSpan, isAssignment));
    }

    [ThreadStatic]
    private static ArrayBufferWriter<byte>? _scratch;

    private static ArrayBufferWriter<byte> Scratch => _scratch ??= new ArrayBufferWriter<byte>(256);

    private static KeyOutcome Map(KeyHashOutcome outcome) => outcome switch
    {
        KeyHashOutcome.Ok => KeyOutcome.Found,
        KeyHashOutcome.Invalid => KeyOutcome.NoRow,
        _ => KeyOutcome.Unproven,
    };

    private static bool IsIntegerOid(uint oid) => oid is 20 or 21 or 23;

    private static bool FitsOid(uint oid, long value) => oid switch
    {
        21 => value is >= short.MinValue and <= short.MaxValue,
        23 => value is >= int.MinValue and <= int.MaxValue,
        _ => true,
    };

    // Casts that keep the value as the key's own type would read it. Lower-case as the parser prints them.
    private static uint CastOid(string castType) => castType switch
    {
        "int2" or "smallint" or "pg_catalog.int2" => 21,
        "int4" or "int" or "integer" or "pg_catalog.int4" => 23,
        "int8" or "bigint" or "pg_catalog.int8" => 20,
        "text" or "pg_catalog.text" => 25,
        "varchar" or "pg_catalog.varchar" or "character varying" => 1043,
        "uuid" or "pg_catalog.uuid" => 2950,
        "date" or "pg_catalog.date" => 1082,
        "timestamp" or "pg_catalog.timestamp" => 1114,
        "timestamptz" or "pg_catalog.timestamptz" => 1184,
        "numeric" or "decimal" or "pg_catalog.numeric" => NumericOid,
        _ => 0,
    };
}
