namespace ShardProxy.Configuration;

/// <summary>What text a setting takes.</summary>
internal enum SettingKind
{
    Text,

    /// <summary>A path of a file, relative to the working directory.</summary>
    FilePath,

    /// <summary>A whole number from <see cref="Setting.Minimum"/> to <see cref="Setting.Maximum"/>.</summary>
    Integer,

    /// <summary>A decimal number, same bounds.</summary>
    Number,

    /// <summary>true or false.</summary>
    Flag,

    /// <summary>One of <see cref="Setting.Choices"/>.</summary>
    Choice,

    /// <summary><c>postgresql://user[:password]@host[:port][/database]</c>.</summary>
    PostgresUri,
}

/// <summary>One key of the configuration. Everything about it — reading, checking, printing, help — follows from here.</summary>
/// <param name="Path">The key's path; <c>[]</c> after a name marks the items of a list, as in <c>nodes[].uri</c>.</param>
/// <param name="Kind">What text it takes.</param>
/// <param name="Default">Its value when nothing sets it; null for none.</param>
/// <param name="Example">A right value, for messages.</param>
/// <param name="Help">What it does, one line.</param>
internal sealed record Setting(string Path, SettingKind Kind, string? Default, string Example, string Help)
{
    public double Minimum { get; init; } = double.MinValue;

    public double Maximum { get; init; } = double.MaxValue;

    public IReadOnlyList<string> Choices { get; init; } = [];

    /// <summary>Something must set it (in each item, for a list's setting).</summary>
    public bool IsRequired { get; init; }

    /// <summary>Printed masked; a URI has only its password masked.</summary>
    public bool IsSecret { get; init; }

    /// <summary>The last name of the path, as it is written in the file.</summary>
    public string Key => Path[(Path.LastIndexOf('.') + 1)..];
}
