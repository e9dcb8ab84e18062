using System.Text.RegularExpressions;

namespace ShardProxy.DataPath.Execution;

/// <summary>
/// Finds CURRENT_TIMESTAMP, now() and their siblings in SQL text, outside strings, quoted names and comments, so that one moment can be put in their
/// place on all nodes. The text has been accepted by PostgreSQL's grammar before.
/// </summary>
internal static partial class TransactionTimeText
{
    /// <summary>True when the text asks for the time of the transaction.</summary>
    public static bool HasTime(string sql) => Tokens().Matches(sql).Any(m => m.Groups["time"].Success);

    /// <summary>True when a string literal is one of the words the date and time types read as the present.</summary>
    public static bool HasMovingLiteral(string sql) => MovingLiteral().IsMatch(sql);

    /// <summary>The text with <paramref name="timestamp"/> (a timestamptz literal with its zone, unquoted) in the place of every such word.</summary>
    public static string Replace(string sql, string timestamp) => Tokens().Replace(sql, match => match.Groups["time"].Value.ToLowerInvariant() switch
    {
        "current_timestamp" => $"'{timestamp}'::timestamptz",
        "localtimestamp" => $"('{timestamp}'::timestamptz)::timestamp",
        "current_date" => $"('{timestamp}'::timestamptz)::date",
        "current_time" => $"('{timestamp}'::timestamptz)::timetz",
        "localtime" => $"('{timestamp}'::timestamptz)::time",
        { Length: > 0 } => $"('{timestamp}'::timestamptz)", // now() and transaction_timestamp()
        _ => match.Value,
    });

    // What is not to be looked into comes first; a word is a time only when nothing else has claimed it.
    [GeneratedRegex(
        """
        [eE]'(?:[^'\\]|\\.|'')*' | '(?:[^']|'')*' | "(?:[^"]|"")*" | (?<tag>\$[A-Za-z_0-9]*\$).*?\k<tag> | --[^\n]* | /\*.*?\*/
        | \b(?<time>current_timestamp|localtimestamp|current_date|current_time|localtime)\b
        | \b(?<time>(?:pg_catalog\s*\.\s*)?(?:now|transaction_timestamp)\s*\(\s*\)) | [A-Za-z_][A-Za-z_0-9$]*
        """,
        RegexOptions.IgnorePatternWhitespace | RegexOptions.Singleline | RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex Tokens();

    [GeneratedRegex(@"'\s*(now|today|tomorrow|yesterday|allballs)\b", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex MovingLiteral();
}
