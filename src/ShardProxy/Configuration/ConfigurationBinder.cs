using System.Collections.Immutable;
using System.Net;
using System.Net.Sockets;
using System.Text.RegularExpressions;
using Microsoft.Extensions.Logging;
using ShardProxy.DataPath;
using ShardProxy.Model.Topology;
using ShardProxy.Wire.Transport;

namespace ShardProxy.Configuration;

/// <summary>Makes <see cref="ProxyOptions"/> of the values, with the checks that need more than one of them.</summary>
internal sealed partial class ConfigurationBinder(ConfigurationValues values, List<ConfigurationProblem> problems, List<string> warnings)
{
    private readonly SettingReader _read = new(values, problems);
    private NodeTls _nodeTls = NodeTls.Preferred;

    /// <summary>Meaningful only if no problem was added.</summary>
    public ProxyOptions Bind()
    {
        var database = _read.Text("database") ?? "";
        var access = new AccessBinder(values, _read, warnings);
        _nodeTls = access.NodeTls();
        var nodes = Nodes(database);
        var tls = access.ClientTls();
        var authentication = access.Authentication(tls);
        var admin = EndPoint("admin");
        var options = new ProxyOptions
        {
            Listen = EndPoint("listen"),
            TrustsClients = authentication.Rules.Count == 0 && authentication.Method == ClientAuthentication.Trust,
            Tls = tls,
            Authentication = authentication,
            Admin = admin,
            AdminAccess = access.Admin(admin),
            Database = database,
            ProxyId = ProxyId(),
            Nodes = nodes,
            Users = Users(authentication),
            Pool = Pool(),
            Limits = new LimitOptions(
                _read.Integer("limits.max_clients"),
                _read.Milliseconds("limits.login_timeout_ms"),
                _read.Milliseconds("limits.hold_timeout_ms"),
                _read.Integer("limits.max_message_bytes"),
                _read.Integer("limits.max_prepared_statements"),
                _read.Integer("limits.max_statement_shapes"))
            {
                MaxPreparedBytes = _read.Integer("limits.max_prepared_bytes"),
                GatherRows = _read.Integer("limits.gather_rows"),
                GatherMegabytes = _read.Integer("limits.gather_mb"),
                BufferBytes = _read.Integer("limits.buffer_bytes"),
                MaxUserConnections = _read.Integer("limits.max_user_connections"),
                MaxDatabaseConnections = _read.Integer("limits.max_database_connections"),
                MaxUnauthenticated = _read.Integer("limits.max_unauthenticated"),
                StatementTimeout = _read.Milliseconds("limits.statement_timeout_ms"),
                IdleInTransactionTimeout = _read.Milliseconds("limits.idle_in_transaction_timeout_ms"),
                ClientIdleTimeout = _read.Milliseconds("limits.client_idle_timeout_ms"),
            },
            Transport = new TransportOptions(
                _read.Choice("transport.kind") switch
                {
                    "epoll" => TransportKind.Epoll,
                    "kestrel" => TransportKind.Kestrel,
                    _ => TransportKind.Auto,
                },
                _read.Integer("transport.event_loops")),
            DrainTimeout = _read.Milliseconds("shutdown.drain_timeout_ms"),
            HandoverSocket = HandoverSocket(),
            HandoverClientWait = _read.Milliseconds("handover.client_wait_ms"),
            Catalog = Catalog(nodes, database),
            Migration = new MigrationSettings(
                _read.Milliseconds("migration.rollback_window_ms"),
                (long)_read.Integer("migration.rollback_max_wal_mb") << 20,
                _read.Integer("migration.copy_parallelism"),
                (long)_read.Integer("migration.max_mb_per_s") << 20,
                _read.Integer("migration.yield_percent") / 100.0,
                _read.Milliseconds("migration.max_source_latency_ms"),
                _read.Milliseconds("migration.max_replica_lag_ms"),
                _read.Text("migration.archive_directory"))
            {
                ShadowReads = _read.Number("migration.shadow_reads"),
            },
            Planner = new PlannerSettings(
                _read.Choice("planner.mode"), TimeSpan.FromSeconds(_read.Integer("planner.interval_s")), _read.Integer("planner.season_steps"), _read.Integer("planner.horizon_steps")),
            Log = new LogOptions(Enum.Parse<LogLevel>(_read.Choice("log.level"), ignoreCase: true), _read.Choice("log.format") == "json"),
        };
        if (database == "shardproxy")
        {
            _read.Report("database", "\"shardproxy\" is the name of the console; choose another database");
        }

        if (options.TrustsClients && !IPAddress.IsLoopback(options.Listen.Address))
        {
            warnings.Add("listen.authentication is trust on an address that other machines reach: anybody there gets in without a password");
        }

        return options;
    }

