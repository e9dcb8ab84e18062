using ShardProxy.LocalCluster.Processes;

namespace ShardProxy.LocalCluster.Setup;

/// <summary>The packages that bring what is missing.</summary>
internal static class PackageNames
{
    /// <summary>The server package: by version where the release is known, otherwise the release's default.</summary>
    public static string Server(HostSystem system) => system.CodeName switch
    {
        "bookworm" => "postgresql-15",
        _ => "postgresql",
    };

    /// <summary>
    /// The runtime package of libpg_query, whose name carries its soname. Debian 12's is known; elsewhere the package lists are
    /// asked, and where they do not know either, a pattern that apt-get understands.
    /// </summary>
    public static async Task<string> ParserAsync(HostSystem system, CancellationToken cancellationToken)
    {
        if (system.CodeName == "bookworm")
        {
            return "libpg-query1504.0";
        }

        var answer = await ProcessRunner.RunAsync(["apt-cache", "search", "--names-only", "^libpg-query[0-9]"], cancellationToken: cancellationToken);
        return Newest(answer.Output) ?? "'^libpg-query[0-9.]+$'";
    }

    /// <summary>The package with the highest version in its name, from the output of <c>apt-cache search</c>.</summary>
    internal static string? Newest(string searchOutput) =>
        searchOutput.Split('\n')
            .Select(line => line.Split(' ')[0])
            .Where(name => name.StartsWith("libpg-query", StringComparison.Ordinal) && Version.TryParse(name["libpg-query".Length..], out _))
            .MaxBy(name => Version.Parse(name["libpg-query".Length..]));
}
