using System.Globalization;

namespace ShardProxy.Configuration;

/// <summary><c>postgresql://user[:password]@host[:port][/database]</c> (PostgreSQL documentation, "Connection URIs").</summary>
internal static class PostgresUri
{
    private const int DefaultPort = 5432;

    /// <summary>Null, and the reason in <paramref name="fault"/>, when the text is not such a URI. The reason names no part of the text.</summary>
    public static ServerAddress? Parse(string text, string defaultDatabase, out string fault)
    {
        fault = "";
        if (!Uri.TryCreate(text, UriKind.Absolute, out var uri) || uri.Scheme is not ("postgresql" or "postgres"))
        {
            fault = "not a connection URI";
        }
        else if (uri.Host.Length == 0)
        {
            fault = "the URI names no host";
        }
        else if (uri.UserInfo.Split(':')[0].Length == 0)
        {
            fault = "the URI names no user";
        }
        else if (uri.Query.Length > 0)
        {
            fault = "the URI has parameters, which are not supported here";
        }

        if (fault.Length > 0)
        {
            fault += "; write postgresql://user@host:5432/database";
            return null;
        }

        var parts = uri!.UserInfo.Split(':', 2);
        var database = Uri.UnescapeDataString(uri.AbsolutePath.Trim('/'));
        return new ServerAddress(
            uri.Host,
            uri.IsDefaultPort || uri.Port <= 0 ? DefaultPort : uri.Port,
            Uri.UnescapeDataString(parts[0]),
            parts.Length == 2 ? new Secret(Uri.UnescapeDataString(parts[1])) : null,
            database.Length == 0 ? defaultDatabase : database);
    }

    /// <summary>The same URI with its password masked; the text itself when it holds none.</summary>
    public static string Mask(string text)
    {
        var at = text.LastIndexOf('@');
        var start = text.IndexOf("://", StringComparison.Ordinal);
        if (at < 0 || start < 0)
        {
            return at < 0 ? text : "********" + text[at..];
        }

        var colon = text.IndexOf(':', start + 3);
        return colon < 0 || colon > at ? text : string.Create(CultureInfo.InvariantCulture, $"{text[..colon]}:********{text[at..]}");
    }
}
