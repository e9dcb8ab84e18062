using System.Net;
using ShardProxy.Model.Topology;
using ShardProxy.Wire.Tls;

namespace ShardProxy.DataPath;

/// <summary>How clients prove who they are.</summary>
public enum ClientAuthentication
{
    /// <summary>SCRAM-SHA-256, with channel binding where the connection is encrypted and the client can.</summary>
    ScramSha256,

    /// <summary>No proof asked: only for loopback tests and private sockets.</summary>
    Trust,

    /// <summary>SCRAM-SHA-256-PLUS and nothing less: an encrypted connection, bound to it.</summary>
    ScramSha256Plus,

    /// <summary>MD5 with a salt, for clients that know nothing better.</summary>
    Md5,

    /// <summary>The password in clear.</summary>
    Password,

    /// <summary>A client certificate, and nothing else.</summary>
    Certificate,

    /// <summary>Nobody.</summary>
    Reject,
}

/// <summary>A user the proxy knows: clients log in as it, and the proxy logs in to the servers as it.</summary>
/// <param name="Name">Role name, the same on every node.</param>
/// <param name="Password">Cleartext; null for servers that trust the proxy. Never logged.</param>
/// <param name="IsAdmin">May use the console.</param>
public sealed record UserCredential(string Name, string? Password, bool IsAdmin)
{
    /// <summary>May look at the console, not change anything there.</summary>
    public bool IsMonitor { get; init; }

    public override string ToString() => $"{nameof(UserCredential)} {{ Name = {Name}, IsAdmin = {IsAdmin} }}";
}

/// <summary>What holds for one user instead of what holds for everybody; null for no difference.</summary>
/// <param name="MaxConnections">Clients at once.</param>
/// <param name="StatementTimeout">As <see cref="DataPathOptions.StatementTimeout"/>; zero for never.</param>
/// <param name="IdleInTransactionTimeout">As <see cref="DataPathOptions.IdleInTransactionTimeout"/>; zero for never.</param>
/// <param name="ClientIdleTimeout">As <see cref="DataPathOptions.ClientIdleTimeout"/>; zero for never.</param>
public sealed record UserLimits(int? MaxConnections, TimeSpan? StatementTimeout, TimeSpan? IdleInTransactionTimeout, TimeSpan? ClientIdleTimeout)
{
    public static readonly UserLimits None = new(null, null, null, null);
}

/// <summary>Settings of one data path; every wait has a deadline and every buffer a bound here (law 6).</summary>
public sealed record DataPathOptions
{
    /// <summary>This proxy's id, as in <c>application_name = shardproxy/&lt;id&gt;</c>.</summary>
    public required string ProxyId { get; init; }

    /// <summary>Share of the reads of a moving range that are compared on both nodes, 0 (none) to 1.</summary>
    public double ShadowReads { get; init; }

    /// <summary>Under which name server connections enter the nodes of <see cref="Database"/>; null where nobody could bar it.</summary>
    public Model.Fleet.ProxyIdentity? Identity { get; init; }

    /// <summary>Where clients connect. Port 0 picks a free one.</summary>
    public required IPEndPoint Listen { get; init; }

    /// <summary>The sharded database; any other name goes to the home node.</summary>
    public required string Database { get; init; }

    public required IReadOnlyList<UserCredential> Users { get; init; }

    /// <summary>For everybody, when there are no <see cref="Rules"/>.</summary>
    public ClientAuthentication Authentication { get; init; } = ClientAuthentication.ScramSha256;

    /// <summary>The first that matches decides; without a match nobody gets in. Empty: <see cref="Authentication"/> for everybody.</summary>
    public IReadOnlyList<AuthenticationRule> Rules { get; init; } = [];

    /// <summary>Cleartext passwords are taken on connections in clear too.</summary>
    public bool AllowsCleartextPasswords { get; init; }

    /// <summary>A file of further users, or null.</summary>
    public string? UserFile { get; init; }

    /// <summary>How roles are looked up on the home node; null when they are not.</summary>
    public UserLookupOptions? UserLookup { get; init; }

    /// <summary>Where the made-up salts of unknown users come from: the same for every start and proxy, or null for a random one.</summary>
    public byte[]? MockSecret { get; init; }

    /// <summary>The certificate for clients; null when connections are not encrypted.</summary>
    public TlsCertificates? Certificates { get; init; }

    /// <summary>Connections in clear are refused.</summary>
    public bool DemandsTls { get; init; }

    /// <summary>Encryption towards the nodes, by their names; those not named are connected to in clear.</summary>
    public IReadOnlyDictionary<string, NodeTls> NodeTls { get; init; } = new Dictionary<string, NodeTls>();

    /// <summary>Connections that have not logged in yet, at once.</summary>
    public int MaxUnauthenticated { get; init; } = 5_000;

