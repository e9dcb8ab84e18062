using System.Collections.Frozen;
using System.Collections.Immutable;

namespace ShardProxy.Model.Metrics;

/// <summary>
/// Every metric of the product, in one place: code takes names from here, the exposition serves nothing else, and
/// docs/metrics.md is checked against it. Labels hold node names, range ids and words of this project only, never query text or a
/// user's value.
/// </summary>
public static class MetricCatalog
{
    // Bounds suit a proxy in front of a database near by: 0.1 ms steps where a warm point read lies, up to a statement timeout.
    private static readonly ImmutableArray<double> RequestBuckets =
        [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10];

    private static readonly ImmutableArray<double> RangeBuckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5];

    // The budget of a cutover is 50 ms; worst cases of 300 ms and more must be told apart.
    private static readonly ImmutableArray<double> StallBuckets = [0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.3, 0.5, 1, 2.5];

    private const int RangeSeries = 256;
    private const int NodeSeries = 64;

    // Requests, by node and by range.
    public static readonly MetricDefinition Requests = DataPath(
        "shardproxy_requests_total", MetricType.Counter, "statements", "Statements sent to a node and answered.", "node", "kind");

    public static readonly MetricDefinition RequestErrors = DataPath(
        "shardproxy_request_errors_total", MetricType.Counter, "statements", "Statements a node answered with an error.", "node");

    public static readonly MetricDefinition RequestDuration = DataPath(
        "shardproxy_request_duration_seconds", MetricType.Histogram, "seconds", "Time from sending a statement to a node to its end.", "node")
        .InBuckets(RequestBuckets);

    public static readonly MetricDefinition RangeRequests = DataPath(
        "shardproxy_range_requests_total", MetricType.Counter, "statements", "Statements pinned to a range by their key.", "range")
        .Bounded(RangeSeries);

    public static readonly MetricDefinition RangeRequestErrors = DataPath(
        "shardproxy_range_request_errors_total", MetricType.Counter, "statements", "Statements pinned to a range that a node answered with an error.", "range")
        .Bounded(RangeSeries);

    public static readonly MetricDefinition RangeRequestDuration = DataPath(
        "shardproxy_range_request_duration_seconds", MetricType.Histogram, "seconds", "Time from sending a statement pinned to a range to its end.", "range")
        .InBuckets(RangeBuckets)
        .Bounded(RangeSeries);

    public static readonly MetricDefinition RefusedStatements = DataPath(
        "shardproxy_refused_statements_total", MetricType.Counter, "statements", "Statements refused by this proxy, by its error code.", "code");

    public static readonly MetricDefinition Bytes = DataPath(
        "shardproxy_bytes_total", MetricType.Counter, "bytes", "Bytes forwarded to (sent) and from (received) a node.", "node", "direction")
        .Bounded(2 * NodeSeries);

    // Sessions and pools.
    public static readonly MetricDefinition Sessions = FromViews(
        "shardproxy_sessions", MetricType.Gauge, "sessions", "Client sessions by state.", "state");

    public static readonly MetricDefinition SessionsOpened = DataPath(
        "shardproxy_sessions_opened_total", MetricType.Counter, "sessions", "Client sessions that passed authentication.");

    public static readonly MetricDefinition LoginFailures = DataPath(
        "shardproxy_login_failures_total", MetricType.Counter, "logins", "Client connections that ended before authentication was complete.");

    public static readonly MetricDefinition RejectedLogins = DataPath(
        "shardproxy_rejected_logins_total", MetricType.Counter, "logins", "Log-ins this proxy refused, by its error code.", "code");

    public static readonly MetricDefinition Timeouts = DataPath(
        "shardproxy_timeouts_total", MetricType.Counter, "events", "Limits in time that were exceeded, by kind (statement, idle_in_transaction, client_idle, login).", "kind");

    public static readonly MetricDefinition Deadlocks = DataPath(
        "shardproxy_deadlocks_total", MetricType.Counter, "events", "Deadlocks over several nodes that were found and ended.");

    public static readonly MetricDefinition EncryptedSessions = FromViews(
        "shardproxy_sessions_encrypted", MetricType.Gauge, "sessions", "Client sessions over TLS.");

    public static readonly MetricDefinition PoolReserve = FromViews(
        "shardproxy_pool_reserve_in_use", MetricType.Gauge, "connections", "Server connections above pool.size, over all pools of a node.", "node");

    public static readonly MetricDefinition PoolLongestWait = FromViews(
        "shardproxy_pool_longest_wait_seconds", MetricType.Gauge, "seconds", "How long the first in line has waited, the longest of a node's pools.", "node");

    public static readonly MetricDefinition PoolsPaused = FromViews(
        "shardproxy_pools_paused", MetricType.Gauge, "pools", "Pools of a node that PAUSE holds.", "node");

    public static readonly MetricDefinition PoolConnections = FromViews(
        "shardproxy_pool_connections", MetricType.Gauge, "connections", "Server connections by state (idle, leased, opening), over all pools of a node.", "node", "state")
        .Bounded(3 * NodeSeries);

    public static readonly MetricDefinition PoolWaiting = FromViews(
        "shardproxy_pool_waiting", MetricType.Gauge, "requests", "Requests that wait for a server connection.", "node");

    public static readonly MetricDefinition PoolWaitSeconds = DataPath(
        "shardproxy_pool_wait_seconds_total", MetricType.Counter, "seconds", "Time requests have waited for a server connection.", "node");

    public static readonly MetricDefinition PoolTimeouts = DataPath(
        "shardproxy_pool_timeouts_total", MetricType.Counter, "requests", "Requests that gave up waiting for a server connection.", "node");

    public static readonly MetricDefinition ConnectAttempts = DataPath(
        "shardproxy_connect_attempts_total", MetricType.Counter, "attempts", "Server connections this proxy began to open.", "node");

    public static readonly MetricDefinition ConnectFailures = DataPath(
        "shardproxy_connect_failures_total", MetricType.Counter, "attempts", "Attempts that found a node out of reach, restarting or shutting down.", "node");

    public static readonly MetricDefinition RetryDelay = DataPath(
        "shardproxy_connect_retry_delay_seconds", MetricType.Gauge, "seconds", "Time until a node that is out of reach is tried again; 0 while it answers.", "node");

    // Statement shapes.
    public static readonly MetricDefinition ShapeHits = DataPath(
        "shardproxy_shape_cache_hits_total", MetricType.Counter, "lookups", "Statements whose shape was in the cache.");

    public static readonly MetricDefinition ShapeMisses = DataPath(
        "shardproxy_shape_cache_misses_total", MetricType.Counter, "lookups", "Statements that had to be parsed.");

    public static readonly MetricDefinition ShapeCount = DataPath(
        "shardproxy_shape_cache_entries", MetricType.Gauge, "shapes", "Statement shapes in the cache.");

    // Routing.
    public static readonly MetricDefinition Epoch = FromViews(
        "shardproxy_routing_epoch", MetricType.Gauge, "epoch", "Version number of the routing table in use.");

    public static readonly MetricDefinition HeldStatements = DataPath(
        "shardproxy_held_statements", MetricType.Gauge, "statements", "Statements held now because their range is being cut over.");

    public static readonly MetricDefinition HeldStatementsTotal = DataPath(
        "shardproxy_held_statements_total", MetricType.Counter, "statements", "Statements held because their range was being cut over.");

    public static readonly MetricDefinition Redirections = DataPath(
        "shardproxy_redirections_total", MetricType.Counter, "statements", "Statements that were held, read ahead or fenced because a range moved, by range (none: a whole table) and reason.", "range", "reason")
        .Bounded(2 * RangeSeries);

    public static readonly MetricDefinition ShadowReads = DataPath(
        "shardproxy_shadow_reads_total", MetricType.Counter, "statements", "Live reads of moving ranges run again on both nodes, by outcome (compared, different, inconclusive, dropped).", "outcome");

    public static readonly MetricDefinition DistributedTransactions = DataPath(
        "shardproxy_distributed_transactions_total", MetricType.Counter, "transactions", "Transactions over several nodes by outcome (committed, aborted, in_doubt).", "outcome");

    // Load and forecasts.
    public static readonly MetricDefinition NodeLoad = FromViews(
        "shardproxy_node_load", MetricType.Gauge, "statements per second", "Statements a second on a node over the last window.", "node");

    public static readonly MetricDefinition RangeLoad = FromViews(
        "shardproxy_range_load", MetricType.Gauge, "statements per second", "Statements a second on a range over the last window.", "range")
        .Bounded(RangeSeries);

    public static readonly MetricDefinition NodeForecast = FromViews(
        "shardproxy_node_forecast", MetricType.Gauge, "statements per second", "Forecast load of a node for the next step, the sum over its ranges.", "node");

    public static readonly MetricDefinition NodeForecastUpper = FromViews(
        "shardproxy_node_forecast_upper", MetricType.Gauge, "statements per second", "Sum over a node's ranges of the upper end of the forecast for the next step.", "node");

    public static readonly MetricDefinition RangeForecast = FromViews(
        "shardproxy_range_forecast", MetricType.Gauge, "statements per second", "Forecast load of a range for the next step.", "range")
        .Bounded(RangeSeries);

    public static readonly MetricDefinition RangeForecastUpper = FromViews(
        "shardproxy_range_forecast_upper", MetricType.Gauge, "statements per second", "Upper end of a range's forecast for the next step.", "range")
        .Bounded(RangeSeries);

    public static readonly MetricDefinition ForecastError = FromViews(
        "shardproxy_forecast_absolute_error", MetricType.Gauge, "statements per second", "Mean absolute error of a range's matured forecasts, newer ones weighing more.", "range")
        .Bounded(RangeSeries);

    public static readonly MetricDefinition NaiveForecastError = FromViews(
        "shardproxy_forecast_naive_absolute_error", MetricType.Gauge, "statements per second", "The same error, had the last value been the forecast.", "range")
        .Bounded(RangeSeries);

    // Migrations.
    public static readonly MetricDefinition Migrations = FromViews(
        "shardproxy_migrations", MetricType.Gauge, "migrations", "Migrations the journal keeps, by state.", "state");

    public static readonly MetricDefinition MigrationRowsCopied = FromViews(
        "shardproxy_migration_rows_copied_total", MetricType.Counter, "rows", "Rows copied by migrations since this process started.");

    public static readonly MetricDefinition MigrationRowsVerified = FromViews(
        "shardproxy_migration_rows_verified_total", MetricType.Counter, "rows", "Rows shown equal on both sides since this process started.");

    public static readonly MetricDefinition MigrationStall = FromViews(
        "shardproxy_migration_stall_seconds", MetricType.Histogram, "seconds", "How long a cutover held work on its range.")
        .InBuckets(StallBuckets);

    public static readonly MetricDefinition MigrationProgress = FromViews(
        "shardproxy_migration_progress_ratio", MetricType.Gauge, "ratio", "Share of the rows a running migration has copied, 0 to 1.", "migration", "range");

    public static readonly MetricDefinition Ranges = FromViews(
        "shardproxy_ranges", MetricType.Gauge, "ranges", "Ranges a node owns.", "node");

    public static readonly MetricDefinition NodeUp = FromViews(
        "shardproxy_node_up", MetricType.Gauge, "boolean", "1 when the node answers, 0 when it does not; absent while unknown.", "node");

    public static readonly MetricDefinition SchemaDrift = FromViews(
        "shardproxy_schema_drift", MetricType.Gauge, "differences", "Ways in which placed tables on a node are not as on the home node.", "node");

    // What alerts are made of.
    public static readonly MetricDefinition SlotRetained = FromViews(
        "shardproxy_slot_retained_bytes", MetricType.Gauge, "bytes", "WAL that a node keeps for a migration's replication slot; gathered by the leading proxy.", "node", "slot");

    public static readonly MetricDefinition SlotLag = FromViews(
        "shardproxy_slot_lag_bytes", MetricType.Gauge, "bytes", "WAL that the other node of a migration has not applied yet; gathered by the leading proxy.", "node", "slot");

    public static readonly MetricDefinition SlotActive = FromViews(
        "shardproxy_slot_active", MetricType.Gauge, "boolean", "1 while a migration's replication slot is read from; gathered by the leading proxy.", "node", "slot");

    public static readonly MetricDefinition Replicas = FromViews(
        "shardproxy_replicas", MetricType.Gauge, "replicas", "Physical replicas that stream from a node; gathered by the leading proxy.", "node");

    public static readonly MetricDefinition ReplicaLagBytes = FromViews(
        "shardproxy_replica_lag_bytes", MetricType.Gauge, "bytes", "WAL that the furthest replica of a node has not replayed; gathered by the leading proxy.", "node");

    public static readonly MetricDefinition ReplicaLagSeconds = FromViews(
        "shardproxy_replica_lag_seconds", MetricType.Gauge, "seconds", "How far the furthest replica of a node is behind; absent while the node has nothing to measure by.", "node");

    public static readonly MetricDefinition PreparedTransactions = FromViews(
        "shardproxy_prepared_transactions", MetricType.Gauge, "transactions", "Prepared transactions of this project on a node; gathered by the leading proxy.", "node");

    public static readonly MetricDefinition OldestPrepared = FromViews(
        "shardproxy_prepared_transaction_oldest_seconds", MetricType.Gauge, "seconds", "Age of the oldest prepared transaction of this project on a node; gathered by the leading proxy.", "node");

    public static readonly MetricDefinition MigrationStateNow = FromViews(
        "shardproxy_migration_state", MetricType.Gauge, "boolean", "1 for the state a migration under way is in; told by the leading proxy.", "migration", "range", "state");

    public static readonly MetricDefinition MigrationIdle = FromViews(
        "shardproxy_migration_idle_seconds", MetricType.Gauge, "seconds", "For how long nothing of a migration under way has changed, neither its step nor a count of rows; told by the leading proxy.", "migration", "range");

    public static readonly MetricDefinition Proxies = FromViews(
        "shardproxy_proxies", MetricType.Gauge, "proxies", "Proxies that share the catalog by state (serving, silent, expelled, barred), as this one knows them.", "state");

    public static readonly MetricDefinition Leading = FromViews(
        "shardproxy_leading", MetricType.Gauge, "boolean", "1 on the proxy that moves ranges and places tables, 0 on the others.");

    // The process. Names are those every Prometheus client library uses.
    public static readonly MetricDefinition ProcessCpu = Process(
        "process_cpu_seconds_total", MetricType.Counter, "seconds", "User and system CPU time of the process.");

    public static readonly MetricDefinition ProcessMemory = Process(
        "process_resident_memory_bytes", MetricType.Gauge, "bytes", "Resident memory of the process.");

    public static readonly MetricDefinition ProcessStart = Process(
        "process_start_time_seconds", MetricType.Gauge, "seconds", "Start of the process since the Unix epoch.");

    public static readonly MetricDefinition ProcessThreads = Process(
        "process_threads", MetricType.Gauge, "threads", "Operating system threads of the process.");

    public static readonly MetricDefinition GcCollections = Process(
        "dotnet_gc_collections_total", MetricType.Counter, "collections", "Garbage collections by generation.", "generation");

    public static readonly MetricDefinition GcPause = Process(
        "dotnet_gc_pause_seconds_total", MetricType.Counter, "seconds", "Time the garbage collector stopped the process.");

    public static readonly MetricDefinition GcAllocated = Process(
        "dotnet_gc_allocated_bytes_total", MetricType.Counter, "bytes", "Bytes allocated on the managed heap.");

    public static readonly MetricDefinition GcHeap = Process(
        "dotnet_gc_heap_bytes", MetricType.Gauge, "bytes", "Managed heap after the last collection.");

    public static readonly MetricDefinition ThreadPoolQueue = Process(
        "dotnet_threadpool_queue_items", MetricType.Gauge, "work items", "Work items that wait for a pool thread.");

    public static readonly MetricDefinition DroppedSeries = Process(
        "shardproxy_metrics_overflow", MetricType.Gauge, "series", "Label sets that are summed into the series named other, over all metrics.");

    /// <summary>All of them, in the order of docs/metrics.md.</summary>
    public static readonly ImmutableArray<MetricDefinition> All =
    [
        Requests, RequestErrors, RequestDuration, RangeRequests, RangeRequestErrors, RangeRequestDuration, RefusedStatements, Bytes,
        Sessions, SessionsOpened, LoginFailures, RejectedLogins, Timeouts, Deadlocks, EncryptedSessions,
        PoolConnections, PoolWaiting, PoolReserve, PoolLongestWait, PoolsPaused, PoolWaitSeconds, PoolTimeouts,
        ConnectAttempts, ConnectFailures, RetryDelay,
        ShapeHits, ShapeMisses, ShapeCount,
        Epoch, HeldStatements, HeldStatementsTotal, Redirections, ShadowReads, DistributedTransactions,
        NodeLoad, RangeLoad, NodeForecast, NodeForecastUpper, RangeForecast, RangeForecastUpper, ForecastError, NaiveForecastError,
        Migrations, MigrationRowsCopied, MigrationRowsVerified, MigrationStall, MigrationProgress, Ranges, NodeUp, SchemaDrift,
        SlotRetained, SlotLag, SlotActive, Replicas, ReplicaLagBytes, ReplicaLagSeconds,
        PreparedTransactions, OldestPrepared, MigrationStateNow, MigrationIdle, Proxies, Leading,
        ProcessCpu, ProcessMemory, ProcessStart, ProcessThreads, GcCollections, GcPause, GcAllocated, GcHeap, ThreadPoolQueue, DroppedSeries,
    ];

    /// <summary>By instrument name; a histogram is found under its own name and under those of its three counters.</summary>
    public static readonly FrozenDictionary<string, MetricDefinition> ByInstrument = All
        .SelectMany(m => m.Type == MetricType.Histogram
            ? new[] { m.Name, m.BucketInstrument, m.SumInstrument, m.CountInstrument }.Select(name => (name, m))
            : [(m.Name, m)])
        .ToFrozenDictionary(pair => pair.Item1, pair => pair.m, StringComparer.Ordinal);

    private static MetricDefinition InBuckets(this MetricDefinition definition, ImmutableArray<double> bounds) => definition with { Buckets = bounds };

    private static MetricDefinition Bounded(this MetricDefinition definition, int maxSeries) => definition with { MaxSeries = maxSeries };

    private static MetricDefinition DataPath(string name, MetricType type, string unit, string help, params ImmutableArray<string> labels) =>
        new(name, type, unit, help, MetricMeters.DataPath, labels);

    private static MetricDefinition FromViews(string name, MetricType type, string unit, string help, params ImmutableArray<string> labels) =>
        new(name, type, unit, help, MetricMeters.Admin, labels);

    private static MetricDefinition Process(string name, MetricType type, string unit, string help, params ImmutableArray<string> labels) =>
        new(name, type, unit, help, MetricMeters.Process, labels);
}
