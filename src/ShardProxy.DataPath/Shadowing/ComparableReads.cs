using System.Collections.Frozen;
using System.Runtime.CompilerServices;
using ShardProxy.DataPath.Routing;
using ShardProxy.Sql;

namespace ShardProxy.DataPath.Shadowing;

/// <summary>
/// Which reads two nodes with the same rows answer alike, whatever they do. Not: what picks among ties (LIMIT, DISTINCT, a group's spelling of 1.0 and 1.00), what
/// depends on an order nobody asked for (arrays, sums of floats), on the clock, or on numbers of the node's own (OIDs, ctid). A list of words is enough, since it may forbid too much:
/// such reads are only not compared.
/// </summary>
internal static class ComparableReads
{
    /// <summary>Longer texts are cut off in the shape.</summary>
    private const int MaxShapeLength = 4000;

    private const uint Float4 = 700, Float8 = 701;

    private static readonly FrozenSet<string> Forbidden = FrozenSet.Create(
        StringComparer.OrdinalIgnoreCase,
        "limit", "offset", "fetch", "over", "distinct", "group", "union", "intersect", "except", "tablesample", "array",
        "ctid", "xmin", "xmax", "cmin", "cmax", "tableoid", "oid", "regclass", "regtype", "regproc", "regprocedure", "regoper", "regoperator", "regrole", "regnamespace", "regconfig", "regdictionary", "regcollation",
        "localtime", "localtimestamp", "user", "session_user", "system_user", "xml");

    private static readonly FrozenSet<string> Floats = FrozenSet.Create(StringComparer.OrdinalIgnoreCase, "float", "float4", "float8", "double", "real");

    private static readonly FrozenSet<string> Moments = FrozenSet.Create(StringComparer.OrdinalIgnoreCase, "now", "today", "tomorrow", "yesterday");

    private static readonly ConditionalWeakTable<RoutePlan, object> Verdicts = [];
    private static readonly object Yes = new(), No = new();

    /// <summary>By its shape; the verdict is kept with the plan.</summary>
    public static bool Includes(StatementShape shape, RoutePlan plan)
    {
        if (!Verdicts.TryGetValue(plan, out var verdict))
        {
            verdict = Judge(shape, plan) ? Yes : No;
            Verdicts.TryAdd(plan, verdict);
        }

        return ReferenceEquals(verdict, Yes);
    }

    /// <summary>A text or parameters that may have a word for the present moment as a value: its meaning is of the node's clock.</summary>
    public static bool MayNameMoment(ReadOnlySpan<byte> text)
    {
        var lookup = Moments.GetAlternateLookup<ReadOnlySpan<char>>();
        Span<char> word = stackalloc char[16];
        for (int i = 0, length = 0; i <= text.Length; i++)
        {
            if (i < text.Length && IsPartOfWord((char)text[i]))
            {
                if (length < word.Length)
                {
                    word[length] = (char)text[i];
                }

                length++;
                continue;
            }

            if (length is > 0 and < 16 && lookup.Contains(word[..length]))
            {
                return true;
            }

            length = 0;
        }

        return false;
    }

    private static bool Judge(StatementShape shape, RoutePlan plan)
    {
        if (shape.Text.Length >= MaxShapeLength)
        {
            return false;
        }

        var sums = false;
        foreach (var function in shape.Functions)
        {
            sums |= function.Name == "sum";
            if (!PureFunctions.Contains(function) && !(PureFunctions.IsCombinedAggregate(function) && function.Name is "count" or "sum"))
            {
                return false;
            }
        }

        var mayHaveFloats = plan.Tables.Any(t => t.Columns.Any(c => c.TypeOid is Float4 or Float8));
        foreach (var word in Words(shape.Text))
        {
            if (Forbidden.Contains(word) || word.StartsWith("current_", StringComparison.OrdinalIgnoreCase) || word.StartsWith("pg_", StringComparison.OrdinalIgnoreCase)
                || word.Equals("information_schema", StringComparison.OrdinalIgnoreCase))
            {
                return false;
            }

            mayHaveFloats |= Floats.Contains(word);
        }

        return !sums || !mayHaveFloats;
    }

    private static IEnumerable<string> Words(string text)
    {
        for (var i = 0; i < text.Length; i++)
        {
            var start = i;
            while (i < text.Length && IsPartOfWord(text[i]))
            {
                i++;
            }

            if (i > start)
            {
                yield return text[start..i];
            }
        }
    }

    private static bool IsPartOfWord(char c) => char.IsAsciiLetterOrDigit(c) || c is '_' || c >= 0x80;
}
