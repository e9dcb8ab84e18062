using System.Text;

namespace ShardProxy.Sql.Shapes;

/// <summary>
/// Collects everything in a text that could be a name, comments and string bodies included: runs of identifier characters as
/// written and folded, and what stands between double quotes.
/// </summary>
internal static class IdentifierCollector
{
    private const int MaxNameBytes = 63;

    public static HashSet<string> Collect(ReadOnlySpan<byte> text)
    {
        var names = new HashSet<string>(StringComparer.Ordinal);
        var start = -1;
        for (var i = 0; i <= text.Length; i++)
        {
            if (i < text.Length && Lexing.CharClass.Is(text[i], Lexing.CharClass.IdentifierPart))
            {
                start = start < 0 ? i : start;
            }
            else if (start >= 0)
            {
                Add(text[start..i], names);
                start = -1;
            }
        }

        CollectQuoted(text, names);
        return names;
    }

    /// <summary>A quote may open a name or close one: from every quote on, the name that would begin there is taken.</summary>
    private static void CollectQuoted(ReadOnlySpan<byte> text, HashSet<string> names)
    {
        Span<byte> name = stackalloc byte[MaxNameBytes + 4];
        for (var i = 0; i < text.Length; i++)
        {
            if (text[i] != '"')
            {
                continue;
            }

            var length = 0;
            for (var j = i + 1; j < text.Length && length < name.Length; j++)
            {
                if (text[j] == '"')
                {
                    if (j + 1 >= text.Length || text[j + 1] != '"')
                    {
                        break;
                    }

                    j++;
                }

                name[length++] = text[j];
            }

            if (length > 0)
            {
                Add(name[..length], names);
            }
        }
    }

    private static void Add(ReadOnlySpan<byte> word, HashSet<string> names)
    {
        // A longer name is cut by the server at a character's border: the cut one is what could match.
        if (word.Length > MaxNameBytes)
        {
            var length = MaxNameBytes;
            while (length > 0 && (word[length] & 0xC0) == 0x80)
            {
                length--;
            }

            word = word[..length];
        }

        var name = Encoding.UTF8.GetString(word);
        names.Add(name);
        names.Add(string.Create(name.Length, name, static (target, source) =>
        {
            for (var i = 0; i < source.Length; i++)
            {
                target[i] = char.IsAsciiLetterUpper(source[i]) ? (char)(source[i] | 0x20) : source[i];
            }
        }));
    }
}
