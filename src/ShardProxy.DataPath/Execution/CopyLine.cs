using System.Buffers;
using ShardProxy.DataPath.Servers;
using ShardProxy.Wire.Messages;

namespace ShardProxy.DataPath.Execution;

/// <summary>Rows as text, and as lines of COPY (PostgreSQL documentation, COPY, "Text Format").</summary>
internal static class CopyLine
{
    /// <summary>SQL that is true where the session's settings give every value a text that is read back as the same.</summary>
    public const string IsExactSql =
        "pg_catalog.current_setting('extra_float_digits')::pg_catalog.int4 > 0 AND pg_catalog.current_setting('DateStyle') LIKE 'ISO%' AND pg_catalog.current_setting('IntervalStyle') = 'postgres'";

    /// <summary>Runs a COPY FROM STDIN with these lines on a server; the result is its last reply, or what it has against the command.</summary>
    /// <exception cref="EndOfStreamException">The server was lost.</exception>
    public static async ValueTask<DialogResult> SendAsync(ServerConnection server, string copySql, ReadOnlyMemory<byte> lines)
    {
        var begun = await SideDialog.RunAsync(server, copySql).ConfigureAwait(false);
        if (!begun.IsOk)
        {
            return begun;
        }

        MessageWriter.Raw(server.Output, FrontendTag.CopyData, lines.Span);
        MessageWriter.Empty(server.Output, FrontendTag.CopyDone);
        await server.Output.FlushAsync().ConfigureAwait(false);
        return await SideDialog.CollectAsync(server).ConfigureAwait(false);
    }

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
