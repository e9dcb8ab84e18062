namespace ShardProxy.Model.Topology;

/// <summary>Quoting of identifiers and literals for SQL text the project writes itself.</summary>
public static class SqlIdentifier
{
    /// <summary>Quotes an identifier always, doubling embedded quotes: safe for keywords and any character but NUL.</summary>
    public static string Quote(string identifier) => "\"" + identifier.Replace("\"", "\"\"", StringComparison.Ordinal) + "\"";

    /// <summary>
    /// Quotes a string literal. Backslashes make it an <c>E''</c> literal, so that the result does not depend on
    /// <c>standard_conforming_strings</c>.
    /// </summary>
    public static string Literal(string value)
    {
        var doubled = value.Replace("'", "''", StringComparison.Ordinal);
        return doubled.Contains('\\', StringComparison.Ordinal)
            ? " E'" + doubled.Replace("\\", "\\\\", StringComparison.Ordinal) + "'"
            : "'" + doubled + "'";
    }
}
