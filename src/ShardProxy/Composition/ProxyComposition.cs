using System.Collections.Immutable;
using System.Net;
using System.Net.Sockets;
using System.Reflection;
using System.Runtime.InteropServices;
using Microsoft.Extensions.Logging;
using Npgsql;
using ShardProxy.Admin.Backend;
using ShardProxy.Admin.Console;
using ShardProxy.Admin.Http;
using ShardProxy.Admin.Metrics;
using ShardProxy.Catalog.Stores;
using ShardProxy.Catalog.Stores.Etcd;
using ShardProxy.Configuration;
using ShardProxy.Control;
using ShardProxy.Control.Fleet;
using ShardProxy.Control.Migration;
using ShardProxy.Control.Nodes;
using ShardProxy.Control.Planner;
using ShardProxy.DataPath;
using ShardProxy.DataPath.Servers;
using ShardProxy.Handover;
using ShardProxy.Model.Fleet;
using ShardProxy.Model.Plans;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Topology;
using ShardProxy.Sql;
using ShardProxy.Wire.Tls;
using ShardProxy.Wire.Transport;

namespace ShardProxy.Composition;

/// <summary>
/// The one place where data plane and control plane meet: builds every part of a proxy from its configuration and gives them to the
/// host in starting order. Values go down (routing tables), reports and load go up.
/// </summary>
internal static class ProxyComposition
{
    /// <summary>A proxy that is not started yet.</summary>
    public static IProxyHost Compose(ProxyOptions options) => Compose(options, MigrationOptionsOf(options.Migration));

