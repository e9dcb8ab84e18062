using Npgsql;

namespace ShardProxy.Demo;

/// <summary>How the demo connects: no driver-side pool, since every client is one connection, and built-in types only.</summary>
internal static class DemoConnections
{
    private const int CommandTimeoutSeconds = 60;

    /// <summary>A source of connections; the caller disposes it after them.</summary>
    public static NpgsqlDataSource Source(string connectionString)
    {
        var builder = new NpgsqlDataSourceBuilder(connectionString);
        builder.ConnectionStringBuilder.Pooling = false;
        builder.ConnectionStringBuilder.CommandTimeout = CommandTimeoutSeconds;
        // The console is no database: it has no pg_type to load types from.
        builder.ConfigureTypeLoading(types => types.EnableTypeLoading(false));
        return builder.Build();
    }
}
