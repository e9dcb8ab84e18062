using System.Globalization;
using System.Text.RegularExpressions;
using ShardProxy.LocalCluster.Processes;

namespace ShardProxy.LocalCluster;

/// <summary>A directory with PostgreSQL's server programs (<c>initdb</c> and <c>postgres</c>).</summary>
/// <param name="Directory">Full path.</param>
/// <param name="MajorVersion">15 or above.</param>
public sealed partial record ServerBinaries(string Directory, int MajorVersion)
{
    /// <summary>The oldest major version ShardProxy works with.</summary>
    public const int OldestSupported = 15;

    /// <summary>Full path of one of the programs.</summary>
    public string Program(string name) => Path.Combine(Directory, name);

    /// <summary>
    /// Looks in <c>SHARDPROXY_PG_BIN</c>, then where <c>pg_config --bindir</c> points, then in the versioned directories of Debian,
    /// Red Hat and Homebrew, highest version first, then on PATH. Returns null when there is none.
    /// </summary>
    /// <exception cref="Model.Errors.ShardProxyException">SHP-708: the variable is set and does not hold.</exception>
    public static Task<ServerBinaries?> FindAsync(CancellationToken cancellationToken) =>
        FindAsync(Environment.GetEnvironmentVariable("SHARDPROXY_PG_BIN"), VersionedRoots, cancellationToken);

    internal static readonly string[] VersionedRoots =
        ["/usr/lib/postgresql", "/usr", "/opt/homebrew/opt", "/usr/local/opt", "/home/linuxbrew/.linuxbrew/opt"];

    internal static async Task<ServerBinaries?> FindAsync(string? chosen, IReadOnlyList<string> versionedRoots, CancellationToken cancellationToken)
    {
        if (!string.IsNullOrEmpty(chosen))
        {
            return await InspectAsync(chosen, cancellationToken)
                ?? throw LocalClusterErrors.BadServerDirectory(chosen, "initdb or postgres is missing there, does not run, or is older than 15");
        }

        if (ExecutableFinder.Find("pg_config") is { } config)
        {
            var answer = await ProcessRunner.RunAsync([config, "--bindir"], cancellationToken: cancellationToken);
            // The client library's development package brings pg_config without any server: only what is there counts.
            if (answer.ExitCode == 0 && await InspectAsync(answer.Output.Trim(), cancellationToken) is { } configured)
            {
                return configured;
            }
        }

        foreach (var directory in VersionedDirectories(versionedRoots))
        {
            if (await InspectAsync(directory, cancellationToken) is { } found)
            {
                return found;
            }
        }

        return ExecutableFinder.Find("postgres") is { } onPath
            ? await InspectAsync(Path.GetDirectoryName(onPath)!, cancellationToken)
            : null;
    }

    /// <summary>Directories that look like a versioned installation, highest version first.</summary>
    internal static IEnumerable<string> VersionedDirectories(IReadOnlyList<string> roots) =>
        roots.Where(System.IO.Directory.Exists)
            .SelectMany(root => System.IO.Directory.EnumerateDirectories(root).Select(directory => (directory, match: VersionedName().Match(Path.GetFileName(directory)))))
            .Where(candidate => candidate.match.Success)
            .Select(candidate => (path: Path.Combine(candidate.directory, "bin"), version: int.Parse(candidate.match.Groups[1].Value, CultureInfo.InvariantCulture)))
            .Where(candidate => candidate.version >= OldestSupported && System.IO.Directory.Exists(candidate.path))
            .OrderByDescending(candidate => candidate.version)
            .Select(candidate => candidate.path);

    private static async Task<ServerBinaries?> InspectAsync(string directory, CancellationToken cancellationToken)
    {
        if (!File.Exists(Path.Combine(directory, "initdb")) || !File.Exists(Path.Combine(directory, "postgres")))
        {
            return null;
        }

        var answer = await ProcessRunner.RunAsync([Path.Combine(directory, "postgres"), "-V"], cancellationToken: cancellationToken);
        var match = VersionLine().Match(answer.Output);
        return answer.ExitCode == 0 && match.Success && int.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture) is var version and >= OldestSupported
            ? new ServerBinaries(Path.GetFullPath(directory), version)
            : null;
    }

    [GeneratedRegex(@"^(?:pgsql-|postgresql@)?(\d{1,2})$")]
    private static partial Regex VersionedName();

    [GeneratedRegex(@"^postgres \(PostgreSQL\) (\d+)")]
    private static partial Regex VersionLine();
}
