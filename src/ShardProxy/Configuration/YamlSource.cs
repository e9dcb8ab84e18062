using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace ShardProxy.Configuration;

/// <summary>Reads a YAML file into <see cref="ConfigurationValues"/>; a key the schema does not have is a problem.</summary>
internal sealed class YamlSource(string fileName, ConfigurationValues values, List<ConfigurationProblem> problems)
{
    public void Read(TextReader text)
    {
        var stream = new YamlStream();
        try
        {
            stream.Load(text);
        }
        catch (YamlException e)
        {
            Report(e.Start, "", $"not valid YAML: {e.InnerException?.Message ?? e.Message}");
            return;
        }

        if (stream.Documents.Count > 0)
        {
            ReadSection(stream.Documents[0].RootNode, "", "");
        }
    }

    /// <param name="node">The YAML node.</param>
    /// <param name="path">Full path with item numbers.</param>
    /// <param name="schemaPath">The same with <c>[]</c>.</param>
    private void ReadSection(YamlNode node, string path, string schemaPath)
    {
        if (node is not YamlMappingNode mapping)
        {
            if (!IsEmpty(node))
            {
                Report(node.Start, path, $"expected keys below it: {string.Join(", ", ConfigurationSchema.NamesBelow(schemaPath))}");
            }

            return;
        }

        foreach (var (keyNode, value) in mapping.Children)
        {
            var key = (keyNode as YamlScalarNode)?.Value ?? "";
            var names = ConfigurationSchema.NamesBelow(schemaPath);
            if (!names.Contains(key, StringComparer.Ordinal))
            {
                Report(keyNode.Start, Join(path, key), $"unknown key; {Suggestion.For(key, names)}");
                continue;
            }

            ReadValue(value, Join(path, key), Join(schemaPath, key));
        }
    }

    private void ReadValue(YamlNode node, string path, string schemaPath)
    {
        if (ConfigurationSchema.Lists.Contains(schemaPath))
        {
            ReadList(node, path, schemaPath + "[]");
        }
        else if (ConfigurationSchema.Find(schemaPath) is not { } setting)
        {
            ReadSection(node, path, schemaPath);
        }
        else if (node is YamlScalarNode scalar)
        {
            // "key:" with nothing after it is the same as leaving the key out.
            if (!IsEmpty(scalar))
            {
                values.Set(path, new ConfiguredValue(scalar.Value!, At(node.Start)));
            }
        }
        else
        {
            Report(node.Start, path, $"expected one value; write for example \"{setting.Key}: {setting.Example}\"");
        }
    }

    private void ReadList(YamlNode node, string path, string schemaPath)
    {
        if (node is not YamlSequenceNode list)
        {
            if (!IsEmpty(node))
            {
                Report(node.Start, path, $"expected a list; write each item as \"- {ConfigurationSchema.NamesBelow(schemaPath)[0]}: …\"");
            }

            return;
        }

        for (var i = 0; i < list.Children.Count; i++)
        {
            ReadSection(list.Children[i], $"{path}[{i + 1}]", schemaPath);
        }
    }

    private static bool IsEmpty(YamlNode node) => node is YamlScalarNode { Style: ScalarStyle.Plain, Value: null or "" or "~" or "null" };

    private static string Join(string path, string key) => path.Length == 0 ? key : $"{path}.{key}";

    private string At(Mark mark) => $"{fileName}:{mark.Line}";

    private void Report(Mark mark, string path, string message) => problems.Add(new ConfigurationProblem(At(mark), path, message));
}
