using System.Net;

namespace ShardProxy.DataPath;

/// <summary>How clients prove who they are.</summary>
public enum ClientAuthentication
{
    ScramSha256,

    /// <summary>No proof asked: only for loopback tests and private sockets.</summary>
    Trust,
}

/// <summary>A user the proxy knows: clients log in as it, and the proxy logs in to the servers as it.</summary>
/// <param name="Name">Role name, the same on every node.</param>
/// <param name="Password">Cleartext; null for servers that trust the proxy. Never logged.</param>
/// <param name="IsAdmin">May use the console.</param>
public sealed record UserCredential(string Name, string? Password, bool IsAdmin)
{
    public override string ToString() => $"{nameof(UserCredential)} {{ Name = {Name}, IsAdmin = {IsAdmin} }}";
}

/// <summary>Settings of one data path; every wait has a deadline and every buffer a bound here (law 6).</summary>
public sealed record DataPathOptions
{
    /// <summary>This proxy's id, as in <c>application_name = shardproxy/&lt;id&gt;</c>.</summary>
    public required string ProxyId { get; init; }

    /// <summary>Where clients connect. Port 0 picks a free one.</summary>
    public required IPEndPoint Listen { get; init; }

    /// <summary>The sharded database; any other name goes to the home node.</summary>
    public required string Database { get; init; }

    public required IReadOnlyList<UserCredential> Users { get; init; }

    public ClientAuthentication Authentication { get; init; } = ClientAuthentication.ScramSha256;

    /// <summary>Server connections a (node, database, user).</summary>
    public int PoolSize { get; init; } = 20;

    /// <summary>How long a statement waits for a server connection.</summary>
    public TimeSpan PoolWait { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>How long opening and logging in to a server may take.</summary>
    public TimeSpan ServerConnectTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>How long a client may take to log in.</summary>
    public TimeSpan LoginTimeout { get; init; } = TimeSpan.FromSeconds(20);

    /// <summary>How long a statement may be held by a moving range, a table that changes its placement, or DDL that waits for a move.</summary>
    public TimeSpan HoldTimeout { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>Clients at once.</summary>
    public int MaxClients { get; init; } = 10_000;

    /// <summary>Largest message a client may send that the proxy has to see whole.</summary>
    public int MaxMessageBytes { get; init; } = 256 * 1024 * 1024;

    /// <summary>Largest message before a client has logged in.</summary>
    public int MaxLoginMessageBytes { get; init; } = 64 * 1024;

    /// <summary>Prepared statements a client may hold.</summary>
    public int MaxPreparedPerClient { get; init; } = 10_000;
}
