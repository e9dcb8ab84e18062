using System.Globalization;

namespace ShardProxy.Wire.Auth;

/// <summary>
/// The tables behind <see cref="PasswordPreparation"/>, read once from the embedded data the first time a password is not plain
/// ASCII. The framework's own normalisation is not there: the process runs without globalisation data.
/// </summary>
internal sealed class UnicodePreparation
{
    private static readonly Lazy<UnicodePreparation> Loaded = new(Load);

    private readonly Dictionary<int, int[]> _decompositions = [];
    private readonly Dictionary<(int First, int Second), int> _compositions = [];
    private readonly Dictionary<int, int> _classes = [];
    private readonly Dictionary<string, List<(int First, int Last)>> _sets = new(StringComparer.Ordinal);

    private UnicodePreparation()
    {
    }

    public static UnicodePreparation Instance => Loaded.Value;

    /// <summary>The full compatibility decomposition, or null when the character is its own.</summary>
    public int[]? Decompose(int character) => _decompositions.GetValueOrDefault(character);

    /// <summary>The primary composite of two characters, or 0.</summary>
    public int Compose(int first, int second) => _compositions.GetValueOrDefault((first, second));

    /// <summary>The canonical combining class, 0 for a starter.</summary>
    public int CombiningClass(int character) => _classes.GetValueOrDefault(character);

    /// <summary>RFC 3454 C.1.2.</summary>
    public bool IsNonAsciiSpace(int character) => IsIn("space", character);

    /// <summary>RFC 3454 B.1.</summary>
    public bool IsMappedToNothing(int character) => IsIn("nothing", character);

    /// <summary>RFC 3454 C.1.2 to C.9 as SASLprep lists them, and A.1.</summary>
    public bool IsProhibited(int character) => IsIn("prohibited", character) || IsIn("unassigned", character);

    /// <summary>RFC 3454 D.1.</summary>
    public bool IsRightToLeft(int character) => IsIn("rightToLeft", character);

    /// <summary>RFC 3454 D.2.</summary>
    public bool IsLeftToRight(int character) => IsIn("leftToRight", character);

    private bool IsIn(string set, int character)
    {
        foreach (var (first, last) in _sets[set])
        {
            if (character <= last)
            {
                return character >= first;
            }
        }

        return false;
    }

    private static UnicodePreparation Load()
    {
        using var stream = typeof(UnicodePreparation).Assembly.GetManifestResourceStream("UnicodePreparation.txt")
            ?? throw new InvalidOperationException("the Unicode data is not in the assembly");
        using var reader = new StreamReader(stream);
        var tables = new UnicodePreparation();
        while (reader.ReadLine() is { } line)
        {
            if (line.Length > 0 && line[0] != '#')
            {
                tables.Add(line.Split(' '));
            }
        }

        return tables;
    }

    private void Add(string[] words)
    {
        foreach (var word in words.AsSpan(1))
        {
            var parts = word.Split('=');
            switch (words[0])
            {
                case "decompose":
                    _decompositions[Number(parts[0])] = [.. parts[1].Split(',').Select(Number)];
                    break;
                case "compose":
                    var pair = parts[0].Split(',');
                    _compositions[(Number(pair[0]), Number(pair[1]))] = Number(parts[1]);
                    break;
                case "class":
                    foreach (var (first, last) in parts[1].Split(',').Select(Range))
                    {
                        for (var character = first; character <= last; character++)
                        {
                            _classes[character] = Number(parts[0]);
                        }
                    }

                    break;
                default:
                    if (!_sets.TryGetValue(words[0], out var set))
                    {
                        _sets[words[0]] = set = [];
                    }

                    set.Add(Range(word));
                    break;
            }
        }
    }

    private static (int First, int Last) Range(string text)
    {
        var ends = text.Split('-');
        return (Number(ends[0]), Number(ends[^1]));
    }

    private static int Number(string hexadecimal) => int.Parse(hexadecimal, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
}
