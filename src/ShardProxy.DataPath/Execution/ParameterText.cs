using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using ShardProxy.DataPath.Routing;
using ShardProxy.Model.Topology;

namespace ShardProxy.DataPath.Execution;

/// <summary>Writes bound parameters as SQL constants of the same type and value, for commands that take no parameters (COPY of a query).</summary>
internal static class ParameterText
{
    /// <summary>The constant; null when the type is not known here, or the value comes in a format that is not read here.</summary>
    /// <param name="parameters">The bound values.</param>
    /// <param name="index">Which one, from 0.</param>
    /// <param name="typeOid">The type the server gives the parameter (pg_type.dat).</param>
    public static string? Constant(BoundParameters parameters, int index, uint typeOid)
    {
        if (index < 0 || index >= parameters.Count || TypeName(typeOid) is not { } type)
        {
            return null;
        }

        if (parameters.IsNull(index))
        {
            return $"(NULL::{type})";
        }

        var value = parameters.Value(index);
        var text = parameters.IsBinary(index) ? FromBinary(value, typeOid) : Utf8(value);
        return text is null ? null : $"({SqlIdentifier.Literal(text)}::{type})";
    }

    private static string? FromBinary(ReadOnlySpan<byte> value, uint typeOid) => (typeOid, value.Length) switch
    {
        (16, 1) => value[0] != 0 ? "true" : "false",
        (20, 8) => BinaryPrimitives.ReadInt64BigEndian(value).ToString(CultureInfo.InvariantCulture),
        (21, 2) => BinaryPrimitives.ReadInt16BigEndian(value).ToString(CultureInfo.InvariantCulture),
        (23, 4) => BinaryPrimitives.ReadInt32BigEndian(value).ToString(CultureInfo.InvariantCulture),
        (2950, 16) => new Guid(value, bigEndian: true).ToString(),
        (25 or 1042 or 1043, _) => Utf8(value),
        _ => null,
    };

    private static string? Utf8(ReadOnlySpan<byte> value) => System.Text.Unicode.Utf8.IsValid(value) && !value.Contains((byte)0) ? Encoding.UTF8.GetString(value) : null;

    private static string? TypeName(uint oid) => oid switch
    {
        16 => "pg_catalog.bool",
        20 => "pg_catalog.int8",
        21 => "pg_catalog.int2",
        23 => "pg_catalog.int4",
        25 => "pg_catalog.text",
        700 => "pg_catalog.float4",
        701 => "pg_catalog.float8",
        1042 => "pg_catalog.bpchar",
        1043 => "pg_catalog.varchar",
        1082 => "pg_catalog.date",
        1083 => "pg_catalog.time",
        1114 => "pg_catalog.timestamp",
        1184 => "pg_catalog.timestamptz",
        1186 => "pg_catalog.interval",
        1700 => "pg_catalog.numeric",
        2950 => "pg_catalog.uuid",
        _ => null,
    };
}
