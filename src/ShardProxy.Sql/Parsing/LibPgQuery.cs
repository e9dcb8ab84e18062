using System.Runtime.InteropServices;
using System.Text;
using ShardProxy.Model.Errors;

namespace ShardProxy.Sql.Parsing;

/// <summary>
/// Binding to libpg_query, PostgreSQL's own parser as a C library (https://github.com/pganalyze/libpg_query). Only
/// <c>pg_query_parse</c> is used: it gives the raw parse tree as JSON. The library keeps its memory per thread and must be given text
/// without NUL, in valid UTF-8 and of bounded depth: it ends the process by stack overflow otherwise.
/// </summary>
internal sealed unsafe class LibPgQuery
{
    private const string Variable = "SHARDPROXY_PG_QUERY";

    /// <summary>Only trees of PostgreSQL 15 and later have the form the walkers read.</summary>
    private const int MinimumVersion = 150_000;

    private static readonly string[] KnownNames =
    [
        "libpg_query.so.1504.0", "libpg_query.so.1505.0", "libpg_query.so.1503.0", "libpg_query.so.15", "libpg_query.so",
        "/usr/lib/x86_64-linux-gnu/libpg_query.so.1504.0", "/usr/lib/aarch64-linux-gnu/libpg_query.so.1504.0",
        "libpg_query.so.1605.1", "libpg_query.so.1605.0", "libpg_query.so.1705.0", "libpg_query.so.1706.0",
        "/opt/homebrew/lib/libpg_query.dylib", "/usr/local/lib/libpg_query.dylib", "/home/linuxbrew/.linuxbrew/lib/libpg_query.so",
        "/usr/local/lib/libpg_query.so",
    ];

    private static readonly Lock Loading = new();
    private static LibPgQuery? _loaded;

    private readonly delegate* unmanaged[Cdecl]<byte*, ParseResult> _parse;
    private readonly delegate* unmanaged[Cdecl]<ParseResult, void> _free;

    private LibPgQuery(nint library)
    {
        _parse = (delegate* unmanaged[Cdecl]<byte*, ParseResult>)NativeLibrary.GetExport(library, "pg_query_parse");
        _free = (delegate* unmanaged[Cdecl]<ParseResult, void>)NativeLibrary.GetExport(library, "pg_query_free_parse_result");
    }

    /// <summary>Finds and loads the library: <c>SHARDPROXY_PG_QUERY</c>, then its known names.</summary>
    /// <exception cref="ShardProxyException">SHP-701 with the line that installs it.</exception>
    public static LibPgQuery Load()
    {
        lock (Loading)
        {
            return _loaded ??= Probe();
        }
    }

    /// <summary>Parses text that ends in one NUL.</summary>
    /// <param name="terminated">The text.</param>
    /// <returns>The tree as UTF-8 JSON, or null when the text does not parse.</returns>
    public byte[]? Parse(ReadOnlySpan<byte> terminated)
    {
        if (terminated.IsEmpty || terminated[^1] != 0)
        {
            throw new ArgumentException("the text must end in NUL", nameof(terminated));
        }

        fixed (byte* text = terminated)
        {
            var result = _parse(text);
            try
            {
                return result.Error != null || result.Tree == null
                    ? null
                    : MemoryMarshal.CreateReadOnlySpanFromNullTerminated(result.Tree).ToArray();
            }
            finally
            {
                _free(result);
            }
        }
    }

    private static LibPgQuery Probe()
    {
        var chosen = Environment.GetEnvironmentVariable(Variable);
        if (!string.IsNullOrEmpty(chosen))
        {
            return NativeLibrary.TryLoad(chosen, out var named)
                ? Checked(named, chosen)
                : throw Missing($"The library named by {Variable} cannot be loaded.");
        }

        foreach (var name in KnownNames)
        {
            if (NativeLibrary.TryLoad(name, out var library))
            {
                return Checked(library, name);
            }
        }

        throw Missing(null);
    }

    private static LibPgQuery Checked(nint library, string name)
    {
        var loaded = new LibPgQuery(library);
        var tree = Encoding.UTF8.GetString(loaded.Parse("SELECT 1\0"u8) ?? []);
        const string Start = "{\"version\":";
        var digits = tree.StartsWith(Start, StringComparison.Ordinal) ? tree[Start.Length..].TakeWhile(char.IsAsciiDigit).ToArray() : [];
        return int.TryParse(digits, out var version) && version >= MinimumVersion
            ? loaded
            : throw Missing($"{name} parses an older grammar than PostgreSQL 15's.");
    }

    private static ShardProxyException Missing(string? detail) => new(new ShardProxyError(
        "58P01",
        "SHP-701",
        "libpg_query, the SQL parser library, is not installed",
        $"Install it: apt-get install libpg-query1504.0 (Debian 12), or brew install libpg_query; or set {Variable} to its file.",
        detail));

    [StructLayout(LayoutKind.Sequential)]
    private struct ParseResult
    {
        public byte* Tree;
        public byte* ErrorBuffer;
        public void* Error;
    }
}
