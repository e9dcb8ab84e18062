using System.Collections.Immutable;
using System.Globalization;
using ShardProxy.Configuration;
using ShardProxy.Demo.Accounting;
using ShardProxy.Demo.Gate;
using ShardProxy.Demo.View;
using ShardProxy.Demo.Workload;

namespace ShardProxy.Demo;

/// <summary>
/// The demo from start to summary: start, load, calibrate the caps, some days without the planner, the same days with it, verify.
/// </summary>
internal sealed class DemoRun(DemoOptions options, Func<DemoClusterRequest, CancellationToken, Task<IDemoCluster>> start, IDemoView view, TimeProvider time)
{
    /// <summary>All nodes' caps together as a share of what the machine does uncapped.</summary>
    private const double CapShare = 0.28;

    /// <summary>On a strong machine there is no need for more, and a laptop stays quiet.</summary>
    private const double MostPerNode = 400;

    /// <summary>Load at noon as a share of all caps: the cluster as a whole has room, one node with the hot part has not.</summary>
    private const double PeakShare = 0.58;

    private const int Clients = 160;
    private const int CalibrationClients = 32;

    /// <summary>Entry numbers start here, so that the two generators never make the same entry.</summary>
    private const long CalibrationEntries = 1;

    private const long WorkloadEntries = 1_000_000_000;
    private static readonly TimeSpan WarmUp = TimeSpan.FromSeconds(1.5);
    private static readonly TimeSpan Calibration = TimeSpan.FromSeconds(2.5);
    private static readonly TimeSpan DrainDeadline = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan MigrationDeadline = TimeSpan.FromSeconds(60);

    private readonly DemoTimetable _timetable = DemoTimetable.Of(options.Seconds);

    /// <summary>Runs everything; what was started is ended on every way out.</summary>
    public async Task<DemoSummary> RunAsync(CancellationToken cancellationToken)
    {
        view.Say(string.Create(
            CultureInfo.InvariantCulture,
            $"ShardProxy demo: {options.Nodes} PostgreSQL servers and the proxy on this machine, about {options.Seconds} s, seed {options.Seed}. Ctrl-C ends it and leaves nothing behind."));
        var fronts = new List<NodeFront>();
        try
        {
            var request = new DemoClusterRequest(
                options.Nodes,
                options.InstallMissing,
                new PlannerSettings("off", _timetable.Bin, DemoTimetable.BinsPerDay, DemoTimetable.Horizon),
                (name, host, port) =>
                {
                    var front = new NodeFront(name, host, port, time);
                    lock (fronts)
                    {
                        fronts.Add(front);
                    }

                    return (front.Host, front.Port);
                },
                view.Say);
            await using var cluster = await start(request, cancellationToken);
            ImmutableArray<NodeFront> ordered = [.. fronts.OrderBy(f => f.Name, StringComparer.Ordinal)];
            return await RunOnAsync(cluster, ordered, cancellationToken);
        }
        finally
        {
            foreach (var front in fronts)
            {
                await front.DisposeAsync();
            }
        }
    }

