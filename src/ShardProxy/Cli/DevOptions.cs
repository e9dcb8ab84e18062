using System.Net;
using ShardProxy.Configuration;
using ShardProxy.LocalCluster;
using ShardProxy.Model.Topology;

namespace ShardProxy.Cli;

/// <summary>What <c>dev</c> was asked for.</summary>
internal sealed record DevOptions
{
    public int Nodes { get; init; } = 3;

    /// <summary>Port for clients; 0 for any free one.</summary>
    public int Port { get; init; }

    /// <summary>Port for HTTP; 0 for any free one.</summary>
    public int AdminPort { get; init; }

    /// <summary>Data directory to keep, or null for a temporary one.</summary>
    public string? DataDirectory { get; init; }

    public string User { get; init; } = "app";

    public Secret Password { get; init; } = new("app");

    public string Database { get; init; } = "app";

    public TimeSpan RollbackWindow { get; init; } = MigrationSettings.Default.RollbackWindow;

    public bool InstallMissing { get; init; }

    /// <summary>The proxy's configuration over servers that have been started: the user is their superuser and console admin.</summary>
    public ProxyOptions ToProxyOptions(IReadOnlyList<LocalServer> servers)
    {
        NodeOptions[] nodes =
        [
            .. servers.Select((server, i) => new NodeOptions(
                server.Name, new ServerAddress(server.Host, server.Port, User, Password, Database) { Tls = NodeTls.Disabled }, Capacity: 0, IsHome: i == 0)),
        ];
        var defaults = new PoolOptions(Size: 20, MaxWait: TimeSpan.FromSeconds(30), ConnectTimeout: TimeSpan.FromSeconds(10))
        {
            // The servers have 300; moves and the control plane need some.
            MaxNodeConnections = 250,

            // Clients that keep their server, by temporary tables or by not reading what they asked for, do not stop the others.
            Reserve = 100,
            ReserveAfter = TimeSpan.FromMilliseconds(250),
        };
        return new ProxyOptions
        {
            Listen = new IPEndPoint(IPAddress.Loopback, Port),
            TrustsClients = false,
            Admin = new IPEndPoint(IPAddress.Loopback, AdminPort),
            Database = Database,
            ProxyId = "dev",
            Nodes = nodes,
            Users = [new UserOptions(User, Password, IsAdmin: true)],

            // Whom the user makes may log in, as on one server.
            Authentication = new AuthenticationOptions { ServesHomeRoles = true },
            Pool = defaults,
            Limits = new LimitOptions(
                MaxClients: 15_000,
                LoginTimeout: TimeSpan.FromSeconds(20),
                HoldTimeout: TimeSpan.FromSeconds(60),
                MaxMessageBytes: 256 * 1024 * 1024,
                MaxPreparedStatements: 10_000,
                MaxStatementShapes: 10_000),
            Catalog = new CatalogOptions(CatalogKind.Postgres, nodes[0].Address),
            Migration = MigrationSettings.Default with { RollbackWindow = RollbackWindow },
            Planner = new PlannerSettings("advise", TimeSpan.FromMinutes(5), SeasonSteps: 288, HorizonSteps: 12),
            Log = new LogOptions(Microsoft.Extensions.Logging.LogLevel.Warning, IsJson: false),
        };
    }
}
