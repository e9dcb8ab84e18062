using ShardProxy.DataPath;

namespace ShardProxy.Configuration;

/// <summary>All keys, in the order in which they are printed.</summary>
internal static class ConfigurationSchema
{
    private const int MaximumPort = 65_535;

    // Before All, whose initializer uses it.
    private static readonly string[] Methods = ["scram-sha-256", "scram-sha-256-plus", "md5", "password", "cert", "trust"];

    public static readonly IReadOnlyList<Setting> All =
    [
        Text("listen.host", "127.0.0.1", "0.0.0.0", "address on which clients connect"),
        Integer("listen.port", 6432, 0, MaximumPort, "port on which clients connect; 0 for any free one"),
        Choice("listen.authentication", "scram-sha-256", Methods, "how clients prove who they are, when there are no authentication.rules"),
        Choice("listen.tls.mode", "disable", ["disable", "allow", "require"], "whether clients may or must encrypt; allow when a certificate is set"),
        Pem("listen.tls.certificate_file", "server.crt", "certificate that clients see, then its intermediates, PEM"),
        Pem("listen.tls.key_file", "server.key", "its private key, PEM without passphrase"),
        Pem("listen.tls.client_ca_file", "clients-ca.crt", "authorities of client certificates, PEM; clients are asked for one when it is set"),
        Choice("listen.tls.min_version", "1.2", ["1.2", "1.3"], "oldest TLS version clients may speak"),
        Text("admin.host", "127.0.0.1", "127.0.0.1", "address of the HTTP side: metrics, health, API"),
        Integer("admin.port", 6433, 0, MaximumPort, "port of the HTTP side; 0 for any free one"),
        Secret("admin.token", "bearer token for the HTTP side; must be set to leave loopback"),
        File("admin.token_file", "file that holds it"),
        Pem("admin.tls.certificate_file", "admin.crt", "certificate of the HTTP side, PEM; it speaks HTTPS when it is set"),
        Pem("admin.tls.key_file", "admin.key", "its private key, PEM without passphrase"),
        Text("database", null, "app", "the sharded database; any other name goes to the home node") with { IsRequired = true },
        Text("proxy_id", "proxy1", "proxy1", "name of this proxy, different from every other one's; lower-case letters, digits, '-' and '_'"),
        Text("nodes[].name", null, "node1", "unique name of the node") with { IsRequired = true },
        new("nodes[].uri", SettingKind.PostgresUri, null, "postgresql://shardproxy@10.0.0.1:5432/app", "where the node is and as which superuser the proxy manages it")
        {
            IsRequired = true,
            IsSecret = true,
        },
        Secret("nodes[].password", "password of that superuser, when not in the URI"),
        File("nodes[].password_file", "file that holds it"),
        Number("nodes[].capacity", 0, "relative capacity; statements per second when known, else 0"),
        Flag("nodes[].home", false, "holds unsharded tables and the catalog; exactly one node, the first when none says so"),
        Choice("node_tls.mode", "prefer", ["disable", "prefer", "require", "verify-ca", "verify-full"], "encryption towards nodes and catalog; sslmode in a URI wins"),
        Pem("node_tls.root_certificate_file", "nodes-ca.crt", "authorities of their certificates, PEM; sslrootcert in a URI wins"),
        Pem("node_tls.certificate_file", "proxy.crt", "certificate the proxy shows them, PEM; sslcert in a URI wins"),
        Pem("node_tls.key_file", "proxy.key", "its private key, PEM without passphrase; sslkey in a URI wins"),
        Text("users[].name", null, "app", "role that clients log in as, the same on every node") with { IsRequired = true },
        Secret("users[].password", "its password, towards clients and nodes"),
        File("users[].password_file", "file that holds it"),
        Flag("users[].admin", false, "may use the console"),
        Flag("users[].monitor", false, "may look at the console, not change anything there"),
        Integer("users[].max_connections", -1, -1, 1_000_000, "clients at once as this user; 0 for any number, -1 for limits.max_user_connections"),
        Integer("users[].statement_timeout_ms", -1, -1, 86_400_000, "for this user; -1 for limits.statement_timeout_ms"),
        Integer("users[].idle_in_transaction_timeout_ms", -1, -1, 86_400_000, "for this user; -1 for limits.idle_in_transaction_timeout_ms"),
        Integer("users[].client_idle_timeout_ms", -1, -1, 86_400_000, "for this user; -1 for limits.client_idle_timeout_ms"),
        Choice("authentication.rules[].type", "host", ["host", "hostssl", "hostnossl"], "encrypted connections, those in clear, or both"),
        Text("authentication.rules[].database", "all", "app,shardproxy", "databases, separated by commas; all, sameuser; shardproxy is the console"),
        Text("authentication.rules[].user", "all", "app,ops", "users, separated by commas, or all"),
        Text("authentication.rules[].address", "all", "10.0.0.0/8", "client addresses as a network, or all"),
        Choice("authentication.rules[].method", null, [.. Methods, "reject"], "how these clients prove who they are") with { IsRequired = true },
        Text("authentication.rules[].map", null, "client1=app,client2=app", "for cert: which user a certificate's common name stands for"),
        Pem("authentication.user_file", "userlist.txt", "file of further users, a line \"name\" \"verifier, hash or password\" each"),
        Flag("authentication.allow_cleartext", false, "method password also on connections in clear"),
        Flag("authentication.query.enabled", false, "every role of the home node may log in, looked up there"),
        Text("authentication.query.sql", UserLookupOptions.DefaultQuery, "'SELECT usename, passwd, usesuper FROM pg_shadow WHERE usename = $1'", "gets the name as $1, returns name, rolpassword and rolsuper"),
        Integer("authentication.query.cache_ms", 1_000, 0, 60_000, "how long an answer of it is believed"),
        Integer("pool.size", 20, 1, 10_000, "server connections for each node, database and user"),
        Integer("pool.min_size", 0, 0, 10_000, "server connections kept open for each node, database and user that is in use"),
        Integer("pool.reserve", 0, 0, 10_000, "server connections above pool.size for statements that have waited long"),
        Integer("pool.reserve_after_ms", 5_000, 1, 3_600_000, "how long a statement has waited when the reserve is used"),
        Integer("pool.max_waiting", 10_000, 1, 1_000_000, "statements that may wait for a server connection of one pool"),
        Integer("pool.max_pools", 1_000, 1, 100_000, "pools at once; those unused make room"),
        Integer("pool.max_node_connections", 1_000, 1, 100_000, "server connections to one node over all pools; idle ones of other pools make room"),
        Integer("pool.idle_timeout_ms", 600_000, 1_000, 86_400_000, "how long a server connection above pool.min_size may be idle"),
        Integer("pool.max_lifetime_ms", 3_600_000, 1_000, 604_800_000, "how old a server connection may become, give or take a tenth"),
        Integer("pool.check_after_idle_ms", 30_000, 0, 86_400_000, "idle time after which a server connection is tested before it is used; 0 for never"),
        Integer("pool.node_down_wait_ms", 5_000, 0, 3_600_000, "how long statements wait for a node that cannot be reached"),
        Integer("pool.max_prepared_bytes", 4 * 1024 * 1024, 1024, 1024 * 1024 * 1024, "bytes of statement text kept prepared on a server connection; the least recently used go first"),
        Integer("pool.max_wait_ms", 30_000, 1, 3_600_000, "how long a statement waits for a server connection"),
        Integer("pool.connect_timeout_ms", 10_000, 1, 600_000, "how long opening a server connection may take"),
        Integer("limits.max_clients", 15_000, 1, 1_000_000, "clients at once"),
        Integer("limits.max_user_connections", 0, 0, 1_000_000, "clients at once as one user; 0 for any number"),
        Integer("limits.max_database_connections", 0, 0, 1_000_000, "clients at once of one database; 0 for any number"),
        Integer("limits.max_unauthenticated", 5_000, 1, 1_000_000, "clients at once that have not logged in yet"),
        Integer("limits.login_timeout_ms", 20_000, 1, 600_000, "how long a client may take to log in"),
        Integer("limits.statement_timeout_ms", 0, 0, 86_400_000, "how long a statement may work before it is cancelled; 0 for ever"),
        Integer("limits.idle_in_transaction_timeout_ms", 0, 0, 86_400_000, "how long a client may be idle in a transaction; 0 for ever"),
        Integer("limits.client_idle_timeout_ms", 0, 0, 86_400_000, "how long a client may be idle outside a transaction; 0 for ever"),
        Integer("limits.hold_timeout_ms", 60_000, 1, 3_600_000, "how long a statement may be held by a moving range"),
        Integer("limits.max_message_bytes", 256 * 1024 * 1024, 1024, 1024 * 1024 * 1024, "largest message the proxy has to see whole"),
        Integer("limits.max_prepared_statements", 10_000, 1, 1_000_000, "prepared statements a client may hold"),
        Integer("limits.gather_rows", 10_000_000, 1, int.MaxValue, "rows that one statement over several nodes may gather on one of them"),
        Integer("limits.gather_mb", 1024, 1, 1024 * 1024, "megabytes, as COPY text, that one statement over several nodes may gather on one of them"),
        Integer("limits.max_prepared_bytes", 16 * 1024 * 1024, 1024, 1024 * 1024 * 1024, "bytes of prepared statements a client may hold"),
        Integer("limits.buffer_bytes", 64 * 1024, 8 * 1024, 64 * 1024 * 1024, "bytes buffered each way of a client's or server's connection before its other side is made to wait"),
        Integer("limits.max_statement_shapes", 10_000, 16, 10_000_000, "statement shapes kept in the cache"),
        Choice("transport.kind", "auto", ["auto", "epoll", "kestrel"], "what drives the sockets; auto takes epoll where the system has it"),
        Integer("transport.event_loops", 0, 0, 1_024, "threads that poll sockets (epoll only); 0 for one for two processors"),
        Integer("shutdown.drain_timeout_ms", 30_000, 0, 86_400_000, "how long transactions may go on after the proxy was asked to end"),
        new("handover.socket", SettingKind.FilePath, null, "/run/shardproxy/proxy1.sock", "Unix socket by which a second process with the same configuration takes over from this one"),
        Integer("handover.client_wait_ms", 5_000, 0, 86_400_000, "how long the old process serves its clients on before it sends them away between transactions"),
        Choice("catalog.kind", "postgres", ["postgres", "etcd", "memory"], "where the routing truth is kept; memory is for trying out"),
        new("catalog.uri", SettingKind.PostgresUri, null, "postgresql://shardproxy@10.0.0.1:5432/app", "the catalog's database; the home node when not set") { IsSecret = true },
        Secret("catalog.password", "password for it, when not in the URI"),
        File("catalog.password_file", "file that holds it"),
        Text("catalog.endpoints", null, "https://etcd1.example.com:2379,https://etcd2.example.com:2379", "for etcd: client addresses of its members, separated by commas"),
        Text("catalog.prefix", "/shardproxy", "/shardproxy", "for etcd: what all keys begin with; another one for each cluster"),
        Text("catalog.user", null, "shardproxy", "for etcd: user of its own authentication, with catalog.password"),
        Pem("catalog.root_certificate_file", "etcd-ca.crt", "for etcd: authorities of its certificates, PEM; the system's when not set"),
        Pem("catalog.certificate_file", "proxy.crt", "for etcd: certificate the proxy shows it, PEM"),
        Pem("catalog.key_file", "proxy.key", "for etcd: its private key, PEM without passphrase"),
        Integer("migration.rollback_window_ms", 10_000, 0, 604_800_000, "how long a moved range can go back by one cutover; 0 cleans the source at once"),
        Integer("migration.rollback_max_wal_mb", 1_024, 1, 1_048_576, "WAL that a rollback window may hold back on a node before it closes early"),
        Integer("migration.copy_parallelism", 2, 1, 16, "COPYs of one move at the same time"),
        Integer("migration.max_mb_per_s", 0, 0, 100_000, "bandwidth of one move's copy; 0 for no limit of its own"),
        Integer("migration.yield_percent", 900, 0, 10_000, "how long copy and verification rest, at most, in percent of how long they worked, while clients keep source or target busy; 0 never rests"),
        Integer("migration.max_source_latency_ms", 0, 0, 60_000, "copy and verification pause while a trivial query takes longer on the source or the target; 0 for no limit"),
        Integer("migration.max_replica_lag_ms", 10_000, 0, 3_600_000, "the copy pauses while a standby of either node is further behind; 0 for no limit"),
        Text("migration.archive_directory", null, "/var/lib/shardproxy/archive", "where the rows of a moved range are kept as files with checksums before its source deletes them; not kept when not set"),
        new("migration.shadow_reads", SettingKind.Number, "0.01", "0.01", "share of the live reads of a moving range that are compared on both nodes, besides every different one now and then; 0 for none, 1 for all") { Minimum = 0, Maximum = 1 },
        Choice("planner.mode", "advise", ["off", "advise", "approve", "automatic"], "what the planner may do on its own"),
        Integer("planner.interval_s", 300, 1, 86_400, "length of a step of load history and forecast"),
        Integer("planner.season_steps", 288, 2, 100_000, "steps in a season; 288 five-minute steps are a day"),
        Integer("planner.horizon_steps", 12, 1, 1_000, "steps to look ahead"),
        Choice("log.level", "information", ["trace", "debug", "information", "warning", "error"], "least severe messages to write"),
        Choice("log.format", "text", ["text", "json"], "how log lines look"),
    ];

