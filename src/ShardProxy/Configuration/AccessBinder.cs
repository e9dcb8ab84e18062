using System.Net;
using System.Security.Cryptography;
using ShardProxy.DataPath;
using ShardProxy.DataPath.Login;
using ShardProxy.Model.Errors;
using ShardProxy.Model.Topology;
using ShardProxy.Wire.Tls;

namespace ShardProxy.Configuration;

/// <summary>Reads who may come in and how: encryption, rules, users' files, the HTTP side's token. Files are opened, so that a wrong one is found at once.</summary>
internal sealed class AccessBinder(ConfigurationValues values, SettingReader read, List<string> warnings)
{
    /// <summary>Null when clients are not offered encryption.</summary>
    public ClientTlsOptions? ClientTls()
    {
        const string Certificate = "listen.tls.certificate_file", Key = "listen.tls.key_file", Mode = "listen.tls.mode";
        var certificate = read.Text(Certificate);
        if (certificate is not null && values.Find(Mode) is null)
        {
            values.Set(Mode, new ConfiguredValue("allow", "default, with a certificate"));
        }

        var mode = read.Choice(Mode);
        var demandsTls13 = read.Choice("listen.tls.min_version") == "1.3";
        if (mode == "disable")
        {
            return null;
        }

        if (certificate is null)
        {
            read.Report(Mode, $"\"{mode}\" needs a certificate; set {Certificate} and {Key}");
            return null;
        }

        var files = new TlsServerOptions(certificate, read.Text(Key) ?? certificate, read.Text("listen.tls.client_ca_file"), demandsTls13);
        CheckCertificate(Certificate, files);
        return new ClientTlsOptions(files, mode == "require");
    }

    /// <summary>Towards nodes whose URIs say nothing else.</summary>
    public NodeTls NodeTls() => new(
        PostgresUri.Mode(read.Choice("node_tls.mode"))!.Value,
        read.Text("node_tls.root_certificate_file"),
        read.Text("node_tls.certificate_file"),
        read.Text("node_tls.key_file") ?? read.Text("node_tls.certificate_file"));

    /// <summary>Opens the files a node's encryption needs, so that a wrong one is found at once.</summary>
    public static void CheckNodeTls(SettingReader read, string path, NodeTls tls)
    {
        if (tls.Mode >= NodeTlsMode.VerifyCa && tls.RootCertificateFile is null)
        {
            read.Report(path, "its sslmode checks certificates, and there is no authority to check them against; set node_tls.root_certificate_file or sslrootcert in the URI");
            return;
        }

        try
        {
            TlsClientIdentity.Load(tls.RootCertificateFile, false, tls.CertificateFile, tls.KeyFile);
        }
        catch (Exception e) when (e is CryptographicException or IOException or UnauthorizedAccessException)
        {
            read.Report(path, e.Message);
        }
    }

    public AuthenticationOptions Authentication(ClientTlsOptions? tls)
    {
        var rules = Enumerable.Range(1, values.Count("authentication.rules")).Select(i => Rule($"authentication.rules[{i}].", tls)).ToList();
        var options = new AuthenticationOptions
        {
            Method = Method(read.Choice("listen.authentication")),
            Rules = rules,
            UserFile = read.Text("authentication.user_file"),
            AllowsCleartext = read.Flag("authentication.allow_cleartext"),
            ServesHomeRoles = read.Flag("authentication.query.enabled"),
            LookupQuery = read.Text("authentication.query.sql")!,
            LookupCacheTime = read.Milliseconds("authentication.query.cache_ms"),
        };
        if (rules.Count == 0)
        {
            CheckMethod("listen.authentication", options.Method, tls);
        }

        if (options.AllowsCleartext && (options.Method == ClientAuthentication.Password || rules.Exists(r => r.Method == ClientAuthentication.Password)))
        {
            warnings.Add("authentication.allow_cleartext is true: passwords cross the network in clear where clients do not encrypt");
        }

        if (options.UserFile is { } file)
        {
            try
            {
                UserFile.Read(file);
            }
            catch (ShardProxyException e)
            {
                read.Report("authentication.user_file", e.Error.Message);
            }
        }

        return options;
    }

