namespace ShardProxy.Configuration;

/// <summary>A value as it was written, and where.</summary>
/// <param name="Text">The text; not checked yet.</param>
/// <param name="Source">File and line, or the environment variable.</param>
internal sealed record ConfiguredValue(string Text, string Source);

/// <summary>What file and environment set, by full path with items counted from 1 (<c>nodes[2].uri</c>).</summary>
internal sealed class ConfigurationValues
{
    private readonly Dictionary<string, ConfiguredValue> _values = new(StringComparer.Ordinal);

    /// <summary>The file's name, for problems that have no line.</summary>
    public required string FileName { get; init; }

    public void Set(string path, ConfiguredValue value) => _values[path] = value;

    public ConfiguredValue? Find(string path) => _values.GetValueOrDefault(path);

    /// <summary>How many items a list has: the highest number used.</summary>
    public int Count(string list)
    {
        var count = 0;
        while (_values.Keys.Any(k => k.StartsWith($"{list}[{count + 1}].", StringComparison.Ordinal)))
        {
            count++;
        }

        return count;
    }

    /// <summary>Where an item of a list begins, for problems about the item.</summary>
    public string SourceOf(string prefix) =>
        _values.Where(v => v.Key.StartsWith(prefix, StringComparison.Ordinal)).Select(v => v.Value.Source).FirstOrDefault() ?? FileName;

    /// <summary>All full paths of a schema path: itself, or one for each item of its list.</summary>
    public IEnumerable<string> Expand(Setting setting)
    {
        var bracket = setting.Path.IndexOf("[]", StringComparison.Ordinal);
        return bracket < 0
            ? [setting.Path]
            : Enumerable.Range(1, Count(setting.Path[..bracket])).Select(n => setting.Path.Replace("[]", $"[{n}]", StringComparison.Ordinal));
    }
}