    private async Task<DemoSummary> RunOnAsync(IDemoCluster cluster, ImmutableArray<NodeFront> fronts, CancellationToken cancellationToken)
    {
        view.Say(string.Create(CultureInfo.InvariantCulture, $"loading {DemoData.Accounts} accounts, sharded by hash over {options.Nodes} nodes"));
        await DemoData.LoadAsync(cluster, cancellationToken);

        var ledger = new ClientLedger(DemoData.Accounts);
        var errors = new ErrorLog();
        var keys = new KeyRing(DemoData.Accounts);
        var uncapped = await CalibrateAsync(cluster, keys, ledger, errors, cancellationToken);
        var cap = Math.Floor(Math.Min(MostPerNode, CapShare * uncapped / options.Nodes));
        foreach (var front in fronts)
        {
            front.Gate.SetRate(cap);
        }

        await cluster.SetCapacityAsync(cap, cancellationToken);
        await using var generator = await WorkloadGenerator.StartAsync(
            cluster.ClientConnectionString, Clients, WorkloadEntries, ledger, errors, time, cancellationToken);
        await using var console = await DemoConsole.OpenAsync(cluster.ConsoleConnectionString, cancellationToken);
        var schedule = new WorkloadSchedule(_timetable.Day, PeakShare * cap * options.Nodes, options.Seed);
        var arrivals = ArrivalList.Draw(schedule, keys, _timetable.Phase, options.Seed);
        view.Say(string.Create(
            CultureInfo.InvariantCulture,
            $"uncapped, this machine does {uncapped:F0} statements/s; each node is capped at {cap:F0}, together {100 * cap * options.Nodes / uncapped:F0} % of that"));
        view.Say(string.Create(
            CultureInfo.InvariantCulture,
            $"{DemoTimetable.DaysPerPhase} days of {_timetable.Day.TotalSeconds:F1} s without the planner, then the same {arrivals.Length} statements with it"));

        var monitor = new DemoMonitor(console, fronts, generator, errors, _timetable, cap, time);
        var (off, on) = (new Phase("planner off"), new Phase("planner on"));
        await using var switches = await DemoConsole.OpenAsync(cluster.ConsoleConnectionString, cancellationToken);
        await view.ShowAsync(async show =>
        {
            var begin = time.GetTimestamp();
            var sending = SendBothAsync(begin, off, on, generator, arrivals, switches, cancellationToken);
            await monitor.WatchAsync(off.Name, begin, TimeSpan.Zero, off.Latencies, off.Imbalance, null, show, off.AllSent, cancellationToken);
            await monitor.WatchAsync(
                on.Name, begin + PhaseTicks, _timetable.Phase, on.Latencies, on.Imbalance, off.Latencies.QuantileMs(0.99), show, on.AllSent, cancellationToken);
            await sending;
        });

        view.Say("verifying: every row on every node against what the clients were told");
        var answered = await generator.DrainAsync(DrainDeadline, cancellationToken);
        var migrations = await MigrationsOverAsync(console, cancellationToken);
        var audit = await RowAudit.RunAsync(cluster, ledger, cancellationToken);
        return new DemoSummary
        {
            OffImbalance = off.Imbalance.Value,
            OnImbalance = on.Imbalance.Value,
            OffP50Ms = off.Latencies.QuantileMs(0.5),
            OnP50Ms = on.Latencies.QuantileMs(0.5),
            OffP99Ms = off.Latencies.QuantileMs(0.99),
            OnP99Ms = on.Latencies.QuantileMs(0.99),
            StatementsEachPhase = arrivals.Length,
            Migrations = migrations,
            ClientErrors = errors.Count,
            ErrorExamples = errors.Kept,
            AreAllAnswered = answered,
            Audit = audit,
            UncappedPerSecond = uncapped,
            CapPerNode = cap,
            Nodes = options.Nodes,
        };
    }

    /// <summary>What the machine does with all gates open, through the proxy, with the demo's mix of statements.</summary>
    private async Task<double> CalibrateAsync(IDemoCluster cluster, KeyRing keys, ClientLedger ledger, ErrorLog errors, CancellationToken cancellationToken)
    {
        await using var generator = await WorkloadGenerator.StartAsync(
            cluster.ClientConnectionString, CalibrationClients, CalibrationEntries, ledger, errors, time, cancellationToken);
        await generator.MeasureAsync(keys, CalibrationClients, WarmUp, options.Seed, cancellationToken);
        return await generator.MeasureAsync(keys, CalibrationClients, Calibration, options.Seed + 1, cancellationToken);
    }

    private long PhaseTicks => (long)(_timetable.Phase.TotalSeconds * time.TimestampFrequency);

    /// <summary>The second phase follows the first at once: history has no gap, and days keep their length.</summary>
    private async Task SendBothAsync(
        long begin, Phase off, Phase on, WorkloadGenerator generator, ImmutableArray<Arrival> arrivals, DemoConsole switches, CancellationToken cancellationToken)
    {
        try
        {
            await generator.SendAsync(arrivals, begin, off.Latencies, cancellationToken);
            off.Sent();
            var switching = switches.SetPlannerModeAsync("automatic", cancellationToken);
            await generator.SendAsync(arrivals, begin + PhaseTicks, on.Latencies, cancellationToken);
            await switching;
            await switches.SetPlannerModeAsync("off", cancellationToken);
        }
        finally
        {
            off.Sent();
            on.Sent();
        }
    }

    /// <summary>Waits for migrations to end, so that no row is counted twice while it lies on two nodes.</summary>
    private async Task<ImmutableArray<DemoConsole.MigrationRow>> MigrationsOverAsync(DemoConsole console, CancellationToken cancellationToken)
    {
        var start = time.GetTimestamp();
        while (true)
        {
            var migrations = await console.MigrationsAsync(cancellationToken);
            if (migrations.All(m => m.IsOver) || time.GetElapsedTime(start) > MigrationDeadline)
            {
                return migrations;
            }

            await Task.Delay(TimeSpan.FromMilliseconds(100), time, cancellationToken);
        }
    }

    private sealed class Phase(string name)
    {
        private readonly TaskCompletionSource _sent = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public string Name { get; } = name;

        public Task AllSent => _sent.Task;

        public LatencyRecorder Latencies { get; } = new();

        public ImbalanceMeter Imbalance { get; } = new();

        public void Sent() => _sent.TrySetResult();
    }
}
