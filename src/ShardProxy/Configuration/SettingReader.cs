using System.Globalization;

namespace ShardProxy.Configuration;

/// <summary>Turns written values into checked ones; every fault becomes a problem with place and remedy, and reading goes on.</summary>
internal sealed class SettingReader(ConfigurationValues values, List<ConfigurationProblem> problems)
{
    /// <summary>The written text or the default; null when there is neither. A missing required one is a problem.</summary>
    public string? Text(string path)
    {
        var setting = SettingOf(path);
        var value = values.Find(path);
        if (value is null && setting.IsRequired)
        {
            var place = path.Contains('[', StringComparison.Ordinal) ? values.SourceOf(path[..(path.LastIndexOf('.') + 1)]) : values.FileName;
            problems.Add(new ConfigurationProblem(
                place, path, $"missing ({setting.Help}); write for example \"{setting.Key}: {setting.Example}\" or set {EnvironmentSource.VariableOf(path)}"));
        }

        return value?.Text ?? setting.Default;
    }

    public int Integer(string path)
    {
        var setting = SettingOf(path);
        var text = Text(path)!;
        // A thousand separator as C# and YAML 1.1 write it is easily typed.
        if (int.TryParse(text.Replace("_", "", StringComparison.Ordinal), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number)
            && number >= setting.Minimum && number <= setting.Maximum)
        {
            return number;
        }

        Report(path, string.Create(CultureInfo.InvariantCulture, $"\"{text}\" is not a whole number from {setting.Minimum:0} to {setting.Maximum:0}; write for example \"{setting.Key}: {setting.Example}\""));
        return int.Parse(setting.Default!, CultureInfo.InvariantCulture);
    }

    public double Number(string path)
    {
        var text = Text(path)!;
        if (double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) && double.IsFinite(number) && number >= SettingOf(path).Minimum && number <= SettingOf(path).Maximum)
        {
            return number;
        }

        var setting = SettingOf(path);
        var range = setting.Maximum < double.MaxValue ? string.Create(CultureInfo.InvariantCulture, $"from {setting.Minimum:0} to {setting.Maximum:0}") : "of 0 or more";
        Report(path, $"\"{text}\" is not a number {range}; write for example \"{setting.Key}: {(setting.Example == "0" ? "2000" : setting.Example)}\"");
        return 0;
    }

    public bool Flag(string path)
    {
        switch (Text(path))
        {
            case "true":
                return true;
            case "false":
                return false;
            case var other:
                Report(path, $"\"{other}\" is neither true nor false");
                return false;
        }
    }

    public string Choice(string path)
    {
        var setting = SettingOf(path);
        if (Text(path) is not { } text)
        {
            return setting.Choices[0];
        }

        if (setting.Choices.Contains(text, StringComparer.Ordinal))
        {
            return text;
        }

        Report(path, $"\"{text}\" is none of {string.Join(", ", setting.Choices)}");
        return setting.Default ?? setting.Choices[0];
    }

    public TimeSpan Milliseconds(string path) => TimeSpan.FromMilliseconds(Integer(path));

    /// <summary>A secret from <c>password</c> or <c>password_file</c> beside each other; null when neither is set.</summary>
    public Secret? Password(string prefix) => SecretOf(prefix, "password");

    /// <summary>The same for a key of another name.</summary>
    public Secret? SecretOf(string prefix, string key)
    {
        var (direct, file) = ($"{prefix}{key}", $"{prefix}{key}_file");
        if (values.Find(direct) is not null && values.Find(file) is not null)
        {
            Report(file, $"both {key} and {key}_file are set; keep one");
        }

        if (Text(direct) is { } written)
        {
            return new Secret(written);
        }

        return Text(file) is { } path ? FromFile(file, path) : null;
    }

    public void Report(string path, string message) =>
        problems.Add(new ConfigurationProblem(values.Find(path)?.Source ?? values.FileName, path, message));

    private Secret? FromFile(string path, string file)
    {
        try
        {
            var text = File.ReadAllText(file).TrimEnd('\n', '\r');
            if (text.Length > 0)
            {
                return new Secret(text);
            }

            Report(path, $"file \"{file}\" is empty");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            Report(path, $"file \"{file}\" cannot be read: {e.Message}");
        }

        return null;
    }

    private static Setting SettingOf(string path)
    {
        var open = path.IndexOf('[', StringComparison.Ordinal);
        var schemaPath = open < 0 ? path : path[..(open + 1)] + path[path.IndexOf(']', StringComparison.Ordinal)..];
        return ConfigurationSchema.Find(schemaPath) ?? throw new ArgumentException($"no setting {schemaPath}", nameof(path));
    }
}
