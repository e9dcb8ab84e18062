using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.Logging;
using ShardProxy.Configuration;
using ShardProxy.DataPath;
using ShardProxy.Wire.Tls;
using ShardProxy.Wire.Transport;

namespace ShardProxy.Composition;

/// <summary>The data plane's settings as the configuration has them.</summary>
internal static class DataPathSettings
{
    public static DataPathOptions Of(ProxyOptions options, ILoggerFactory loggers) => Changed(AtStart(options, loggers), options);

    /// <summary>What may change while the proxy runs.</summary>
    public static DataPathOptions Changed(DataPathOptions start, ProxyOptions options) => start with
    {
        Users = [.. options.Users.Select(u => new UserCredential(u.Name, u.Password?.Reveal(), u.IsAdmin) { IsMonitor = u.IsMonitor })],
        Authentication = options.TrustsClients ? ClientAuthentication.Trust : options.Authentication.Method,
        Rules = options.Authentication.Rules,
        AllowsCleartextPasswords = options.Authentication.AllowsCleartext,
        UserFile = options.Authentication.UserFile,
        ShadowReads = options.Migration.ShadowReads,
        PoolSize = options.Pool.Size,
        PoolMinimum = options.Pool.Minimum,
        PoolReserve = options.Pool.Reserve,
        PoolReserveAfter = options.Pool.ReserveAfter,
        PoolMaxWaiting = options.Pool.MaxWaiting,
        MaxPools = options.Pool.MaxPools,
        NodeMaxConnections = options.Pool.MaxNodeConnections,
        PoolIdleTimeout = options.Pool.IdleTimeout,
        PoolLifetime = options.Pool.MaxLifetime,
        PoolCheckAfterIdle = options.Pool.CheckAfterIdle,
        NodeDownWait = options.Pool.NodeDownWait,
        PoolWait = options.Pool.MaxWait,
        ServerConnectTimeout = options.Pool.ConnectTimeout,
        LoginTimeout = options.Limits.LoginTimeout,
        HoldTimeout = options.Limits.HoldTimeout,
        StatementTimeout = options.Limits.StatementTimeout,
        IdleInTransactionTimeout = options.Limits.IdleInTransactionTimeout,
        ClientIdleTimeout = options.Limits.ClientIdleTimeout,
        MaxClients = options.Limits.MaxClients,
        UserLimits = options.Users.Where(u => u.Limits != UserLimits.None).ToDictionary(u => u.Name, u => u.Limits, StringComparer.Ordinal),
        MaxUserConnections = options.Limits.MaxUserConnections,
        MaxDatabaseConnections = options.Limits.MaxDatabaseConnections,
        MaxUnauthenticated = options.Limits.MaxUnauthenticated,
        MaxMessageBytes = options.Limits.MaxMessageBytes,
        MaxPreparedPerClient = options.Limits.MaxPreparedStatements,
        MaxPreparedBytesPerClient = options.Limits.MaxPreparedBytes,
    };

    /// <summary>The sockets' part.</summary>
    public static SocketTransportOptions Sockets(ProxyOptions options) => new()
    {
        EventLoops = options.Transport.EventLoops,
        ReadThresholdBytes = options.Limits.BufferBytes,
        WriteThresholdBytes = options.Limits.BufferBytes,
    };

    private static DataPathOptions AtStart(ProxyOptions options, ILoggerFactory loggers) => new()
    {
        ProxyId = options.ProxyId,
        Listen = options.Listen,
        Database = options.Database,
        Users = [.. options.Users.Select(u => new UserCredential(u.Name, u.Password?.Reveal(), u.IsAdmin) { IsMonitor = u.IsMonitor })],
        UserLookup = Lookup(options),
        MockSecret = options.HomeNode.Address.Password is { } password ? HMACSHA256.HashData("made-up salts"u8, Encoding.UTF8.GetBytes(password.Reveal())) : null,
        Certificates = options.Tls is { } tls ? new TlsCertificates(tls.Files, loggers.CreateLogger<TlsCertificates>()) : null,
        NodeTls = options.Nodes.ToDictionary(n => n.Name, n => n.Address.Tls, StringComparer.Ordinal),
        GatherMaxRows = options.Limits.GatherRows,
        GatherMaxBytes = (long)options.Limits.GatherMegabytes << 20,
        MaxPreparedBytesPerServer = options.Pool.MaxPreparedBytes,
        MaxUnsentBytes = options.Limits.BufferBytes,
        DemandsTls = options.Tls is { IsRequired: true },
    };

    private static UserLookupOptions Lookup(ProxyOptions options)
    {
        var home = options.HomeNode.Address;
        return new UserLookupOptions(home.User, home.Password?.Reveal(), options.Database)
        {
            Query = options.Authentication.LookupQuery,
            ServesUnwrittenUsers = options.Authentication.ServesHomeRoles,
            CacheTime = options.Authentication.LookupCacheTime,
        };
    }
}