    private PoolOptions Pool()
    {
        var pool = new PoolOptions(_read.Integer("pool.size"), _read.Milliseconds("pool.max_wait_ms"), _read.Milliseconds("pool.connect_timeout_ms"))
        {
            Minimum = _read.Integer("pool.min_size"),
            Reserve = _read.Integer("pool.reserve"),
            ReserveAfter = _read.Milliseconds("pool.reserve_after_ms"),
            MaxWaiting = _read.Integer("pool.max_waiting"),
            MaxPools = _read.Integer("pool.max_pools"),
            MaxNodeConnections = _read.Integer("pool.max_node_connections"),
            IdleTimeout = _read.Milliseconds("pool.idle_timeout_ms"),
            MaxLifetime = _read.Milliseconds("pool.max_lifetime_ms"),
            CheckAfterIdle = _read.Milliseconds("pool.check_after_idle_ms"),
            MaxPreparedBytes = _read.Integer("pool.max_prepared_bytes"),
            NodeDownWait = _read.Milliseconds("pool.node_down_wait_ms"),
        };
        if (pool.Minimum > pool.Size)
        {
            _read.Report("pool.min_size", $"more than pool.size ({pool.Size}); lower it or raise pool.size");
        }

        if (pool.Size > pool.MaxNodeConnections)
        {
            warnings.Add($"pool.size is more than pool.max_node_connections ({pool.MaxNodeConnections}): a pool never gets so many");
        }

        return pool;
    }

    private IPEndPoint EndPoint(string section)
    {
        var port = _read.Integer($"{section}.port");
        var host = _read.Text($"{section}.host")!;
        if (IPAddress.TryParse(host, out var address))
        {
            return new IPEndPoint(address, port);
        }

        if (host == "localhost")
        {
            return new IPEndPoint(IPAddress.Loopback, port);
        }

        _read.Report($"{section}.host", $"\"{host}\" is not an address of this machine; write 127.0.0.1, 0.0.0.0 for every IPv4 address, or '::' for every address");
        return new IPEndPoint(IPAddress.Loopback, port);
    }

    private UserLimits LimitsOf(string prefix)
    {
        return new UserLimits(
            Own("max_connections"), Time("statement_timeout_ms"), Time("idle_in_transaction_timeout_ms"), Time("client_idle_timeout_ms"));

        int? Own(string key) => _read.Integer(prefix + key) is >= 0 and var value ? value : null;

        TimeSpan? Time(string key) => Own(key) is { } milliseconds ? TimeSpan.FromMilliseconds(milliseconds) : null;
    }

    private string? HandoverSocket()
    {
        // sockaddr_un has 108 bytes for it.
        const int longest = 100;
        var path = _read.Text("handover.socket");
        if (path is { Length: > longest })
        {
            _read.Report("handover.socket", $"longer than {longest} characters, which is too long for a Unix socket");
        }

        if (path is not null && (_read.Choice("transport.kind") == "kestrel" || !Wire.Transport.Epoll.EpollTransport.IsSupported))
        {
            _read.Report("handover.socket", "a hand-over needs the epoll transport, which Linux has");
        }

        return path;
    }

    private string ProxyId()
    {
        var id = _read.Text("proxy_id")!;
        if (!ProxyIdPattern().IsMatch(id))
        {
            _read.Report("proxy_id", "use 1 to 40 lower-case letters, digits, '-' and '_', for example \"proxy_id: proxy1\"");
        }

        return id;
    }

    private List<NodeOptions> Nodes(string database)
    {
        var nodes = new List<NodeOptions>();
        var count = values.Count("nodes");
        if (count == 0)
        {
            problems.Add(new ConfigurationProblem(
                values.FileName, "nodes", "missing; name at least one server, for example \"nodes: [{ name: node1, uri: 'postgresql://shardproxy@10.0.0.1:5432/app' }]\""));
            return nodes;
        }

        for (var i = 1; i <= count; i++)
        {
            var prefix = $"nodes[{i}].";
            var name = _read.Text(prefix + "name") ?? "";
            if (nodes.Exists(n => n.Name == name))
            {
                _read.Report(prefix + "name", $"\"{name}\" is the name of two nodes; names must differ");
            }

            var address = Address(prefix + "uri", prefix, database) ?? new ServerAddress("", 0, "", null, database);
            nodes.Add(new NodeOptions(name, address, _read.Number(prefix + "capacity"), _read.Flag(prefix + "home")));
        }

        var homes = nodes.Count(n => n.IsHome);
        if (homes == 0)
        {
            nodes[0] = nodes[0] with { IsHome = true };
            if (values.Find("nodes[1].home") is null)
            {
                values.Set("nodes[1].home", new ConfiguredValue("true", "default, the first node"));
            }
        }
        else if (homes > 1)
        {
            var second = nodes.FindLastIndex(n => n.IsHome) + 1;
            _read.Report($"nodes[{second}].home", "more than one node is the home node; keep \"home: true\" on one");
        }

        return nodes;
    }

