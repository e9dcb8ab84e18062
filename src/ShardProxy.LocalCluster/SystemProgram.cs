using ShardProxy.LocalCluster.Processes;
using ShardProxy.LocalCluster.Setup;
using ShardProxy.Model.Errors;

namespace ShardProxy.LocalCluster;

/// <summary>A program of the system that a test or a bench needs beside PostgreSQL, and the package that brings it.</summary>
public static class SystemProgram
{
    /// <summary>Full path of the program, or null. The sbin directories are searched even when PATH lacks them.</summary>
    public static string? Find(string program) => ExecutableFinder.Find(program);

    /// <summary>Makes sure that the program is there; installs its package when allowed to and able to (root on Debian or Ubuntu).</summary>
    /// <param name="program">Its file name, such as <c>promtool</c>.</param>
    /// <param name="package">The package's name on Debian and Ubuntu.</param>
    /// <param name="installMissing">Whether installing is allowed.</param>
    /// <param name="output">Receives lines of progress; what will be installed is said before it is.</param>
    /// <param name="cancellationToken">Ends the wait and the package manager.</param>
    /// <returns>Full path of the program.</returns>
    /// <exception cref="ShardProxyException">SHP-701 with the exact install line as its hint; SHP-702.</exception>
    public static async Task<string> EnsureAsync(
        string program, string package, bool installMissing, Action<string> output, CancellationToken cancellationToken = default)
    {
        if (Find(program) is { } found)
        {
            return found;
        }

        var system = HostSystem.Current();
        if (installMissing && system is { HasApt: true, IsRoot: true })
        {
            output($"missing on this machine: {program}");
            output($"will refresh the package lists and install {package} from the system's packages: about a minute; no service is started");
            var installer = new PackageInstaller(output, new InstallGuards());
            await installer.UpdateAsync(cancellationToken);
            await installer.InstallAsync([package], cancellationToken);
        }

        return Find(program) ?? throw LocalClusterErrors.PrerequisitesMissing(program, InstallLine(system, package));
    }

    internal static string InstallLine(HostSystem system, string package)
    {
        var sudo = system.IsRoot ? "" : "sudo ";
        return system switch
        {
            { HasApt: true } => $"{sudo}apt-get update && {sudo}apt-get install -y --no-install-recommends {package}",
            { IsMacOS: true } => $"brew install {package}",
            _ => $"install {package} with your system's package manager",
        };
    }
}
