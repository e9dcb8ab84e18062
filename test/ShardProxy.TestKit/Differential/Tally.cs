using System.Globalization;

namespace ShardProxy.TestKit.Differential;

/// <summary>Counts per category.</summary>
internal sealed class Tally
{
    private const int ExamplesPerCode = 4;

    private readonly Dictionary<string, Counts> _categories = new(StringComparer.Ordinal);
    private readonly Dictionary<(string Category, string Code, int Slot), string> _examples = [];
    private int _refused;

    /// <summary>All that were compared or refused. It and the share of refused ones may be read at any time; the rest at the end.</summary>
    public int Statements { get; private set; }

    public double RefusedShare => (double)_refused / Math.Max(1, Statements);

    public void Same(string category) => Of(category).Same++;

    public void Wrong(string category) => Of(category).Wrong++;

    public void Refused(string category, string code, string sql)
    {
        var counts = Of(category);
        counts.Refused++;
        _refused++;
        counts.Codes[code] = counts.Codes.GetValueOrDefault(code) + 1;
        _examples[(category, code, sql.Length % ExamplesPerCode)] = sql;
    }

    /// <summary>Some of the statements that were refused, in each category.</summary>
    public string Examples() =>
        string.Join('\n', _examples.OrderBy(e => e.Key).Select(e => $"refused  {e.Key.Category}, {e.Key.Code}: {e.Value}"));

    /// <summary>An aligned table with the refused share of each category, and of all.</summary>
    public string Table()
    {
        var lines = new List<string> { $"{"category",-24}{"statements",11}{"same",8}{"wrong",7}{"refused",9}{"share",8}  codes" };
        foreach (var (name, counts) in _categories.OrderBy(c => c.Key, StringComparer.Ordinal))
        {
            lines.Add(Line(name, counts));
        }

        var all = new Counts { Same = _categories.Values.Sum(c => c.Same), Wrong = _categories.Values.Sum(c => c.Wrong), Refused = _categories.Values.Sum(c => c.Refused) };
        foreach (var (code, count) in _categories.Values.SelectMany(c => c.Codes))
        {
            all.Codes[code] = all.Codes.GetValueOrDefault(code) + count;
        }

        lines.Add(Line("all", all));
        return string.Join('\n', lines);
    }

    private static string Line(string name, Counts counts)
    {
        var all = counts.Same + counts.Wrong + counts.Refused;
        var codes = string.Join(", ", counts.Codes.OrderByDescending(c => c.Value).ThenBy(c => c.Key, StringComparer.Ordinal).Select(c => $"{c.Key} {c.Value}"));
        return string.Create(CultureInfo.InvariantCulture, $"{name,-24}{all,11}{counts.Same,8}{counts.Wrong,7}{counts.Refused,9}{100.0 * counts.Refused / Math.Max(1, all),7:0.0}%  {codes}");
    }

    // Each answer is counted through here, once.
    private Counts Of(string category)
    {
        Statements++;
        return _categories.TryGetValue(category, out var counts) ? counts : _categories[category] = new Counts();
    }

    private sealed class Counts
    {
        public int Same;
        public int Refused;
        public int Wrong;

        public Dictionary<string, int> Codes { get; } = new(StringComparer.Ordinal);
    }
}
