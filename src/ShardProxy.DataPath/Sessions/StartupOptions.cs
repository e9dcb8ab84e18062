using System.Text;

namespace ShardProxy.DataPath.Sessions;

/// <summary>
/// The <c>options</c> start-up parameter: command-line switches of a session (PostgreSQL documentation, "Message Formats": StartupMessage).
/// Backslash escapes a space; <c>-c name=value</c>, <c>-cname=value</c> and <c>--name=value</c> set a parameter. Other switches have no
/// meaning behind a pool and are ignored.
/// </summary>
internal static class StartupOptions
{
    public static IEnumerable<(string Name, string Value)> Parse(string options)
    {
        var words = Split(options);
        for (var i = 0; i < words.Count; i++)
        {
            var assignment = words[i] switch
            {
                "-c" when i + 1 < words.Count => words[++i],
                ['-', '-', .. var rest] => rest,
                ['-', 'c', .. var rest] when rest.Length > 0 => rest,
                _ => null,
            };
            if (assignment is null)
            {
                continue;
            }

            var equals = assignment.IndexOf('=', StringComparison.Ordinal);
            if (equals > 0)
            {
                yield return (assignment[..equals].Replace('-', '_').ToLowerInvariant(), assignment[(equals + 1)..]);
            }
        }
    }

    private static List<string> Split(string options)
    {
        var words = new List<string>();
        var word = new StringBuilder();
        for (var i = 0; i < options.Length; i++)
        {
            if (options[i] == '\\' && i + 1 < options.Length)
            {
                word.Append(options[++i]);
            }
            else if (char.IsWhiteSpace(options[i]))
            {
                if (word.Length > 0)
                {
                    words.Add(word.ToString());
                    word.Clear();
                }
            }
            else
            {
                word.Append(options[i]);
            }
        }

        if (word.Length > 0)
        {
            words.Add(word.ToString());
        }

        return words;
    }
}
