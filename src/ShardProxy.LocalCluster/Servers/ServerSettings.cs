namespace ShardProxy.LocalCluster.Servers;

/// <summary>The configuration of every local node, as DESIGN section 10 has it.</summary>
internal static class ServerSettings
{
    /// <summary>The file's name inside the data directory; <c>postgresql.conf</c> includes it last.</summary>
    public const string FileName = "shardproxy.conf";

    /// <summary>The file's text. The port comes on the command line, since it may change between starts.</summary>
    public static string Render(string node, LocalClusterOptions options) =>
        $"""
        # Written at every start of this local node; edit postgresql.conf's own lines or pass settings instead.
        cluster_name = '{node}'
        listen_addresses = '127.0.0.1'
        unix_socket_directories = ''
        password_encryption = scram-sha-256
        max_connections = {options.MaxConnections}
        shared_buffers = {options.SharedBuffersMegabytes}MB
        fsync = on
        wal_level = logical
        min_wal_size = 80MB
        max_wal_size = 1GB
        # Range moves: a publication, a slot and a subscription each way, several at once.
        max_wal_senders = 32
        max_replication_slots = 32
        max_logical_replication_workers = 16
        max_worker_processes = 40
        # The default of 5 s delays a second subscription by as much.
        wal_retrieve_retry_interval = 100ms
        # Transactions over several nodes commit in two phases.
        max_prepared_transactions = 200
        timezone = 'UTC'
        log_timezone = 'UTC'
        lc_messages = 'C'
        log_line_prefix = '%m [%p] %q%u@%d '
        logging_collector = off
        log_destination = 'stderr'
        {string.Join('\n', options.ServerSettings.Select(s => $"{s.Key} = '{s.Value.Replace("'", "''", StringComparison.Ordinal)}'"))}

        """;
}
