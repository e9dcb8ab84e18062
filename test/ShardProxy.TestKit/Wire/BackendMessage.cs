using System.Globalization;
using System.Text;

namespace ShardProxy.TestKit.Wire;

/// <summary>Reads what a server's message says.</summary>
public static class BackendMessage
{
    /// <summary>
    /// One line a message: its type and, in brackets, what tests look at: <c>T[id:23,name:25]</c>, <c>D[1|null]</c>,
    /// <c>C[SELECT 1]</c>, <c>E[42P01 relation "x" does not exist]</c>, <c>Z[I]</c>.
    /// </summary>
    public static string Describe(this WireMessage message)
    {
        var text = message.Type switch
        {
            'T' => string.Join(',', message.Columns().Select(c => string.Create(CultureInfo.InvariantCulture, $"{c.Name}:{c.TypeOid}"))),
            'D' => string.Join('|', message.Values().Select(v => v is null ? "null" : Printable(v))),
            'C' or 'S' => Printable(message.Body),
            'E' or 'N' => $"{message.Field('C')} {message.Field('M')}",
            'Z' => Printable(message.Body),
            'R' => Authentication(message).Code.ToString(CultureInfo.InvariantCulture),
            't' => string.Join(',', message.ParameterTypes()),
            'd' => Printable(message.Body),
            _ => "",
        };
        return text.Length == 0 ? message.Type.ToString() : $"{message.Type}[{text}]";
    }

    /// <summary>Columns of a RowDescription.</summary>
    public static IReadOnlyList<(string Name, uint TypeOid, int Format)> Columns(this WireMessage message)
    {
        var reader = new MessageReader(message.Body);
        var columns = new (string, uint, int)[reader.Int16()];
        for (var i = 0; i < columns.Length; i++)
        {
            var name = reader.String();
            reader.Take(6);
            var type = (uint)reader.Int32();
            reader.Take(6);
            columns[i] = (name, type, reader.Int16());
        }

        return columns;
    }

    /// <summary>Values of a DataRow.</summary>
    public static IReadOnlyList<byte[]?> Values(this WireMessage message)
    {
        var reader = new MessageReader(message.Body);
        var values = new byte[]?[reader.Int16()];
        for (var i = 0; i < values.Length; i++)
        {
            values[i] = reader.Value();
        }

        return values;
    }

    /// <summary>A field of an ErrorResponse or NoticeResponse (section 55.8), or null.</summary>
    public static string? Field(this WireMessage message, char code)
    {
        var reader = new MessageReader(message.Body);
        while (!reader.IsAtEnd)
        {
            var found = reader.Byte();
            if (found == 0)
            {
                return null;
            }

            var value = reader.String();
            if (found == code)
            {
                return value;
            }
        }

        return null;
    }

    /// <summary>Types of a ParameterDescription.</summary>
    public static IReadOnlyList<uint> ParameterTypes(this WireMessage message)
    {
        var reader = new MessageReader(message.Body);
        var types = new uint[reader.Int16()];
        for (var i = 0; i < types.Length; i++)
        {
            types[i] = (uint)reader.Int32();
        }

        return types;
    }

    /// <summary>The two strings of a ParameterStatus.</summary>
    public static (string Name, string Value) Parameter(this WireMessage message)
    {
        var reader = new MessageReader(message.Body);
        var name = reader.String();
        return (name, reader.String());
    }

    /// <summary>The code and the data of an authentication request.</summary>
    public static (int Code, byte[] Data) Authentication(this WireMessage message)
    {
        var reader = new MessageReader(message.Body);
        var code = reader.Int32();
        return (code, reader.Rest.ToArray());
    }

    private static string Printable(byte[] bytes) => Encoding.UTF8.GetString(bytes).TrimEnd('\0');
}
