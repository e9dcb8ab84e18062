using ShardProxy.LocalCluster.Processes;

namespace ShardProxy.LocalCluster.Setup;

/// <summary>
/// Installs packages on Debian and Ubuntu without the side effects their scripts have by default: no default cluster is
/// created and no service is started. What this puts in place for the duration is taken away again, whatever happens.
/// </summary>
internal sealed class PackageInstaller(Action<string> output, InstallGuards guards)
{
    private static readonly Dictionary<string, string> Quiet = new() { ["DEBIAN_FRONTEND"] = "noninteractive", ["DEBCONF_NONINTERACTIVE_SEEN"] = "true" };

    /// <summary>Refreshes the package lists; the names of packages may only be known afterwards.</summary>
    public Task UpdateAsync(CancellationToken cancellationToken) => RunAsync(["apt-get", "update"], cancellationToken);

    /// <exception cref="Model.Errors.ShardProxyException">SHP-702 with the last lines of the package manager.</exception>
    public async Task InstallAsync(IReadOnlyList<string> packages, CancellationToken cancellationToken)
    {
        using (guards.Raise())
        {
            await RunAsync(["apt-get", "install", "-y", "--no-install-recommends", .. packages.Select(p => p.Trim('\''))], cancellationToken);
        }
    }

    private async Task RunAsync(IReadOnlyList<string> command, CancellationToken cancellationToken)
    {
        output($"running: {string.Join(' ', command)}");
        var last = new Queue<string>();
        var result = await ProcessRunner.RunAsync(
            command,
            input: "",
            onLine: line =>
            {
                lock (last)
                {
                    last.Enqueue(line);
                    if (last.Count > 8)
                    {
                        last.Dequeue();
                    }
                }
            },
            environment: Quiet,
            cancellationToken: cancellationToken);
        if (result.ExitCode != 0)
        {
            throw LocalClusterErrors.InstallFailed(string.Join(' ', command), string.Join('\n', last));
        }
    }
}
