using System.Runtime.InteropServices;
using System.Text;

namespace ShardProxy.Unit.Tests.Sql;

/// <summary>PostgreSQL's own lexer, through <c>pg_query_scan</c> of libpg_query, whose answer is a protobuf message.</summary>
internal sealed unsafe class ReferenceLexer
{
    private const int SqlComment = 275;
    private const int CComment = 276;

    private readonly delegate* unmanaged[Cdecl]<byte*, ScanResult> _scan;
    private readonly delegate* unmanaged[Cdecl]<ScanResult, void> _free;

    public ReferenceLexer()
    {
        var chosen = Environment.GetEnvironmentVariable("SHARDPROXY_PG_QUERY");
        var library = NativeLibrary.Load(string.IsNullOrEmpty(chosen) ? "libpg_query.so.1504.0" : chosen);
        _scan = (delegate* unmanaged[Cdecl]<byte*, ScanResult>)NativeLibrary.GetExport(library, "pg_query_scan");
        _free = (delegate* unmanaged[Cdecl]<ScanResult, void>)NativeLibrary.GetExport(library, "pg_query_free_scan_result");
    }

    /// <summary>
    /// The first byte of every token but comments, or null when the lexer refuses the text. Ends are left out: those of prefixed
    /// and continued strings come out wrong.
    /// </summary>
    public List<int>? TryCut(string text)
    {
        var bytes = Encoding.UTF8.GetBytes(text + "\0");
        fixed (byte* pointer = bytes)
        {
            var result = _scan(pointer);
            try
            {
                return result.Error != null ? null : Read(new ReadOnlySpan<byte>(result.Data, (int)result.Length));
            }
            finally
            {
                _free(result);
            }
        }
    }

    private static List<int> Read(ReadOnlySpan<byte> message)
    {
        var tokens = new List<int>();
        while (!message.IsEmpty)
        {
            var tag = Varint(ref message);
            var value = (int)Varint(ref message);
            if (tag == ((2 << 3) | 2))
            {
                AddToken(message[..value], tokens);
                message = message[value..];
            }
        }

        return tokens;
    }

    private static void AddToken(ReadOnlySpan<byte> message, List<int> tokens)
    {
        int start = 0, kind = 0;
        while (!message.IsEmpty)
        {
            var field = Varint(ref message) >> 3;
            var value = (int)Varint(ref message);
            switch (field)
            {
                case 1:
                    start = value;
                    break;
                case 4:
                    kind = value;
                    break;
                default:
                    break;
            }
        }

        if (kind is not (SqlComment or CComment))
        {
            tokens.Add(start);
        }
    }

    private static ulong Varint(ref ReadOnlySpan<byte> message)
    {
        ulong value = 0;
        for (var shift = 0; ; shift += 7)
        {
            var current = message[0];
            message = message[1..];
            value |= (ulong)(current & 0x7F) << shift;
            if (current < 128)
            {
                return value;
            }
        }
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct ScanResult
    {
        public nuint Length;
        public byte* Data;
        public byte* ErrorBuffer;
        public void* Error;
    }
}