    /// <summary>A proxy that is not started yet.</summary>
    /// <param name="options">From the configuration.</param>
    /// <param name="migration">How ranges are moved; a fault harness gives its seams here.</param>
    /// <param name="adjust">Changes the control plane's limits, for a fault harness that cannot wait as long as production does; null for none.</param>
    /// <param name="adjustPlane">The same for the data plane.</param>
    public static IProxyHost Compose(
        ProxyOptions options, MigrationOptions migration, Func<ControlPlaneOptions, ControlPlaneOptions>? adjust = null, Func<DataPathOptions, DataPathOptions>? adjustPlane = null)
    {
        var plannerOptions = PlannerOptionsOf(options.Planner);
        var time = TimeProvider.System;
        var logLevel = new LogLevelSwitch(options.Log.Level);
        var loggers = LogSetup.Create(options.Log, logLevel);
        var nodes = options.Nodes.Select((n, i) => new Node(i + 1, n.Name, n.Address.Host, n.Address.Port, n.Capacity, n.IsHome)).ToImmutableArray();

        // Data plane. Until the catalog has spoken it knows the nodes and no table; it does not listen before.
        DescriptorLimit.Check(options.Limits.MaxClients, nodes.Length * options.Pool.Size, loggers.CreateLogger("ShardProxy.Composition.DescriptorLimit"));
        var transport = ProxyTransport.Create(options.Transport.Kind, DataPathSettings.Sockets(options), loggers);
        var analyzer = new StatementAnalyzer(new SqlOptions { MaxShapes = options.Limits.MaxStatementShapes, MaxStatementBytes = options.Limits.MaxMessageBytes });
        var console = new DeferredConsole();
        var schema = new SchemaObserver(loggers.CreateLogger<SchemaObserver>());
        var sequences = new DeferredSequences();
        var initial = new RoutingTable(0, 0, nodes, [], [], [], [], []);
        var identity = options.Catalog.Kind == CatalogKind.Memory ? null : new ProxyIdentity(options.ProxyId);
        var planeOptions = DataPathSettings.Of(options, loggers) with { Identity = identity };
        planeOptions = adjustPlane?.Invoke(planeOptions) ?? planeOptions;
        var plane = new DataPlane(planeOptions, initial, analyzer, transport, new SystemNodeAddress(), console, schema, sequences, time, loggers);

        // Control plane.
        ICatalogStore store = options.Catalog switch
        {
            { Kind: CatalogKind.Postgres, Address: { } address } => new PostgresCatalogStore(NpgsqlDataSource.Create(ConnectionString(address, options.ProxyId)), time, ownsSource: true),
            { Kind: CatalogKind.Etcd, Etcd: { } etcd } => new EtcdCatalogStore(etcd.Load(), time),
            _ => new InMemoryCatalogStore(time),
        };
        var handover = new ProcessHandover(options.HandoverSocket, options.ProxyId, time, loggers.CreateLogger<ProcessHandover>());
        plane.CancelElsewhere = handover.CancelElsewhereAsync;
        var logins = options.Nodes.ToDictionary(n => n.Name, n => n.Address, StringComparer.Ordinal);
        var controlOptions = new ControlPlaneOptions
        {
            ProxyId = options.ProxyId,
            Identity = identity,
            Address = options.Listen.ToString(),
            Nodes = nodes,
            Login = node => new NodeLogin(logins[node.Name].User, logins[node.Name].Password?.Reveal() ?? "", options.Database) { Tls = logins[node.Name].Tls },
            IsHandingOver = () => handover.IsOlderThere,
            Self = plane,
            ReadAhead = (plane.ReadAhead, () => plane.Current),
            Migration = migration with { Shadow = plane.Shadow },
        };
        var control = new ControlPlane(adjust?.Invoke(controlOptions) ?? controlOptions, store, new PairedFleet(plane, handover), time);
        schema.Attach(control);
        sequences.Attach(control);

        // Insight and planning.
        var topology = new TopologyView(plane);
        var sizes = new TableSizeReader(topology, options.Nodes, options.Database, options.ProxyId);
        var estimator = new RangeSizeEstimator(topology, sizes, time, TimeSpan.FromSeconds(5));
        var rangeBytes = new RangeBytesCache(estimator, loggers.CreateLogger<RangeBytesCache>());
        var observed = new ObservedLoad(plannerOptions.History);
        var collector = new WorkloadCollector([plane.Recorder], observed, () => plane.Current, plannerOptions.CollectInterval, time, loggers.CreateLogger<WorkloadCollector>());
        var planner = new PlannerLoop(
            plannerOptions, observed, () => plane.Current, rangeBytes.BytesOf, new PlanExecutor(control, topology), time, loggers.CreateLogger<PlannerLoop>());

        // Admin.
        ConsoleEngine? engine = null;
        var relay = new ConsoleRelay(store, options.ProxyId, control.Proxies, (statement, user, ct) => engine!.ExecuteHereAsync(statement, user, ct), time);
        var reloader = new ConfigReloader(options, [logLevel, new PlaneReload(plane, planeOptions)]);
        var backend = new AdminBackend
        {
            Topology = topology,
            Operations = new ShardingOperations(control),
            Migrations = new MigrationsView(control, topology),
            Drift = new DriftView(control),
            Health = new HealthView(control),
            Fleet = new FleetView(control),
            Leader = new LeaderConsole(control, relay, handover),
            Planner = new PlannerLoopView(planner, topology),
            DataPlane = plane,
            RangeStatistics = estimator,
            Config = new ConfigView(() => reloader.Current),
            Proxy = new ProxyControl(plane.Control, reloader),
            Product = new ProductInfo(Version(), options.ProxyId, RuntimeInformation.FrameworkDescription, time.GetUtcNow()) { ProcessId = Environment.ProcessId, Handover = () => handover.State },
        };
        engine = new ConsoleEngine(backend, loggers.CreateLogger<ConsoleEngine>());
        console.Attach(engine);
        var background = new BackgroundWork();
        var metrics = new MetricCollector();
        var owned = new IDisposable[] { new ControlMetrics(backend), new DataPlaneMetrics(backend), new HealthMetrics(backend), new ProcessMetrics(), metrics, topology, background, analyzer };
        var adminCertificates = options.AdminAccess.CertificateFile is { } file
            ? new TlsCertificates(new TlsServerOptions(file, options.AdminAccess.KeyFile ?? file), loggers.CreateLogger<TlsCertificates>())
            : null;
        var http = new AdminHttpServer(
            AdminOptionsOf(options, adminCertificates),
            new AdminPages(backend, metrics, [new ReadinessCheck("nodes", topology.NodesDownAsync), new ReadinessCheck("listener", _ => new(plane.EndPoint is null ? "the listener is not open yet" : plane.IsDraining ? "the proxy is about to end" : null)), new ReadinessCheck("hand-over", _ => default) { Note = () => handover.State }]),
            loggers);
        handover.Attach(plane, control, () => CloseAsync(http));
        var hangup = new HangupReload(() => plane.ReloadLogins(), () => adminCertificates?.Reload());
        HostStage[] stages =
        [
            new("statement parser", _ => Task.CompletedTask, _ => Run(() =>
            {
                // Stopped last: everything that used these has ended.
                foreach (var part in owned)
                {
                    part.Dispose();
                }
            })),
            new("client address", _ => Run(() => CheckAddress(options)), _ => Task.CompletedTask),
            new("hand-over", handover.BeginAsync, _ => Run(handover.Dispose)),
            new("catalog", async ct => await store.InitializeAsync(ct), async _ => await store.DisposeAsync()),
            new("control plane", control.StartAsync, async _ => await control.DisposeAsync()),
            new("node checks", ct => topology.StartAsync(sizes, time, ct), async _ =>
            {
                await topology.StopAsync();
                await sizes.DisposeAsync();
            }),
            new("other proxies' consoles", _ => Run(() => background.Start(relay.RunAsync)), _ => Task.CompletedTask),
            new("range sizes", _ => Run(() => background.Start(rangeBytes.RunAsync)), _ => Task.CompletedTask),
            new("load collector", _ => Run(() => background.Start(collector.RunAsync)), _ => background.StopAsync()),
            new("planner", _ => Run(planner.Start), async _ => await planner.DisposeAsync()),
            new("ports", handover.CommitAsync, _ => Task.CompletedTask),
            new("admin HTTP", http.StartAsync, async ct =>
            {
                await http.StopAsync(ct);
                await http.DisposeAsync();
            }),
            new("reload on SIGHUP", _ => Run(hangup.Start), _ => Run(hangup.Dispose)),
            new("client listener", async ct => await plane.StartAsync(ct), async _ => await plane.DisposeAsync()),
            new("next hand-over", _ => Run(handover.Open), _ => Task.CompletedTask),
        ];
        return new ProxyHost(
            stages, () => plane.EndPoint ?? options.Listen, () => http.EndPoint, time, loggers.CreateLogger<ProxyHost>(), ct => DrainAsync(plane, handover, reloader.Current, time, ct), handover.HandedOver);
    }

