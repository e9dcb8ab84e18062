using System.Text;
using ShardProxy.Wire.Framing;

namespace ShardProxy.Wire.Messages;

/// <summary>
/// Reads the messages of the extended protocol (PostgreSQL documentation, "Message Formats"). Every method throws
/// <see cref="ProtocolException"/> on a malformed payload; nothing is allocated for empty names.
/// </summary>
public static class FrontendReader
{
    /// <summary>Parse: statement name, text, parameter types, and the types as they were encoded.</summary>
    public static (string Name, byte[] Sql, uint[] Types, byte[] Encoded) Parse(ReadOnlySpan<byte> payload)
    {
        var reader = new PayloadReader(payload);
        var name = Text(reader.ReadCString());
        var sql = reader.ReadCString().ToArray();
        var encoded = payload[reader.Position..].ToArray();
        var types = new uint[Math.Max(0, (int)reader.ReadInt16())];
        for (var i = 0; i < types.Length; i++)
        {
            types[i] = reader.ReadUInt32();
        }

        reader.RequireEnd();
        return (name, sql, types, encoded);
    }

    /// <summary>Bind: the names of the portal and of the statement.</summary>
    public static (string Portal, string Statement) BindNames(ReadOnlySpan<byte> payload)
    {
        var reader = new PayloadReader(payload);
        var portal = Text(reader.ReadCString());
        return (portal, Text(reader.ReadCString()));
    }

    /// <summary>Describe and Close: S for a statement or P for a portal, and its name.</summary>
    public static (byte Kind, string Name) Target(ReadOnlySpan<byte> payload)
    {
        var reader = new PayloadReader(payload);
        var kind = reader.ReadByte();
        var name = Text(reader.ReadCString());
        reader.RequireEnd();
        return kind is (byte)'S' or (byte)'P' ? (kind, name) : throw new ProtocolException("08P01", "invalid DESCRIBE or CLOSE message subtype");
    }

    /// <summary>Execute: the portal's name; the row limit is checked to be there.</summary>
    public static string ExecuteName(ReadOnlySpan<byte> payload)
    {
        var reader = new PayloadReader(payload);
        var name = Text(reader.ReadCString());
        reader.ReadInt32();
        reader.RequireEnd();
        return name;
    }

    /// <summary>Execute: the row limit; 0 for none. Negative ones mean none too, as in PostgreSQL.</summary>
    public static int ExecuteLimit(ReadOnlySpan<byte> payload)
    {
        var reader = new PayloadReader(payload);
        reader.ReadCString();
        return Math.Max(0, reader.ReadInt32());
    }

    private static string Text(ReadOnlySpan<byte> utf8) => utf8.IsEmpty ? "" : Encoding.UTF8.GetString(utf8);
}
