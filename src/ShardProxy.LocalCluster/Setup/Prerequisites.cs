using ShardProxy.LocalCluster.Setup;
using ShardProxy.Model.Errors;

namespace ShardProxy.LocalCluster;

/// <summary>What the machine must have before anything local can start, and how to get it.</summary>
/// <param name="Server">The server programs found, or null.</param>
/// <param name="ParserLibraryPath">libpg_query's shared library, or null.</param>
public sealed record Prerequisites(ServerBinaries? Server, string? ParserLibraryPath)
{
    public bool IsComplete => Server is not null && ParserLibraryPath is not null;

    /// <summary>Looks at the machine; changes nothing.</summary>
    /// <exception cref="ShardProxyException">SHP-708.</exception>
    public static async Task<Prerequisites> ProbeAsync(CancellationToken cancellationToken = default) =>
        new(await ServerBinaries.FindAsync(cancellationToken), ParserLibrary.Find());

    /// <summary>
    /// Makes sure that the server programs and libpg_query are there, installing them from the system's packages when asked to and
    /// able to (root on Debian or Ubuntu). Says what it does, how long that takes and what it will install before it does.
    /// </summary>
    /// <param name="installMissing">Whether installing is allowed.</param>
    /// <param name="output">Receives lines of progress.</param>
    /// <param name="cancellationToken">Ends the wait and the package manager.</param>
    /// <exception cref="ShardProxyException">SHP-701 with the exact install line as its hint; SHP-702.</exception>
    public static async Task<ServerBinaries> EnsureAsync(bool installMissing, Action<string> output, CancellationToken cancellationToken = default)
    {
        var found = await ProbeAsync(cancellationToken);
        if (found.IsComplete)
        {
            return found.Server!;
        }

        var system = HostSystem.Current();
        if (!installMissing || !system.HasApt || !system.IsRoot)
        {
            throw await found.MissingAsync(system, cancellationToken);
        }

        output($"missing on this machine: {found.Describe()}");
        output("will refresh the package lists and install it from the system's packages: about a minute and 60 MB; no default database cluster is created and no service started");
        var installer = new PackageInstaller(output, new InstallGuards());
        await installer.UpdateAsync(cancellationToken);
        var packages = await found.PackagesAsync(system, cancellationToken);
        output($"installing {string.Join(" and ", packages)}");
        await installer.InstallAsync(packages, cancellationToken);

        found = await ProbeAsync(cancellationToken);
        output(found.IsComplete ? "installed" : $"still missing after the installation: {found.Describe()}");
        return found.IsComplete ? found.Server! : throw await found.MissingAsync(system, cancellationToken);
    }

    /// <summary>The server programs alone, for a cluster without a proxy.</summary>
    internal static async Task<ServerBinaries> RequireServerAsync(CancellationToken cancellationToken)
    {
        var found = new Prerequisites(await ServerBinaries.FindAsync(cancellationToken), "");
        return found.Server ?? throw await found.MissingAsync(HostSystem.Current(), cancellationToken);
    }

    internal string Describe() => (Server, ParserLibraryPath) switch
    {
        (null, null) => "a PostgreSQL server (15 or newer) and libpg_query",
        (null, _) => "a PostgreSQL server (15 or newer)",
        _ => "libpg_query",
    };

    /// <summary>One line to type that installs what is missing.</summary>
    internal async Task<string> InstallLineAsync(HostSystem system, CancellationToken cancellationToken)
    {
        if (system.HasApt)
        {
            var sudo = system.IsRoot ? "" : "sudo ";
            var packages = string.Join(' ', await PackagesAsync(system, cancellationToken));
            return $"{sudo}apt-get update && {sudo}apt-get install -y --no-install-recommends {packages}";
        }

        if (system.IsMacOS)
        {
            return "brew install " + string.Join(' ', Needed("postgresql@17", "libpg_query"));
        }

        return $"install {Describe()} with your system's package manager, or point {string.Join(" and ", Needed("SHARDPROXY_PG_BIN", "SHARDPROXY_PG_QUERY"))} at it";
    }

    private async Task<IReadOnlyList<string>> PackagesAsync(HostSystem system, CancellationToken cancellationToken) =>
        Needed(PackageNames.Server(system), ParserLibraryPath is null ? await PackageNames.ParserAsync(system, cancellationToken) : "");

    private string[] Needed(string server, string parser) =>
        [.. Server is null ? [server] : Array.Empty<string>(), .. ParserLibraryPath is null ? [parser] : Array.Empty<string>()];

    private async Task<ShardProxyException> MissingAsync(HostSystem system, CancellationToken cancellationToken) =>
        LocalClusterErrors.PrerequisitesMissing(Describe(), await InstallLineAsync(system, cancellationToken));
}
