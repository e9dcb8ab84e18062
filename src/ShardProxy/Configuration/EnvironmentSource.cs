using System.Text.RegularExpressions;

namespace ShardProxy.Configuration;

/// <summary>
/// Reads <c>SHARDPROXY_…</c> variables: the key's path in capitals with <c>_</c> for every dot, items counted from 1
/// (<c>SHARDPROXY_POOL_MAX_WAIT_MS</c>, <c>SHARDPROXY_NODES_1_URI</c>). They win over the file.
/// </summary>
internal static partial class EnvironmentSource
{
    private const string Prefix = "SHARDPROXY_";

    // Read elsewhere: where server programs and the parser are, and whether they may be installed.
    private static readonly string[] Others = ["SHARDPROXY_PG_BIN", "SHARDPROXY_PG_QUERY", "SHARDPROXY_INSTALL_MISSING", "SHARDPROXY_CONFIG"];

    /// <summary>The variable of a full path.</summary>
    public static string VariableOf(string path) =>
        Prefix + path.Replace("[", "_", StringComparison.Ordinal).Replace("]", "", StringComparison.Ordinal).Replace('.', '_').ToUpperInvariant();

    /// <summary>
    /// Takes over what the environment sets. A variable that no key has is a warning, not an error: container platforms put
    /// variables of their own there for a service of this name.
    /// </summary>
    public static void Read(IReadOnlyDictionary<string, string> environment, ConfigurationValues values, List<string> warnings)
    {
        var names = ConfigurationSchema.All.ToDictionary(s => VariableOf(s.Path.Replace("[]", "[1]", StringComparison.Ordinal)), s => s.Path, StringComparer.Ordinal);
        foreach (var (variable, text) in environment.Where(e => e.Key.StartsWith(Prefix, StringComparison.Ordinal)).OrderBy(e => e.Key, StringComparer.Ordinal))
        {
            if (Others.Contains(variable) || PlatformVariable().IsMatch(variable))
            {
                continue;
            }

            var item = ItemNumber().Match(variable);
            var lookedUp = item.Success ? $"{item.Groups[1].Value}1_{item.Groups[3].Value}" : variable;
            if (!names.TryGetValue(lookedUp, out var path))
            {
                warnings.Add($"{variable} is not the name of a setting and is ignored; {Suggestion.For(lookedUp, [.. names.Keys])}");
                continue;
            }

            values.Set(path.Replace("[]", $"[{item.Groups[2].Value}]", StringComparison.Ordinal), new ConfiguredValue(text, variable));
        }
    }

    [GeneratedRegex("^(SHARDPROXY_[A-Z_]+_)([1-9][0-9]{0,3})_([A-Z_]+)$")]
    private static partial Regex ItemNumber();

    // What Kubernetes sets for a service called "shardproxy".
    [GeneratedRegex("^SHARDPROXY_(SERVICE_(HOST|PORT.*)|PORT(_[0-9].*)?)$")]
    private static partial Regex PlatformVariable();
}
