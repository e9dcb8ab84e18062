using System.Collections.Immutable;
using System.Net;
using System.Security.Cryptography.X509Certificates;
using ShardProxy.Catalog.Stores.Etcd;
using ShardProxy.DataPath;
using ShardProxy.Model.Topology;
using ShardProxy.Wire.Tls;

namespace ShardProxy.Configuration;

/// <summary>A checked configuration. Immutable; printing it shows no secret.</summary>
internal sealed record ProxyOptions
{
    public required IPEndPoint Listen { get; init; }

    /// <summary>Clients are let in without a password.</summary>
    public required bool TrustsClients { get; init; }

    public required IPEndPoint Admin { get; init; }

    public required string Database { get; init; }

    public required string ProxyId { get; init; }

    /// <summary>In the order of the file; exactly one is the home node.</summary>
    public required IReadOnlyList<NodeOptions> Nodes { get; init; }

    public required IReadOnlyList<UserOptions> Users { get; init; }

    public required PoolOptions Pool { get; init; }

    public required LimitOptions Limits { get; init; }

    public TransportOptions Transport { get; init; } = new(Wire.Transport.TransportKind.Auto, 0);

    public required CatalogOptions Catalog { get; init; }

    public required PlannerSettings Planner { get; init; }

    public MigrationSettings Migration { get; init; } = MigrationSettings.Default;

    public required LogOptions Log { get; init; }

    /// <summary>How long transactions may go on after the proxy was asked to end.</summary>
    public TimeSpan DrainTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>How a second process takes over from this one; null when none can.</summary>
    public string? HandoverSocket { get; init; }

    /// <summary>How long clients are served on after that before they are sent away.</summary>
    public TimeSpan HandoverClientWait { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>The file it was read from; null when it was made otherwise.</summary>
    public string? File { get; init; }

    /// <summary>Null when clients are not offered encryption.</summary>
    public ClientTlsOptions? Tls { get; init; }

    public AuthenticationOptions Authentication { get; init; } = new();

    public AdminAccessOptions AdminAccess { get; init; } = new(null, null, null);

    public NodeOptions HomeNode => Nodes.Single(n => n.IsHome);
}

/// <summary>One backend server and the superuser the proxy manages it as.</summary>
internal sealed record NodeOptions(string Name, ServerAddress Address, double Capacity, bool IsHome);

/// <summary>A PostgreSQL database and how to log in to it.</summary>
internal sealed record ServerAddress(string Host, int Port, string User, Secret? Password, string Database)
{
    public NodeTls Tls { get; init; } = NodeTls.Preferred;
}

/// <summary>A role that clients log in as.</summary>
internal sealed record UserOptions(string Name, Secret? Password, bool IsAdmin)
{
    public bool IsMonitor { get; init; }

    public UserLimits Limits { get; init; } = UserLimits.None;
}

/// <summary>Encryption towards clients.</summary>
internal sealed record ClientTlsOptions(TlsServerOptions Files, bool IsRequired);

/// <summary>How clients log in.</summary>
internal sealed record AuthenticationOptions
{
    /// <summary>For everybody, when there are no rules.</summary>
    public ClientAuthentication Method { get; init; } = ClientAuthentication.ScramSha256;

    public IReadOnlyList<AuthenticationRule> Rules { get; init; } = [];

    public string? UserFile { get; init; }

    public bool AllowsCleartext { get; init; }

    /// <summary>Every role of the home node may log in.</summary>
    public bool ServesHomeRoles { get; init; }

    public string LookupQuery { get; init; } = UserLookupOptions.DefaultQuery;

    public TimeSpan LookupCacheTime { get; init; } = TimeSpan.FromSeconds(1);
}

/// <summary>Who may see the HTTP side, and how: a bearer token, a certificate and its key; each may be null.</summary>
internal sealed record AdminAccessOptions(Secret? Token, string? CertificateFile, string? KeyFile);

/// <summary>Server connections: how many, how long, and how long is waited for one.</summary>
internal sealed record PoolOptions(int Size, TimeSpan MaxWait, TimeSpan ConnectTimeout)
{
    public int Minimum { get; init; }

    public int Reserve { get; init; }

    public TimeSpan ReserveAfter { get; init; } = TimeSpan.FromSeconds(5);

