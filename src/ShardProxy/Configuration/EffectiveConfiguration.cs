namespace ShardProxy.Configuration;

/// <summary>Prints a configuration as YAML with every default filled in, where each value came from, and secrets masked.</summary>
internal static class EffectiveConfiguration
{
    private const string Mask = "********";

    public static void Write(ConfigurationValues values, TextWriter output)
    {
        var section = "";
        var item = 0;
        foreach (var (path, setting) in InPrintingOrder(values))
        {
            var text = values.Find(path)?.Text ?? setting.Default;
            if (text is null)
            {
                continue;
            }

            var top = setting.Path.Contains('.', StringComparison.Ordinal) ? setting.Path[..setting.Path.IndexOf('.', StringComparison.Ordinal)] : "";
            if (top != section && top.Length > 0)
            {
                output.WriteLine($"{top.Replace("[]", "", StringComparison.Ordinal)}:");
                item = 0;
            }

            section = top;
            var indent = top.Length == 0 ? "" : "  ";
            if (top.EndsWith("[]", StringComparison.Ordinal))
            {
                var number = int.Parse(path[(path.IndexOf('[', StringComparison.Ordinal) + 1)..path.IndexOf(']', StringComparison.Ordinal)], System.Globalization.CultureInfo.InvariantCulture);
                indent = number == item ? "    " : "  - ";
                item = number;
            }

            output.WriteLine($"{indent}{setting.Key}: {Quote(Shown(setting, text), setting.Kind)}  # {values.Find(path)?.Source ?? "default"}");
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

    private static IEnumerable<(string Path, Setting Setting)> InPrintingOrder(ConfigurationValues values) =>
        ConfigurationSchema.All
            .SelectMany((setting, order) => values.Expand(setting).Select((path, item) => (path, setting, order, item)))
            .GroupBy(entry => entry.setting.Path.Split('.')[0])
            .SelectMany(group => group.OrderBy(entry => entry.item).ThenBy(entry => entry.order))
            .Select(entry => (entry.path, entry.setting));

    private static string Shown(Setting setting, string text) =>
        !setting.IsSecret ? text : setting.Kind == SettingKind.PostgresUri ? PostgresUri.Mask(text) : Mask;

    private static string Quote(string text, SettingKind kind) =>
        kind is SettingKind.Integer or SettingKind.Number or SettingKind.Flag or SettingKind.Choice ? text : $"'{text.Replace("'", "''", StringComparison.Ordinal)}'";
}
