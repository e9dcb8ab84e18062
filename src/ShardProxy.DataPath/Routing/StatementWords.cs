using System.Text.RegularExpressions;
using ShardProxy.Sql;

namespace ShardProxy.DataPath.Routing;

/// <summary>Whether words stand in a statement, outside its literals.</summary>
internal static class StatementWords
{
    /// <summary>The text matches; or is too long to be known in full, and may have one of the words.</summary>
    /// <param name="shape">The statement.</param>
    /// <param name="pattern">Matches only texts that have one of the words.</param>
    /// <param name="words">In lower case.</param>
    public static bool Has(StatementShape shape, Regex pattern, params ReadOnlySpan<string> words)
    {
        if (pattern.IsMatch(shape.Text))
        {
            return true;
        }

        if (!shape.Text.EndsWith('…'))
        {
            return false;
        }

        foreach (var word in words)
        {
            if (shape.Gather?.Words.Contains(word) != false)
            {
                return true;
            }
        }

        return false;
    }
}
