using System.Collections.Immutable;
using System.Globalization;
using ShardProxy.Admin.Backend;
using ShardProxy.Configuration;
using ShardProxy.DataPath;
using ShardProxy.Model.Topology;

namespace ShardProxy.Composition;

/// <summary>The configuration in force, for SHOW CONFIG. Secrets are not in it.</summary>
internal sealed class ConfigView(Func<ProxyOptions> current) : IConfigView
{
    private const string Effective = "effective";

    public ImmutableArray<ConfigSetting> Settings() => Of(current());

    private static ImmutableArray<ConfigSetting> Of(ProxyOptions options) =>
    [
        Of("proxy_id", options.ProxyId),
        Of("database", options.Database),
        Of("listen", options.Listen.ToString()),
        Of("admin", options.Admin.ToString()),
        Of("listen.auth", options.Authentication.Rules.Count > 0 ? $"{options.Authentication.Rules.Count} rules" : options.TrustsClients ? "trust" : MethodName(options.Authentication.Method)),
        Of("listen.tls", options.Tls is null ? "disable" : options.Tls.IsRequired ? "require" : "allow"),
        Of("authentication.user_file", options.Authentication.UserFile ?? ""),
        Of("authentication.query.enabled", options.Authentication.ServesHomeRoles ? "true" : "false"),
        Of("admin.token", options.AdminAccess.Token is null ? "not set" : "set"),
        Of("admin.tls", options.AdminAccess.CertificateFile is null ? "disable" : "require"),
        .. options.Nodes.Select((n, i) => Of($"nodes[{i}]", $"{n.Name} {n.Address.Host}:{n.Address.Port}{(n.IsHome ? " home" : "")} sslmode={ModeName(n.Address.Tls.Mode)}")),
        .. options.Users.Select((u, i) => Of($"users[{i}]", $"{u.Name}{(u.IsAdmin ? " admin" : u.IsMonitor ? " monitor" : "")}")),
        Of("pool.size", Number(options.Pool.Size)),
        Of("pool.max_wait_ms", Number((long)options.Pool.MaxWait.TotalMilliseconds)),
        Of("pool.min_size", Number(options.Pool.Minimum)),
        Of("pool.reserve", Number(options.Pool.Reserve)),
        Of("pool.reserve_after_ms", Number((long)options.Pool.ReserveAfter.TotalMilliseconds)),
        Of("pool.max_waiting", Number(options.Pool.MaxWaiting)),
        Of("pool.max_pools", Number(options.Pool.MaxPools)),
        Of("pool.max_node_connections", Number(options.Pool.MaxNodeConnections)),
        Of("pool.idle_timeout_ms", Number((long)options.Pool.IdleTimeout.TotalMilliseconds)),
        Of("pool.max_lifetime_ms", Number((long)options.Pool.MaxLifetime.TotalMilliseconds)),
        Of("pool.check_after_idle_ms", Number((long)options.Pool.CheckAfterIdle.TotalMilliseconds)),
        Of("pool.max_prepared_bytes", Number(options.Pool.MaxPreparedBytes)),
        Of("pool.node_down_wait_ms", Number((long)options.Pool.NodeDownWait.TotalMilliseconds)),
        Of("transport.kind", options.Transport.Kind.ToString().ToLowerInvariant()),
        Of("transport.event_loops", Number(options.Transport.EventLoops)),
        Of("limits.max_clients", Number(options.Limits.MaxClients)),
        Of("limits.max_user_connections", Number(options.Limits.MaxUserConnections)),
        Of("limits.max_database_connections", Number(options.Limits.MaxDatabaseConnections)),
        Of("limits.max_prepared_bytes", Number(options.Limits.MaxPreparedBytes)),
        Of("limits.gather_rows", Number(options.Limits.GatherRows)),
        Of("limits.gather_mb", Number(options.Limits.GatherMegabytes)),
        Of("limits.buffer_bytes", Number(options.Limits.BufferBytes)),
        Of("limits.max_unauthenticated", Number(options.Limits.MaxUnauthenticated)),
        Of("limits.login_timeout_ms", Number((long)options.Limits.LoginTimeout.TotalMilliseconds)),
        Of("limits.hold_timeout_ms", Number((long)options.Limits.HoldTimeout.TotalMilliseconds)),
        Of("limits.statement_timeout_ms", Number((long)options.Limits.StatementTimeout.TotalMilliseconds)),
        Of("limits.idle_in_transaction_timeout_ms", Number((long)options.Limits.IdleInTransactionTimeout.TotalMilliseconds)),
        Of("limits.client_idle_timeout_ms", Number((long)options.Limits.ClientIdleTimeout.TotalMilliseconds)),
        Of("shutdown.drain_timeout_ms", Number((long)options.DrainTimeout.TotalMilliseconds)),
        Of("handover.socket", options.HandoverSocket ?? ""),
        Of("handover.client_wait_ms", Number((long)options.HandoverClientWait.TotalMilliseconds)),
        Of("limits.max_message_bytes", Number(options.Limits.MaxMessageBytes)),
        Of("catalog.kind", options.Catalog.Kind.ToString().ToLowerInvariant()),
        Of("planner.mode", options.Planner.Mode),
        Of("planner.interval_ms", Number((long)options.Planner.Interval.TotalMilliseconds)),
        Of("log.level", options.Log.Level.ToString().ToLowerInvariant()),
    ];

    private static string MethodName(ClientAuthentication method) => method switch
    {
        ClientAuthentication.ScramSha256Plus => "scram-sha-256-plus",
        ClientAuthentication.Md5 => "md5",
        ClientAuthentication.Password => "password",
        ClientAuthentication.Certificate => "cert",
        _ => "scram-sha-256",
    };

    private static string ModeName(NodeTlsMode mode) => mode switch
    {
        NodeTlsMode.VerifyCa => "verify-ca",
        NodeTlsMode.VerifyFull => "verify-full",
        _ => mode.ToString().ToLowerInvariant(),
    };

    private static ConfigSetting Of(string key, string value) => new(key, value, Effective);

    private static string Number(long value) => value.ToString(CultureInfo.InvariantCulture);
}
