namespace ShardProxy.Configuration;

/// <summary>Prints a configuration as YAML with every default filled in, where each value came from, and secrets masked.</summary>
internal static class EffectiveConfiguration
{
    private const string Mask = "********";

    public static void Write(ConfigurationValues values, TextWriter output)
    {
        string[] open = [];
        foreach (var (path, setting) in InPrintingOrder(values))
        {
            var text = values.Find(path)?.Text ?? setting.Default;
            if (text is null)
            {
                continue;
            }

            // Sections that this key stands in; those it shares with the line before are open already.
            var names = path.Split('.');
            var shared = names.Zip(open).TakeWhile(pair => pair.First == pair.Second).Count();
            var mark = false;
            for (var depth = Math.Min(shared, names.Length - 1); depth < names.Length - 1; depth++)
            {
                var bracket = names[depth].IndexOf('[', StringComparison.Ordinal);
                if (bracket < 0 || names[depth].EndsWith("[1]", StringComparison.Ordinal))
                {
                    output.WriteLine($"{Indent(names, depth)}{(bracket < 0 ? names[depth] : names[depth][..bracket])}:");
                }

                mark = bracket >= 0;
            }

            open = names;
            var indent = Indent(names, names.Length - 1);
            output.WriteLine($"{(mark ? indent[..^2] + "- " : indent)}{setting.Key}: {Quote(Shown(setting, text), setting.Kind)}  # {values.Find(path)?.Source ?? "default"}");
        }
    }

    /// <summary>All keys with their defaults and what they do.</summary>
    public static void WriteKeys(TextWriter output)
    {
        foreach (var setting in ConfigurationSchema.All)
        {
            var fallback = setting.IsRequired ? "required" : setting.Default is { } value ? $"default {value}" : "optional";
            output.WriteLine($"{setting.Path,-32} {EnvironmentSource.VariableOf(setting.Path.Replace("[]", "[1]", StringComparison.Ordinal)),-40} {fallback}");
            output.WriteLine($"{"",-32} {setting.Help}{(setting.Choices.Count > 0 ? $" ({string.Join(", ", setting.Choices)})" : "")}");
        }
    }

    // Two columns a section, two more inside the items of a list.
    private static string Indent(string[] names, int depth) =>
        new(' ', 2 * (depth + names.Take(depth).Count(n => n.EndsWith(']'))));

    private static IEnumerable<(string Path, Setting Setting)> InPrintingOrder(ConfigurationValues values) =>
        ConfigurationSchema.All
            .SelectMany((setting, order) => values.Expand(setting).Select((path, item) => (path, setting, order, item)))
            .GroupBy(entry => entry.setting.Path.Split('.')[0])
            .SelectMany(group => group.GroupBy(entry => ListOf(entry.setting)).SelectMany(list => list.OrderBy(entry => entry.item).ThenBy(entry => entry.order)))
            .Select(entry => (entry.path, entry.setting));

    private static string ListOf(Setting setting) => setting.Path.Contains("[]", StringComparison.Ordinal) ? setting.Path.Split("[]")[0] : "";

    private static string Shown(Setting setting, string text) =>
        !setting.IsSecret ? text : setting.Kind == SettingKind.PostgresUri ? PostgresUri.Mask(text) : Mask;

    private static string Quote(string text, SettingKind kind) =>
        kind is SettingKind.Integer or SettingKind.Number or SettingKind.Flag or SettingKind.Choice ? text : $"'{text.Replace("'", "''", StringComparison.Ordinal)}'";
}
