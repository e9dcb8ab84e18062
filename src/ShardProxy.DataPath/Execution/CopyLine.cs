using System.Buffers;

namespace ShardProxy.DataPath.Execution;

/// <summary>Rows as lines of COPY (PostgreSQL documentation, COPY, "Text Format").</summary>
internal static class CopyLine
{
    /// <summary>Writes one row of text values, its line end included.</summary>
    public static void Write(IBufferWriter<byte> to, byte[]?[] row)
    {
        for (var i = 0; i < row.Length; i++)
        {
            to.Write(i > 0 ? "\t"u8 : default);
            if (row[i] is not { } value)
            {
                to.Write("\\N"u8);
                continue;
            }

            foreach (var b in value)
            {
                switch (b)
                {
                    case (byte)'\\':
                        to.Write("\\\\"u8);
                        break;
                    case (byte)'\n':
                        to.Write("\\n"u8);
                        break;
                    case (byte)'\r':
                        to.Write("\\r"u8);
                        break;
                    case (byte)'\t':
                        to.Write("\\t"u8);
                        break;
                    default:
                        to.Write([b]);
                        break;
                }
            }
        }

        to.Write("\n"u8);
    }
}
