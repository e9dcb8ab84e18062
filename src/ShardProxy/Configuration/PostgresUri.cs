using System.Globalization;
using ShardProxy.Model.Topology;

namespace ShardProxy.Configuration;

/// <summary><c>postgresql://user[:password]@host[:port][/database][?sslmode=…&amp;sslrootcert=…&amp;sslcert=…&amp;sslkey=…]</c> (PostgreSQL documentation, "Connection URIs").</summary>
internal static class PostgresUri
{
    private const int DefaultPort = 5432;

    /// <summary>Null, and the reason in <paramref name="fault"/>, when the text is not such a URI. The reason names no part of the text.</summary>
    public static ServerAddress? Parse(string text, string defaultDatabase, NodeTls defaultTls, out string fault)
    {
        fault = "";
        var tls = defaultTls;
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
        else
        {
            tls = ReadTls(uri.Query, defaultTls, ref fault);
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
            database.Length == 0 ? defaultDatabase : database)
        {
            Tls = tls,
        };
    }

    /// <summary>The mode of libpq's name, or null.</summary>
    public static NodeTlsMode? Mode(string text) => text switch
    {
        "disable" => NodeTlsMode.Disable,
        "allow" or "prefer" => NodeTlsMode.Prefer,
        "require" => NodeTlsMode.Require,
        "verify-ca" => NodeTlsMode.VerifyCa,
        "verify-full" => NodeTlsMode.VerifyFull,
        _ => null,
    };

    private static NodeTls ReadTls(string query, NodeTls tls, ref string fault)
    {
        foreach (var parameter in query.TrimStart('?').Split('&', StringSplitOptions.RemoveEmptyEntries))
        {
            var pair = parameter.Split('=', 2);
            var value = pair.Length == 2 ? Uri.UnescapeDataString(pair[1]) : "";
            switch (pair[0])
            {
                case "sslmode" when Mode(value) is { } mode:
                    tls = tls with { Mode = mode };
                    break;
                case "sslmode":
                    fault = "its sslmode is none of disable, prefer, require, verify-ca, verify-full";
                    break;
                case "sslrootcert":
                    tls = tls with { RootCertificateFile = value };
                    break;
                case "sslcert":
                    tls = tls with { CertificateFile = value };
                    break;
                case "sslkey":
                    tls = tls with { KeyFile = value };
                    break;
                default:
                    fault = "the URI has parameters other than sslmode, sslrootcert, sslcert and sslkey, which are not supported here";
                    break;
            }
        }

        return tls;
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
