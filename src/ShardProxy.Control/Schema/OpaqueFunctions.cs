using System.Collections.Immutable;
using System.Text.RegularExpressions;

namespace ShardProxy.Control.Schema;

/// <summary>
/// Finds functions whose body names a placed table, or another such function: the home node alone cannot run them. By identifiers in the
/// text, which names too many rather than too few; SQL put together at run time from pieces of a name is beyond it.
/// </summary>
internal static partial class OpaqueFunctions
{
    /// <param name="relations">Unqualified names of placed tables and opaque views.</param>
    /// <param name="functions">Names and source texts of the user's functions.</param>
    /// <returns>Names, sorted, each once.</returns>
    public static ImmutableArray<string> Find(IEnumerable<string> relations, IReadOnlyList<(string Name, string Source)> functions)
    {
        var opaque = relations.ToHashSet(StringComparer.OrdinalIgnoreCase);
        var bodies = functions.Select(f => (f.Name, Words: Word().Matches(f.Source).Select(m => m.Value).ToHashSet(StringComparer.OrdinalIgnoreCase))).ToList();
        var found = new SortedSet<string>(StringComparer.Ordinal);
        bool hasGrown;
        do
        {
            hasGrown = false;
            foreach (var (name, words) in bodies)
            {
                if (!found.Contains(name) && words.Overlaps(opaque))
                {
                    found.Add(name);
                    opaque.Add(name);
                    hasGrown = true;
                }
            }
        }
        while (hasGrown);

        return [.. found];
    }

    [GeneratedRegex(@"[\p{L}_][\p{L}\p{Nd}_$]*", RegexOptions.CultureInvariant)]
    private static partial Regex Word();
}
