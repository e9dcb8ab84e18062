using System.Text;

namespace ShardProxy.Stress.Parsing;

/// <summary>
/// Cuts a script for psql into the texts that psql would send: at semicolons outside quotes, comments, parentheses and BEGIN ATOMIC, without backslash
/// commands and the data of COPY FROM STDIN. Independent of the proxy's own lexer, which is measured against it.
/// </summary>
internal static class PsqlSplitter
{
    public static List<string> Split(string script)
    {
        var statements = new List<string>();
        var text = new StringBuilder();
        var at = 0;
        var (depth, begins, isRoutine) = (0, 0, false);
        while (at < script.Length)
        {
            var c = script[at];
            if (c == '\\' && (at + 1 >= script.Length || script[at + 1] != ';'))
            {
                var end = EndOfLine(script, at);
                var command = script[at..end];
                at = end;
                if (command.StartsWith("\\g", StringComparison.Ordinal) || command.StartsWith("\\crosstabview", StringComparison.Ordinal))
                {
                    End();
                }

                continue;
            }

            var length = c switch
            {
                '\\' => 1, // \; keeps the statements together
                '\'' => Quoted(script, at, '\'', text.Length > 0 && text[^1] is 'e' or 'E' && !IsNamePart(text, text.Length - 2)),
                '"' => Quoted(script, at, '"', false),
                '$' => Dollar(script, at, text),
                '-' when script.AsSpan(at).StartsWith("--") => EndOfLine(script, at) - at,
                '/' when script.AsSpan(at).StartsWith("/*") => Comment(script, at),
                _ when char.IsLetter(c) || c == '_' => Word(script, at),
                _ => 1,
            };
            var token = script.Substring(at, length);
            at += length;
            depth += token is "(" ? 1 : token is ")" ? -1 : 0;
            if (token == "\\")
            {
                continue;
            }

            var word = char.IsLetter(token[0]) ? token.ToUpperInvariant() : "";
            isRoutine |= word is "FUNCTION" or "PROCEDURE";
            if (isRoutine && word is "BEGIN" or "CASE")
            {
                begins += word == "BEGIN" || begins > 0 ? 1 : 0;
            }
            else if (word == "END" && begins > 0)
            {
                begins--;
            }

            if (token == ";" && depth <= 0 && begins == 0 && !text.ToString().EndsWith('\\'))
            {
                text.Append(token);
                var statement = End();
                if (IsCopyFromStdin(statement))
                {
                    at = EndOfData(script, at);
                }

                continue;
            }

            text.Append(token);
        }

        End();
        return statements;

        string End()
        {
            var statement = text.ToString().Trim();
            text.Clear();
            (depth, begins, isRoutine) = (0, 0, false);
            if (statement.Length > 0)
            {
                statements.Add(statement);
            }

            return statement;
        }
    }

    private static bool IsCopyFromStdin(string statement) =>
        WithoutComments(statement).StartsWith("copy", StringComparison.OrdinalIgnoreCase) && statement.Contains("stdin", StringComparison.OrdinalIgnoreCase);

    private static string WithoutComments(string statement)
    {
        while (statement.StartsWith("--", StringComparison.Ordinal))
        {
            statement = statement[EndOfLine(statement, 0)..].TrimStart();
        }

        return statement;
    }

    private static int EndOfLine(string script, int at) => script.IndexOf('\n', at) is >= 0 and var end ? end : script.Length;

    private static int EndOfData(string script, int at) =>
        script.IndexOf("\n\\.", at, StringComparison.Ordinal) is >= 0 and var end ? EndOfLine(script, end + 1) : at;

    private static int Quoted(string script, int at, char quote, bool hasEscapes)
    {
        var i = at + 1;
        while (i < script.Length && script[i] != quote)
        {
            i += hasEscapes && script[i] == '\\' ? 2 : 1;
        }

        return Math.Min(script.Length, i + 1) - at;
    }

    private static int Dollar(string script, int at, StringBuilder before)
    {
        var end = at + 1;
        while (end < script.Length && (char.IsLetterOrDigit(script[end]) || script[end] == '_'))
        {
            end++;
        }

        if (end >= script.Length || script[end] != '$' || (end > at + 1 && char.IsDigit(script[at + 1])) || IsNamePart(before, before.Length - 1))
        {
            return 1;
        }

        var tag = script[at..(end + 1)];
        return script.IndexOf(tag, end + 1, StringComparison.Ordinal) is >= 0 and var close ? close + tag.Length - at : script.Length - at;
    }

    private static int Comment(string script, int at)
    {
        var depth = 0;
        for (var i = at; i < script.Length; i++)
        {
            if (script.AsSpan(i).StartsWith("/*"))
            {
                depth++;
                i++;
            }
            else if (script.AsSpan(i).StartsWith("*/"))
            {
                i++;
                if (--depth == 0)
                {
                    return i + 1 - at;
                }
            }
        }

        return script.Length - at;
    }

    private static int Word(string script, int at)
    {
        var end = at;
        while (end < script.Length && (char.IsLetterOrDigit(script[end]) || script[end] is '_' or '$'))
        {
            end++;
        }

        return end - at;
    }

    private static bool IsNamePart(StringBuilder text, int at) => at >= 0 && at < text.Length && (char.IsLetterOrDigit(text[at]) || text[at] is '_' or '$');
}