    /// <summary>How the control side connects to a database of a node.</summary>
    public static string ConnectionString(ServerAddress address, string proxyId) => new NpgsqlConnectionStringBuilder
    {
        Host = address.Host,
        Port = address.Port,
        Username = address.User,
        Password = address.Password?.Reveal(),
        Database = address.Database,
        ApplicationName = $"shardproxy/{proxyId}/control",
        Timeout = 10,
        CommandTimeout = 30,
        MaxPoolSize = 20,
    }.With(address.Tls).ConnectionString;

    private static MigrationOptions MigrationOptionsOf(MigrationSettings settings) => new()
    {
        RollbackWindow = settings.RollbackWindow,
        RollbackMaximumWal = settings.RollbackMaximumWal,
        CopyParallelism = settings.CopyParallelism,
        MaximumCopyRate = settings.MaximumCopyRate,
        MaximumYield = settings.MaximumYield,
        MaximumSourceLatency = settings.MaximumSourceLatency,
        MaximumReplicaLag = settings.MaximumReplicaLag,
        ArchiveDirectory = settings.ArchiveDirectory,
    };

    private static PlannerOptions PlannerOptionsOf(PlannerSettings settings) =>
        PlannerOptions.Of(Enum.Parse<PlannerMode>(settings.Mode, ignoreCase: true), settings.Interval, settings.SeasonSteps, settings.HorizonSteps);

    private static AdminHttpOptions AdminOptionsOf(ProxyOptions options, TlsCertificates? certificates) => new()
    {
        Address = options.Admin.Address,
        Port = options.Admin.Port,
        Token = options.AdminAccess.Token?.Reveal(),
        Certificate = certificates is null ? null : () => certificates.Current.Context,
    };

    private static async Task DrainAsync(DataPlane plane, ProcessHandover handover, ProxyOptions options, TimeProvider time, CancellationToken cancellationToken)
    {
        using var atOnce = CancellationTokenSource.CreateLinkedTokenSource(handover.MustEnd, cancellationToken);
        if (handover.HandedOver.IsCancellationRequested)
        {
            using var patience = new CancellationTokenSource(options.HandoverClientWait, time);
            using var until = CancellationTokenSource.CreateLinkedTokenSource(patience.Token, atOnce.Token);
            await plane.WaitForClientsAsync(until.Token);
        }

        using var deadline = new CancellationTokenSource(options.DrainTimeout, time);
        using var end = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, atOnce.Token);
        await plane.DrainAsync(end.Token);
    }

    // One that is taken is found before the catalog is touched: a second process of the same name would pass for the holder of its lease.
    private static void CheckAddress(ProxyOptions options)
    {
        if (options.HandoverSocket is null)
        {
            using var probe = new Socket(options.Listen.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
            probe.Bind(options.Listen);
        }
    }

    // For the next process to have the port; answers under way get a moment.
    private static async Task CloseAsync(AdminHttpServer http)
    {
        using var moment = new CancellationTokenSource(TimeSpan.FromMilliseconds(300));
        await http.StopAsync(moment.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    private static Task Run(Action action)
    {
        action();
        return Task.CompletedTask;
    }

    private static string Version() =>
        typeof(ProxyComposition).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion.Split('+')[0] ?? "0";
}
