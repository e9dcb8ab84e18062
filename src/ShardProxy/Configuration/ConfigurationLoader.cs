using System.Collections;

namespace ShardProxy.Configuration;

/// <summary>The outcome of reading a configuration.</summary>
/// <param name="Options">Null when there are problems.</param>
/// <param name="Problems">In the order of the file, then of the checks.</param>
/// <param name="Warnings">Nothing that keeps the proxy from starting.</param>
/// <param name="Values">What was set and where.</param>
internal sealed record LoadedConfiguration(
    ProxyOptions? Options, IReadOnlyList<ConfigurationProblem> Problems, IReadOnlyList<string> Warnings, ConfigurationValues Values);

/// <summary>Reads a YAML file and the environment over it, and checks both.</summary>
internal static class ConfigurationLoader
{
    /// <summary>Reads <paramref name="file"/> with this process's environment. A file that cannot be read is a problem too.</summary>
    public static LoadedConfiguration LoadFile(string file)
    {
        var environment = Environment.GetEnvironmentVariables().Cast<DictionaryEntry>().ToDictionary(e => (string)e.Key, e => (string?)e.Value ?? "", StringComparer.Ordinal);
        try
        {
            using var text = new StreamReader(file);
            var loaded = Load(text, file, environment);
            return loaded with { Options = loaded.Options is null ? null : loaded.Options with { File = file } };
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return new LoadedConfiguration(null, [new ConfigurationProblem(file, "", $"cannot be read: {e.Message}")], [], new ConfigurationValues { FileName = file });
        }
    }

    /// <summary>Reads <paramref name="text"/>; <paramref name="fileName"/> stands in the problems.</summary>
    public static LoadedConfiguration Load(TextReader text, string fileName, IReadOnlyDictionary<string, string> environment)
    {
        var problems = new List<ConfigurationProblem>();
        var warnings = new List<string>();
        var values = new ConfigurationValues { FileName = fileName };
        new YamlSource(fileName, values, problems).Read(text);
        EnvironmentSource.Read(environment, values, warnings);
        var options = new ConfigurationBinder(values, problems, warnings).Bind();
        return new LoadedConfiguration(problems.Count == 0 ? options : null, problems, warnings, values);
    }
}
