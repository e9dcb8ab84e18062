using System.Runtime.InteropServices;

namespace ShardProxy.LocalCluster.Setup;

/// <summary>
/// Looks for libpg_query's shared library by file name, to say before the start what has to be installed. Loading and
/// checking it is the SQL part's business.
/// </summary>
internal static class ParserLibrary
{
    /// <summary>Full path, or null. <c>SHARDPROXY_PG_QUERY</c> comes first and, when set, must exist.</summary>
    public static string? Find() => Find(Environment.GetEnvironmentVariable("SHARDPROXY_PG_QUERY"), SearchDirectories());

    internal static string? Find(string? chosen, IEnumerable<string> directories)
    {
        if (!string.IsNullOrEmpty(chosen))
        {
            return File.Exists(chosen) ? chosen : null;
        }

        var pattern = OperatingSystem.IsMacOS() ? "libpg_query*.dylib" : "libpg_query.so*";
        return directories.Where(Directory.Exists)
            .SelectMany(directory => Directory.EnumerateFiles(directory, pattern))
            .FirstOrDefault();
    }

    private static IEnumerable<string> SearchDirectories()
    {
        var path = Environment.GetEnvironmentVariable(OperatingSystem.IsMacOS() ? "DYLD_LIBRARY_PATH" : "LD_LIBRARY_PATH") ?? "";
        var triplet = RuntimeInformation.ProcessArchitecture switch
        {
            Architecture.X64 => "x86_64-linux-gnu",
            Architecture.Arm64 => "aarch64-linux-gnu",
            _ => "",
        };
        return
        [
            .. path.Split(':', StringSplitOptions.RemoveEmptyEntries), AppContext.BaseDirectory,
            $"/usr/lib/{triplet}", $"/lib/{triplet}", "/usr/lib64", "/usr/lib", "/usr/local/lib", "/opt/homebrew/lib", "/home/linuxbrew/.linuxbrew/lib",
        ];
    }
}
