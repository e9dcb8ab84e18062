namespace ShardProxy.LocalCluster.Processes;

/// <summary>Finds system tools also when PATH lacks the sbin directories, as in many containers and services.</summary>
internal static class ExecutableFinder
{
    private static readonly string[] UsualDirectories = ["/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/local/bin", "/opt/homebrew/bin"];

    /// <summary>Full path of the program, or null.</summary>
    public static string? Find(string name)
    {
        var path = Environment.GetEnvironmentVariable("PATH") ?? "";
        return path.Split(':', StringSplitOptions.RemoveEmptyEntries)
            .Concat(UsualDirectories)
            .Select(directory => Path.Combine(directory, name))
            .FirstOrDefault(File.Exists);
    }
}
