using System.Text;
using ShardProxy.Model.Errors;

namespace ShardProxy.DataPath.Login;

/// <summary>
/// A file of users as connection poolers know it: a line each, <c>"name" "secret"</c>, a quote doubled inside quotes. The secret is a SCRAM
/// verifier or MD5 hash as in <c>pg_authid.rolpassword</c>, or a password in clear. Lines that begin with <c>;</c> or <c>#</c> are comments.
/// </summary>
public static class UserFile
{
    /// <summary>Users in the order of the file; a name twice is an error. No message holds a secret.</summary>
    /// <exception cref="ShardProxyException">SHP-720: the file cannot be read, or a line is wrong.</exception>
    public static IReadOnlyList<(string Name, string Secret)> Read(string file)
    {
        string text;
        try
        {
            text = File.ReadAllText(file);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw Fault($"user file \"{file}\" cannot be read: {e.Message}");
        }

        return Parse(text, file);
    }

    /// <summary>The same from text.</summary>
    public static IReadOnlyList<(string Name, string Secret)> Parse(string text, string file)
    {
        var users = new List<(string, string)>();
        var names = new HashSet<string>(StringComparer.Ordinal);
        var lines = text.Split('\n');
        for (var i = 0; i < lines.Length; i++)
        {
            var line = lines[i].Trim();
            if (line.Length == 0 || line[0] is ';' or '#')
            {
                continue;
            }

            var at = 0;
            if (Quoted(line, ref at) is not { Length: > 0 } name || Quoted(line, ref at) is not { } secret)
            {
                throw Fault($"line {i + 1} of user file \"{file}\" is not of the form \"name\" \"secret\"");
            }

            if (!names.Add(name))
            {
                throw Fault($"line {i + 1} of user file \"{file}\" names user \"{name}\" a second time");
            }

            // An empty secret is a user that cannot log in with a password; what follows on the line is ignored.
            if (secret.Length > 0)
            {
                users.Add((name, secret));
            }
        }

        return users;
    }

    private static string? Quoted(string line, ref int at)
    {
        while (at < line.Length && char.IsWhiteSpace(line[at]))
        {
            at++;
        }

        if (at >= line.Length || line[at] != '"')
        {
            return null;
        }

        var value = new StringBuilder();
        for (at++; at < line.Length; at++)
        {
            if (line[at] != '"')
            {
                value.Append(line[at]);
            }
            else if (at + 1 < line.Length && line[at + 1] == '"')
            {
                value.Append('"');
                at++;
            }
            else
            {
                at++;
                return value.ToString();
            }
        }

        return null;
    }

    private static ShardProxyException Fault(string message) =>
        new(new ShardProxyError("F0000", "SHP-720", message, "Write a line \"name\" \"secret\" for each user; secrets come from pg_authid.rolpassword."));
}