    /// <summary>Server connections a (node, database, user).</summary>
    public int PoolSize { get; init; } = 20;

    /// <summary>Server connections of a (node, database, user) that are kept open while the pool is in use.</summary>
    public int PoolMinimum { get; init; }

    /// <summary>Server connections above <see cref="PoolSize"/>, opened when somebody has waited for <see cref="PoolReserveAfter"/>.</summary>
    public int PoolReserve { get; init; }

    /// <summary>How long the first in line waits before the reserve is used.</summary>
    public TimeSpan PoolReserveAfter { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Idle server connections above the minimum are closed after this.</summary>
    public TimeSpan PoolIdleTimeout { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>A server connection that is older, give or take a tenth, is closed when it comes back.</summary>
    public TimeSpan PoolLifetime { get; init; } = TimeSpan.FromHours(1);

    /// <summary>A server connection that has been idle for longer is asked whether it is there before a client gets it; zero for never.</summary>
    public TimeSpan PoolCheckAfterIdle { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Statements that may wait for a server connection of one pool.</summary>
    public int PoolMaxWaiting { get; init; } = 10_000;

    /// <summary>Pools at once; unused ones make room.</summary>
    public int MaxPools { get; init; } = 1_000;

    /// <summary>Server connections to one node over all pools; idle ones of other pools make room.</summary>
    public int NodeMaxConnections { get; init; } = 1_000;

    /// <summary>How long statements wait for a node that cannot be reached before they fail; a node that is starting up is waited for up to <see cref="PoolWait"/>.</summary>
    public TimeSpan NodeDownWait { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>How long a statement waits for a server connection.</summary>
    public TimeSpan PoolWait { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>How long opening and logging in to a server may take.</summary>
    public TimeSpan ServerConnectTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>How long a client may take to log in.</summary>
    public TimeSpan LoginTimeout { get; init; } = TimeSpan.FromSeconds(20);

    /// <summary>How long a statement may be held by a moving range, a table that changes its placement, or DDL that waits for a move.</summary>
    public TimeSpan HoldTimeout { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>A statement that works for longer is cancelled; zero for never.</summary>
    public TimeSpan StatementTimeout { get; init; }

    /// <summary>A client that is idle in a transaction for longer is sent away; zero for never.</summary>
    public TimeSpan IdleInTransactionTimeout { get; init; }

    /// <summary>A client that is idle outside a transaction for longer is sent away; zero for never.</summary>
    public TimeSpan ClientIdleTimeout { get; init; }

    /// <summary>Users with limits of their own, by name.</summary>
    public IReadOnlyDictionary<string, UserLimits> UserLimits { get; init; } = new Dictionary<string, UserLimits>();

    /// <summary>Clients at once as one user; 0 for any number.</summary>
    public int MaxUserConnections { get; init; }

    /// <summary>Clients at once of one database; 0 for any number.</summary>
    public int MaxDatabaseConnections { get; init; }

    /// <summary>Clients at once.</summary>
    public int MaxClients { get; init; } = 15_000;

    /// <summary>Largest message a client may send that the proxy has to see whole.</summary>
    public int MaxMessageBytes { get; init; } = 256 * 1024 * 1024;

    /// <summary>
    /// Bytes of requests on their way to a server, and of replies on their way to a client, above which they are passed on before the client asks for
    /// it: a client that never sends Sync must not fill memory. Taken when the client logs in.
    /// </summary>
    public int MaxUnsentBytes { get; init; } = 64 * 1024;

    /// <summary>Largest message before a client has logged in.</summary>
    public int MaxLoginMessageBytes { get; init; } = 64 * 1024;

    /// <summary>Prepared statements a client may hold.</summary>
    public int MaxPreparedPerClient { get; init; } = 10_000;

    /// <summary>Rows one statement may gather from several nodes.</summary>
    public long GatherMaxRows { get; init; } = 10_000_000;

    /// <summary>Bytes, as COPY text, that one statement may gather from several nodes.</summary>
    public long GatherMaxBytes { get; init; } = 1L << 30;

    /// <summary>Bytes of named prepared statements a client may hold.</summary>
    public int MaxPreparedBytesPerClient { get; init; } = 16 * 1024 * 1024;

    /// <summary>Bytes of statement text kept prepared on a server connection; above it the least recently used are closed.</summary>
    public int MaxPreparedBytesPerServer { get; init; } = 4 * 1024 * 1024;

    /// <summary>For fault harnesses, to show that they would find the mistake: a statement goes where it was planned to go, however the routing has changed since.</summary>
    internal bool TrustsOldPlans { get; init; }

    /// <summary>The limits of one user.</summary>
    public UserLimits LimitsOf(string user) => UserLimits.Count == 0 ? DataPath.UserLimits.None : UserLimits.GetValueOrDefault(user, DataPath.UserLimits.None);
}
