using System.Net;
using ShardProxy.Model.Errors;

namespace ShardProxy.DataPath.Login;

/// <summary>Errors before a session exists (SHP-1xx).</summary>
internal static class LoginErrors
{
    public static readonly ShardProxyError TooManyClients = new(
        "53300", "SHP-101", "sorry, too many clients already", "Raise limits.max_clients, or close connections that are not used.");

    public static ShardProxyError TooManyOfUser(string user) => new(
        "53300", "SHP-113", $"too many connections for role \"{user}\"", "Close connections that are not used, or raise users[].max_connections or limits.max_user_connections.");

    public static ShardProxyError TooManyOfDatabase(string database) => new(
        "53300", "SHP-114", $"too many connections for database \"{database}\"", "Close connections that are not used, or raise limits.max_database_connections.");

    public static readonly ShardProxyError NoUser = new(
        "28000", "SHP-102", "no PostgreSQL user name specified in startup packet", "Name a user in the connection string.");

    public static readonly ShardProxyError ReplicationRefused = new(
        "0A000", "SHP-103", "replication connections are not supported through the proxy", "Connect to the node itself.");

    public static readonly ShardProxyError ConsoleDenied = new(
        "42501", "SHP-104", "the console needs an admin or monitor user", "Connect as a user with admin: true or monitor: true in the configuration.");

    public static readonly ShardProxyError ShuttingDown = new(
        "57P01", "SHP-105", "terminating connection due to administrator command", "The proxy is stopping; connect again.");

    public static readonly ShardProxyError TooManyLogins = new(
        "53300", "SHP-120", "too many connections are logging in at once", "Connect again in a moment, or raise limits.max_unauthenticated.");

    public static readonly ShardProxyError EncryptionRequired = new(
        "28000", "SHP-123", "the proxy takes encrypted connections only", "Connect with sslmode=require or better.");

    public static readonly ShardProxyError NoCertificate = new(
        "28000", "SHP-124", "connection requires a valid client certificate", "Give the client a certificate (sslcert, sslkey) and connect with TLS.");

    public static readonly ShardProxyError UntrustedCertificate = new(
        "28000", "SHP-130", "the client's certificate is out of date or issued by somebody the proxy does not trust", "Use one issued by listen.tls.client_ca_file, or none.");

    public static readonly ShardProxyError CleartextRefused = new(
        "28000", "SHP-126", "a cleartext password is taken on encrypted connections only", "Connect with sslmode=require, or set authentication.allow_cleartext.");

    public static ShardProxyError UnguardedAdmin(string user) => new(
        "42501", "SHP-132", $"the password of console admin \"{user}\" is one that roles with CREATEROLE can set",
        "Make the role a superuser on the home node, or log in with the password that is written down in users[] or authentication.user_file.");

    public static readonly ShardProxyError LookupFailed = new(
        "57P03", "SHP-127", "users cannot be looked up at the moment", "Check that the home node runs and that the proxy's authentication query is right.");

    public static ShardProxyError AuthenticationFailed(string user) => new(
        "28P01", "SHP-106", $"password authentication failed for user \"{user}\"", "Check the password, and that the proxy knows the user.");

    /// <summary>With PostgreSQL's words, which clients and people know.</summary>
    public static ShardProxyError NoRule(IPAddress? host, string user, string database, bool isEncrypted) => new(
        "28000", "SHP-121", $"no pg_hba.conf entry for {Connection(host, user, database, isEncrypted)}", "The proxy's authentication.rules decide; add a rule there.");

    public static ShardProxyError Rejected(IPAddress? host, string user, string database, bool isEncrypted) => new(
        "28000", "SHP-122", $"pg_hba.conf rejects connection for {Connection(host, user, database, isEncrypted)}", "The proxy's authentication.rules decide.");

    public static ShardProxyError CertificateFailed(string user) => new(
        "28000", "SHP-125", $"certificate authentication failed for user \"{user}\"", "The certificate's common name has to be the user's, or be mapped to it.");

    private static string Connection(IPAddress? host, string user, string database, bool isEncrypted) =>
        $"host \"{host?.ToString() ?? "unknown"}\", user \"{user}\", database \"{database}\", {(isEncrypted ? "SSL encryption" : "no encryption")}";
}