    private List<UserOptions> Users(AuthenticationOptions authentication)
    {
        // A user without a password here has its secret elsewhere, or proves itself without one.
        var needsPassword = authentication.UserFile is null && !authentication.ServesHomeRoles && authentication.Method != ClientAuthentication.Certificate
            && !authentication.Rules.Any(r => r.Method == ClientAuthentication.Certificate);
        var users = new List<UserOptions>();
        for (var i = 1; i <= values.Count("users"); i++)
        {
            var prefix = $"users[{i}].";
            var name = _read.Text(prefix + "name") ?? "";
            if (users.Exists(u => u.Name == name))
            {
                _read.Report(prefix + "name", $"user \"{name}\" stands there twice");
            }

            var password = _read.Password(prefix);
            if (needsPassword && password is null && values.Find(prefix + "password_file") is null)
            {
                problems.Add(new ConfigurationProblem(
                    values.SourceOf(prefix), prefix + "password", $"missing; write password, or password_file, or set {EnvironmentSource.VariableOf(prefix + "password")}"));
            }

            users.Add(new UserOptions(name, password, _read.Flag(prefix + "admin")) { IsMonitor = _read.Flag(prefix + "monitor"), Limits = LimitsOf(prefix) });
        }

        if (users.Count == 0 && authentication.UserFile is null && !authentication.ServesHomeRoles)
        {
            problems.Add(new ConfigurationProblem(
                values.FileName, "users", "missing; name at least one role that may log in, for example \"users: [{ name: app, password_file: /run/secrets/app, admin: true }]\""));
        }
        else if (!users.Exists(u => u.IsAdmin))
        {
            warnings.Add("no user has \"admin: true\": nobody can use the console");
        }

        return users;
    }

    private CatalogOptions Catalog(List<NodeOptions> nodes, string database)
    {
        var kind = _read.Choice("catalog.kind");
        if (kind == "memory")
        {
            warnings.Add("catalog.kind is memory: tables are forgotten as sharded at every stop, while their rows stay spread over the nodes");
            return new CatalogOptions(CatalogKind.Memory, null);
        }

        if (kind == "etcd")
        {
            return new CatalogOptions(CatalogKind.Etcd, null) { Etcd = Etcd() };
        }

        var address = values.Find("catalog.uri") is null ? nodes.Find(n => n.IsHome)?.Address : Address("catalog.uri", "catalog.", database);
        return new CatalogOptions(CatalogKind.Postgres, address);
    }

    private EtcdSettings? Etcd()
    {
        var endpoints = ImmutableArray.CreateBuilder<Uri>();
        if (_read.Text("catalog.endpoints") is not { } list)
        {
            problems.Add(new ConfigurationProblem(values.FileName, "catalog.endpoints", "missing; write where etcd is, for example \"endpoints: http://etcd1.example.com:2379\""));
            return null;
        }

        foreach (var text in list.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            if (Uri.TryCreate(text, UriKind.Absolute, out var uri) && uri.Scheme is "http" or "https")
            {
                endpoints.Add(uri);
            }
            else
            {
                _read.Report("catalog.endpoints", "each has to be an address such as http://etcd1.example.com:2379 or https://etcd1.example.com:2379");
                return null;
            }
        }

        if (endpoints.Count == 0)
        {
            _read.Report("catalog.endpoints", "names no address");
            return null;
        }

        return new EtcdSettings(
            endpoints.ToImmutable(),
            (_read.Text("catalog.prefix") ?? "").TrimEnd('/'),
            _read.Text("catalog.user"),
            _read.Password("catalog."),
            _read.Text("catalog.root_certificate_file"),
            _read.Text("catalog.certificate_file"),
            _read.Text("catalog.key_file"));
    }

    private ServerAddress? Address(string uriPath, string passwordPrefix, string database)
    {
        var password = _read.Password(passwordPrefix);
        if (_read.Text(uriPath) is not { } text)
        {
            return null;
        }

        var address = PostgresUri.Parse(text, database, _nodeTls, out var fault);
        if (address is null)
        {
            _read.Report(uriPath, fault);
            return null;
        }

        AccessBinder.CheckNodeTls(_read, uriPath, address.Tls);

        return password is null ? address : address with { Password = password };
    }

    [GeneratedRegex("^[a-z0-9_-]{1,40}$")]
    private static partial Regex ProxyIdPattern();
}
