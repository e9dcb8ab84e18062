namespace ShardProxy.LocalCluster.Setup;

/// <summary>What kind of system this is, as far as installing packages goes.</summary>
/// <param name="Id"><c>ID</c> of os-release, such as <c>debian</c>; empty elsewhere.</param>
/// <param name="CodeName"><c>VERSION_CODENAME</c>, such as <c>bookworm</c>; may be empty.</param>
/// <param name="HasApt">Debian, Ubuntu or a derivative with apt-get.</param>
/// <param name="IsMacOS">macOS, where Homebrew is the usual source.</param>
/// <param name="IsRoot">May install packages.</param>
internal sealed record HostSystem(string Id, string CodeName, bool HasApt, bool IsMacOS, bool IsRoot)
{
    private const string ReleaseFile = "/etc/os-release";

    public static HostSystem Current()
    {
        var release = File.Exists(ReleaseFile) ? File.ReadAllLines(ReleaseFile) : [];
        return new HostSystem(
            Value(release, "ID"),
            Value(release, "VERSION_CODENAME"),
            File.Exists("/etc/debian_version") && Processes.ExecutableFinder.Find("apt-get") is not null,
            OperatingSystem.IsMacOS(),
            Processes.NativeMethods.EffectiveUserId() == 0);
    }

    internal static string Value(IEnumerable<string> release, string key) =>
        release.Where(l => l.StartsWith(key + "=", StringComparison.Ordinal)).Select(l => l[(key.Length + 1)..].Trim('"', '\'')).FirstOrDefault() ?? "";
}