    public int MaxWaiting { get; init; } = 10_000;

    public int MaxPools { get; init; } = 1_000;

    public int MaxNodeConnections { get; init; } = 1_000;

    public TimeSpan IdleTimeout { get; init; } = TimeSpan.FromMinutes(10);

    public TimeSpan MaxLifetime { get; init; } = TimeSpan.FromHours(1);

    /// <summary>Zero for never.</summary>
    public TimeSpan CheckAfterIdle { get; init; } = TimeSpan.FromSeconds(30);

    public int MaxPreparedBytes { get; init; } = 4 * 1024 * 1024;

    public TimeSpan NodeDownWait { get; init; } = TimeSpan.FromSeconds(5);
}

internal sealed record LimitOptions(
    int MaxClients, TimeSpan LoginTimeout, TimeSpan HoldTimeout, int MaxMessageBytes, int MaxPreparedStatements, int MaxStatementShapes)
{
    public TimeSpan StatementTimeout { get; init; }

    public TimeSpan IdleInTransactionTimeout { get; init; }

    public TimeSpan ClientIdleTimeout { get; init; }

    public int MaxUnauthenticated { get; init; } = 5_000;

    /// <summary>0 for any number.</summary>
    public int MaxUserConnections { get; init; }

    /// <summary>0 for any number.</summary>
    public int MaxDatabaseConnections { get; init; }

    public int MaxPreparedBytes { get; init; } = 16 * 1024 * 1024;

    /// <summary>Of one statement over several nodes.</summary>
    public int GatherRows { get; init; } = 10_000_000;

    /// <summary>Of one statement over several nodes.</summary>
    public int GatherMegabytes { get; init; } = 1024;

    /// <summary>Each way of a connection.</summary>
    public int BufferBytes { get; init; } = 64 * 1024;
}

/// <summary>What drives the sockets; 0 loops for the transport's own choice.</summary>
internal sealed record TransportOptions(Wire.Transport.TransportKind Kind, int EventLoops);

internal enum CatalogKind
{
    Postgres,
    Etcd,
    Memory,
}

/// <summary>Where the routing truth is kept. <paramref name="Address"/> is PostgreSQL's.</summary>
internal sealed record CatalogOptions(CatalogKind Kind, ServerAddress? Address)
{
    /// <summary>Where etcd is.</summary>
    public EtcdSettings? Etcd { get; init; }
}

/// <summary>How an etcd is reached; the files are read when the proxy starts.</summary>
internal sealed record EtcdSettings(ImmutableArray<Uri> Endpoints, string Prefix, string? User, Secret? Password, string? RootFile, string? CertificateFile, string? KeyFile)
{
    public EtcdOptions Load() => new()
    {
        Endpoints = Endpoints,
        Prefix = Prefix,
        User = User,
        Password = Password?.Reveal(),
        TrustedRoots = RootFile is null ? null : Roots(RootFile),
        ClientCertificate = CertificateFile is null ? null : X509Certificate2.CreateFromPemFile(CertificateFile, KeyFile ?? CertificateFile),
    };

    private static X509Certificate2Collection Roots(string file)
    {
        var roots = new X509Certificate2Collection();
        roots.ImportFromPemFile(file);
        return roots;
    }
}

/// <summary>The planner's settings as configured; mode is one of off, advise, approve, automatic.</summary>
internal sealed record PlannerSettings(string Mode, TimeSpan Interval, int SeasonSteps, int HorizonSteps);

/// <summary>How ranges are moved, as configured. Rates in bytes a second, 0 for none; times zero for none.</summary>
internal sealed record MigrationSettings(
    TimeSpan RollbackWindow, long RollbackMaximumWal, int CopyParallelism, long MaximumCopyRate, double MaximumYield, TimeSpan MaximumSourceLatency, TimeSpan MaximumReplicaLag, string? ArchiveDirectory = null)
{
    /// <summary>Share of the reads of a moving range that are compared on both nodes.</summary>
    public double ShadowReads { get; init; } = 0.01;

    public static readonly MigrationSettings Default = new(TimeSpan.FromSeconds(10), 1L << 30, 2, 0, 4, TimeSpan.Zero, TimeSpan.FromSeconds(10));
}

internal sealed record LogOptions(Microsoft.Extensions.Logging.LogLevel Level, bool IsJson);