    /// <summary>Names under which lists of items stand.</summary>
    public static readonly IReadOnlyList<string> Lists = ["nodes", "users", "authentication.rules"];

    private static readonly Dictionary<string, Setting> ByPath = All.ToDictionary(s => s.Path, StringComparer.Ordinal);

    /// <summary>The setting of a path such as <c>nodes[].uri</c>, or null.</summary>
    public static Setting? Find(string path) => ByPath.GetValueOrDefault(path);

    /// <summary>Names that may stand directly below a path (empty for the top): keys, sections and lists.</summary>
    public static IReadOnlyList<string> NamesBelow(string path) =>
    [
        .. All.Where(s => path.Length == 0 || s.Path.StartsWith(path + ".", StringComparison.Ordinal))
            .Select(s => (path.Length == 0 ? s.Path : s.Path[(path.Length + 1)..]).Split('.')[0].Replace("[]", "", StringComparison.Ordinal))
            .Distinct(StringComparer.Ordinal),
    ];

    private static Setting Text(string path, string? value, string example, string help) => new(path, SettingKind.Text, value, example, help);

    private static Setting File(string path, string help) => new(path, SettingKind.FilePath, null, "/run/secrets/app", help);

    private static Setting Pem(string path, string example, string help) => new(path, SettingKind.FilePath, null, example, help);

    private static Setting Secret(string path, string help) => new(path, SettingKind.Text, null, "'…'", help) { IsSecret = true };

    private static Setting Integer(string path, int value, int minimum, int maximum, string help) =>
        new(path, SettingKind.Integer, Invariant(value), Invariant(value), help) { Minimum = minimum, Maximum = maximum };

    private static Setting Number(string path, int value, string help) =>
        new(path, SettingKind.Number, Invariant(value), Invariant(value), help) { Minimum = 0 };

    private static Setting Flag(string path, bool value, string help) => new(path, SettingKind.Flag, value ? "true" : "false", "true", help);

    private static Setting Choice(string path, string? value, string[] choices, string help) =>
        new(path, SettingKind.Choice, value, value ?? choices[0], help) { Choices = choices };

    private static string Invariant(int value) => value.ToString(System.Globalization.CultureInfo.InvariantCulture);
}
