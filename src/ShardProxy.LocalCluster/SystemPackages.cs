using ShardProxy.LocalCluster.Processes;
using ShardProxy.LocalCluster.Setup;
using ShardProxy.Model.Errors;

namespace ShardProxy.LocalCluster;

/// <summary>Packages of Debian and Ubuntu that a test needs beside PostgreSQL and that bring no program to look for: libraries of languages.</summary>
public static class SystemPackages
{
    /// <summary>Makes sure that the packages are there; installs those missing, all at once, when allowed to and able to (root on Debian or Ubuntu).</summary>
    /// <param name="packages">Their names.</param>
    /// <param name="installMissing">Whether installing is allowed.</param>
    /// <param name="output">Receives lines of progress; what will be installed is said before it is.</param>
    /// <param name="cancellationToken">Ends the wait and the package manager.</param>
    /// <exception cref="ShardProxyException">SHP-701 with the exact install line as its hint; SHP-702.</exception>
    public static async Task EnsureAsync(IReadOnlyList<string> packages, bool installMissing, Action<string> output, CancellationToken cancellationToken = default)
    {
        var missing = await MissingAsync(packages, cancellationToken);
        if (missing.Count == 0)
        {
            return;
        }

        var system = HostSystem.Current();
        if (installMissing && system is { HasApt: true, IsRoot: true })
        {
            output($"will refresh the package lists and install {string.Join(' ', missing)} from the system's packages: a minute or two; no service is started");
            var installer = new PackageInstaller(output, new InstallGuards());
            await installer.UpdateAsync(cancellationToken);
            await installer.InstallAsync(missing, cancellationToken);
            missing = await MissingAsync(packages, cancellationToken);
        }

        if (missing.Count > 0)
        {
            var names = string.Join(' ', missing);
            throw LocalClusterErrors.PrerequisitesMissing(names, SystemProgram.InstallLine(system, names));
        }
    }

    // "ii" is installed; a package that was removed keeps a line of its own.
    private static async Task<IReadOnlyList<string>> MissingAsync(IReadOnlyList<string> packages, CancellationToken cancellationToken)
    {
        var answer = await ProcessRunner.RunAsync(["dpkg-query", "-W", "-f=${db:Status-Abbrev} ${Package}\n", .. packages], cancellationToken: cancellationToken);
        var present = answer.Output.Split('\n').Where(l => l.StartsWith("ii", StringComparison.Ordinal)).Select(l => l.Split(' ', StringSplitOptions.RemoveEmptyEntries)[^1]).ToHashSet();
        return [.. packages.Where(p => !present.Contains(p))];
    }
}
