namespace ShardProxy.Configuration;

/// <summary>Something wrong in the configuration, with the place and the remedy. Never holds a secret's text.</summary>
/// <param name="Source">File and line, or the environment variable.</param>
/// <param name="Path">The key, as in <c>nodes[2].uri</c> (items count from 1); empty for the file as a whole.</param>
/// <param name="Message">What is wrong and what to write.</param>
internal sealed record ConfigurationProblem(string Source, string Path, string Message)
{
    public override string ToString() => Path.Length == 0 ? $"{Source}: {Message}" : $"{Source}: {Path}: {Message}";
}
