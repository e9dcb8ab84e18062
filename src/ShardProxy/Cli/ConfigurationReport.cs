using ShardProxy.Configuration;

namespace ShardProxy.Cli;

/// <summary>Problems and warnings of a configuration, a line each, and a closing line with their number.</summary>
internal static class ConfigurationReport
{
    public static void Write(LoadedConfiguration loaded, TextWriter error)
    {
        foreach (var warning in loaded.Warnings)
        {
            error.WriteLine($"warning: {warning}");
        }

        foreach (var problem in loaded.Problems)
        {
            error.WriteLine($"error: {problem}");
        }

        if (loaded.Problems.Count > 0)
        {
            error.WriteLine($"{loaded.Problems.Count} problem{(loaded.Problems.Count == 1 ? "" : "s")} in the configuration (SHP-711); nothing was started");
        }
    }
}