    /// <summary>Who may see the HTTP side.</summary>
    public AdminAccessOptions Admin(IPEndPoint admin)
    {
        const string Certificate = "admin.tls.certificate_file";
        var token = read.SecretOf("admin.", "token");
        var certificate = read.Text(Certificate);
        var key = read.Text("admin.tls.key_file");
        if (!IPAddress.IsLoopback(admin.Address))
        {
            if (token is null)
            {
                read.Report("admin.host", "other machines reach this address, so the HTTP side needs a token: set admin.token_file (or admin.token), or keep admin.host on 127.0.0.1");
            }
            else if (certificate is null)
            {
                warnings.Add("the HTTP side's token crosses the network in clear; set admin.tls.certificate_file and admin.tls.key_file");
            }
        }

        if (certificate is not null)
        {
            CheckCertificate(Certificate, new TlsServerOptions(certificate, key ?? certificate));
        }

        return new AdminAccessOptions(token, certificate, key ?? certificate);
    }

    private void CheckCertificate(string path, TlsServerOptions files)
    {
        try
        {
            TlsServerIdentity.Load(files);
        }
        catch (Exception e) when (e is CryptographicException or IOException or UnauthorizedAccessException)
        {
            read.Report(path, e.Message);
        }
    }

    private AuthenticationRule Rule(string prefix, ClientTlsOptions? tls)
    {
        var kind = read.Choice(prefix + "type") switch
        {
            "hostssl" => RuleKind.HostSsl,
            "hostnossl" => RuleKind.HostNoSsl,
            _ => RuleKind.Host,
        };
        var method = Method(read.Choice(prefix + "method"));
        CheckMethod(prefix + "method", method, tls);
        return new AuthenticationRule(kind, Names(prefix + "database"), Names(prefix + "user"), Network(prefix + "address"), method)
        {
            CertificateNames = Map(prefix + "map"),
        };
    }

    private void CheckMethod(string path, ClientAuthentication method, ClientTlsOptions? tls)
    {
        if (method == ClientAuthentication.Certificate && tls?.Files.ClientAuthorityFile is null)
        {
            read.Report(path, "cert needs listen.tls.client_ca_file, against which certificates are checked");
        }
        else if (method == ClientAuthentication.ScramSha256Plus && tls is null)
        {
            read.Report(path, "scram-sha-256-plus needs encryption; set listen.tls.certificate_file and listen.tls.key_file");
        }
    }

    private string[] Names(string path)
    {
        var names = read.Text(path)!.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        if (names.Length == 0)
        {
            read.Report(path, "empty; write a name, several separated by commas, or all");
        }

        return names;
    }

    private IPNetwork? Network(string path)
    {
        var text = read.Text(path)!;
        if (text == "all")
        {
            return null;
        }

        if (IPNetwork.TryParse(text, out var network))
        {
            return network;
        }

        if (IPAddress.TryParse(text, out var address))
        {
            return new IPNetwork(address, address.GetAddressBytes().Length * 8);
        }

        read.Report(path, $"\"{text}\" is neither an address nor a network; write for example 10.0.0.0/8, ::1/128 or all");
        return null;
    }

    private Dictionary<string, string> Map(string path)
    {
        var map = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var pair in (read.Text(path) ?? "").Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            var equals = pair.IndexOf('=', StringComparison.Ordinal);
            if (equals <= 0 || equals == pair.Length - 1 || !map.TryAdd(pair[..equals].Trim(), pair[(equals + 1)..].Trim()))
            {
                read.Report(path, "write name=user, several separated by commas, each name once");
                break;
            }
        }

        return map;
    }

    private static ClientAuthentication Method(string text) => text switch
    {
        "trust" => ClientAuthentication.Trust,
        "scram-sha-256-plus" => ClientAuthentication.ScramSha256Plus,
        "md5" => ClientAuthentication.Md5,
        "password" => ClientAuthentication.Password,
        "cert" => ClientAuthentication.Certificate,
        "reject" => ClientAuthentication.Reject,
        _ => ClientAuthentication.ScramSha256,
    };
}
