using ShardProxy.Wire.Framing;

namespace ShardProxy.DataPath.Execution;

/// <summary>The columns of a RowDescription message (PostgreSQL documentation, "Message Formats").</summary>
internal static class RowShape
{
    // FirstNormalObjectId of transam.h: types below are PostgreSQL's own.
    private const uint FirstUserOid = 16384;

    /// <summary>The columns' type OIDs; the payload of a NoData is empty.</summary>
    public static uint[] Types(ReadOnlySpan<byte> rowDescription)
    {
        if (rowDescription.IsEmpty)
        {
            return [];
        }

        var reader = new PayloadReader(rowDescription);
        var types = new uint[reader.ReadInt16()];
        for (var i = 0; i < types.Length; i++)
        {
            reader.ReadCString();
            reader.ReadBytes(6);
            types[i] = reader.ReadUInt32();
            reader.ReadBytes(8);
        }

        return types;
    }

    /// <summary>The columns' names.</summary>
    public static string[] Names(ReadOnlySpan<byte> rowDescription)
    {
        if (rowDescription.IsEmpty)
        {
            return [];
        }

        var reader = new PayloadReader(rowDescription);
        var names = new string[reader.ReadInt16()];
        for (var i = 0; i < names.Length; i++)
        {
            names[i] = System.Text.Encoding.UTF8.GetString(reader.ReadCString());
            reader.ReadBytes(18);
        }

        return names;
    }

    /// <summary>Both have the same number of columns, of the same types; a whole row of a table and one of its copy count as the same.</summary>
    public static bool SameTypes(ReadOnlySpan<byte> one, ReadOnlySpan<byte> other)
    {
        var (types, others) = (Types(one), Types(other));
        return types.Length == others.Length && types.Zip(others).All(p => p.First == p.Second || (p.First >= FirstUserOid && p.Second >= FirstUserOid));
    }
}
