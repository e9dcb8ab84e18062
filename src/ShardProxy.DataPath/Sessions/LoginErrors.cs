using ShardProxy.Model.Errors;

namespace ShardProxy.DataPath.Sessions;

/// <summary>Errors before a session exists (SHP-1xx).</summary>
internal static class LoginErrors
{
    public static readonly ShardProxyError TooManyClients = new(
        "53300", "SHP-101", "sorry, too many clients already", "Raise limits.max_clients, or close connections that are not used.");

    public static readonly ShardProxyError NoUser = new(
        "28000", "SHP-102", "no PostgreSQL user name specified in startup packet", "Name a user in the connection string.");

    public static readonly ShardProxyError ReplicationRefused = new(
        "0A000", "SHP-103", "replication connections are not supported through the proxy", "Connect to the node itself.");

    public static readonly ShardProxyError ConsoleDenied = new(
        "42501", "SHP-104", "the console needs an admin user", "Connect as a user with admin: true in the configuration.");

    public static readonly ShardProxyError ShuttingDown = new(
        "57P01", "SHP-105", "terminating connection due to administrator command", "The proxy is stopping; connect again.");

    public static ShardProxyError AuthenticationFailed(string user) => new(
        "28P01", "SHP-106", $"password authentication failed for user \"{user}\"", "Check the password, and that the proxy's configuration names the user.");
}
