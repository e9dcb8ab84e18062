using System.Diagnostics;
using System.Globalization;
using Npgsql;
using ShardProxy.Stress.Tests.Checking;
using ShardProxy.Stress.Tests.Clients;
using ShardProxy.Stress.Tests.Host;

namespace ShardProxy.Stress.Tests.Faults;

/// <summary>
/// Moves ranges under clients and lets a fault befall each move at a place that is told. Afterwards, when everything runs again: each acknowledged write is there once, nothing
/// else is, no read went back, clients were told nothing but the fault's own errors, and of the migration nothing is left.
/// </summary>
internal sealed class FaultRun : IAsyncDisposable
{
    private const int ClientsEach = 3;
    private static readonly TimeSpan StepDeadline = TimeSpan.FromSeconds(60), SettleDeadline = TimeSpan.FromSeconds(90), WindowDeadline = TimeSpan.FromSeconds(20);
    private readonly FaultCluster _cluster;
    private readonly Random _random;
    private readonly TextWriter _output;
    private ClientSwarm _swarm = null!;

    private FaultRun(FaultCluster cluster, int seed, TextWriter output)
    {
        _cluster = cluster;
        _random = new Random(seed);
        _output = output;
    }

    /// <summary>The places of an undisturbed move and of one that is rolled back, in order.</summary>
    public IReadOnlyList<FaultPlace> Places { get; private set; } = [];

    /// <summary>Starts everything, shards a table, sets the clients to work and moves a range once without a fault.</summary>
    public static async Task<FaultRun> StartAsync(FaultClusterOptions options, int seed, TextWriter output)
    {
        var run = new FaultRun(await FaultCluster.StartAsync(options), seed, output);
        try
        {
            await run.PrepareAsync(seed);
            return run;
        }
        catch
        {
            await run.DisposeAsync();
            throw;
        }
    }

    /// <summary>Tries one cell.</summary>
    public async Task<FaultResult> TryAsync(FaultCell cell)
    {
        var time = Stopwatch.StartNew();
        _ = _swarm.Take();
        var leader = await LeaderAsync();
        var (range, target) = PickMove();
        _swarm.Favour(range.Id);
        leader.ForgetSteps();
        var (step, isAfter) = (cell.Place.Step, cell.Place.IsAfter);
        leader.StopAt(step, isAfter);
        var lastId = (await FaultConsole.MigrationsAsync(leader)).Select(m => m.Id).DefaultIfEmpty(0).Max();
        var moving = MoveAsync(leader, range.Id, target, cell.Place.IsRollback);
        if (!await leader.ReachesAsync(step, isAfter, StepDeadline, FailureOf(moving)))
        {
            leader.StopNowhere();
            var reason = await moving;
            var violations = await SettleAsync(lastId, []);
            return new FaultResult(cell, null, [.. violations.Violations, Invariant($"the move of range {range.Id} did not come to the place {cell.Place}: {reason ?? "it was done"}")], 0, time.Elapsed);
        }

        var scope = new FaultScope(cell.Victim, Math.Max(0, _cluster.Proxies.ToList().IndexOf(leader)), range.Id, range.Node, target, Stopwatch.GetTimestamp());
        var isUpFirst = _random.Next(3) == 0;
        await BreakAsync(cell, scope);
        if (isUpFirst)
        {
            await MendAsync(cell, scope);
        }

        leader.Go();
        if (!isUpFirst)
        {
            await Task.Delay(cell.Fault == Fault.Freeze && _random.Next(4) == 0 ? _random.Next(11_000, 20_000) : _random.Next(50, 600));
            await MendAsync(cell, scope);
        }

        var (found, errors, outcome) = await SettleAsync(lastId, [scope]);
        _ = moving.ContinueWith(t => t.Exception, TaskScheduler.Default);
        return new FaultResult(cell, outcome, found, errors, time.Elapsed);
    }

    /// <summary>The nodes' major version.</summary>
    public Task<int> PostgresVersionAsync() => _cluster.PostgresVersionAsync();

    /// <summary>What everybody wrote last, for when something was found.</summary>
    public string Logs() => string.Join('\n', _cluster.Proxies.Select(p => p.Log));

    public async ValueTask DisposeAsync()
    {
        // The proxies first: clients that wait for an answer then have one.
        foreach (var proxy in _cluster.Proxies)
        {
            await proxy.KillAsync();
        }

        if (_swarm is not null)
        {
            await _swarm.DisposeAsync();
        }

        await _cluster.DisposeAsync();
    }

    private async Task PrepareAsync(int seed)
    {
        var leader = await LeaderAsync();
        await FaultTables.CreateAsync(leader);
        _swarm = new ClientSwarm(_cluster.Proxies, await FaultConsole.RangesAsync(leader), ClientsEach, seed);
        await FaultTables.FillAsync(leader, _swarm.Ledgers);
        _swarm.Start();
        Places =
        [
            .. (await DryMoveAsync(isRollback: false)).Select(s => new FaultPlace(false, s.Step, s.IsAfter)),
            .. (await DryMoveAsync(isRollback: true)).SkipWhile(s => s.Step != "rollback").Select(s => new FaultPlace(true, s.Step, s.IsAfter)),
        ];
    }

    private async Task<List<(string Step, bool IsAfter)>> DryMoveAsync(bool isRollback)
    {
        var leader = await LeaderAsync();
        var (range, target) = PickMove();
        leader.ForgetSteps();
        if (await MoveAsync(leader, range.Id, target, isRollback) is { } error)
        {
            throw new InvalidOperationException($"a move without a fault failed: {error}\n{Logs()}");
        }

        var (violations, _, _) = await SettleAsync(0, []);
        if (violations.Count > 0)
        {
            throw new InvalidOperationException($"a move without a fault: {string.Join('\n', violations)}\n{Logs()}");
        }

        return [.. leader.Steps.Distinct()];
    }

    private (RangeOwner Range, int Target) PickMove()
    {
        // The range of a node that has most, so that they stay spread.
        var owners = _swarm.Map.Ranges.GroupBy(r => r.Node).OrderByDescending(g => g.Count()).ThenBy(_ => _random.Next()).First().ToList();
        var range = owners[_random.Next(owners.Count)];
        return (range, (range.Node + _random.Next(1, FaultCluster.NodeCount)) % FaultCluster.NodeCount);
    }

    /// <summary>MOVE RANGE, and ROLLBACK MIGRATION if asked for; what it failed with, or null.</summary>
    private static async Task<string?> MoveAsync(HostedProxy leader, int range, int target, bool isRollback)
    {
        try
        {
            await FaultConsole.RunAsync(leader, Invariant($"MOVE RANGE {range} TO node{target + 1}"));
            if (isRollback)
            {
                await FaultConsole.RunAsync(leader, Invariant($"ROLLBACK MIGRATION {(await FaultConsole.MigrationsAsync(leader)).Max(m => m.Id)}"));
            }

            return null;
        }
        catch (Exception e) when (e is NpgsqlException or IOException)
        {
            return e is PostgresException p ? $"{p.MessageText} ({p.Detail})" : e.Message;
        }
    }

    /// <summary>Ends when a move has failed, never when it succeeds: it has steps left behind its answer.</summary>
    private static async Task FailureOf(Task<string?> moving)
    {
        if (await moving is null)
        {
            await Task.Delay(StepDeadline);
        }
    }

    private async Task BreakAsync(FaultCell cell, FaultScope scope)
    {
        var other = _cluster.Proxies[1 - scope.Leader];
        switch (cell.Fault, cell.Victim)
        {
            case (Fault.Kill, Victim.Source or Victim.Target): await _cluster.KillNodeAsync(scope.NodeOf(cell.Victim)); break;
            case (Fault.Kill, Victim.Catalog): await _cluster.KillCatalogAsync(); break;
            case (Fault.Kill, Victim.Leader): await _cluster.Proxies[scope.Leader].KillAsync(); break;
            case (Fault.Kill, _): await other.KillAsync(); break;
            case (Fault.Freeze, Victim.Source or Victim.Target): _cluster.SignalNode(scope.NodeOf(cell.Victim), Processes.Stop); break;
            case (Fault.Freeze, Victim.Catalog): _cluster.FreezeCatalog(true); break;
            case (Fault.Freeze, Victim.Leader): _cluster.Proxies[scope.Leader].Freeze(); break;
            case (Fault.Freeze, _): other.Freeze(); break;
            case (Fault.Cut, _): _cluster.Relay(cell.Victim == Victim.Catalog ? null : scope.NodeOf(cell.Victim)).Cut(); break;
            default: _cluster.Relay(cell.Victim == Victim.Catalog ? null : scope.NodeOf(cell.Victim)).Delay = TimeSpan.FromMilliseconds(_random.Next(5, 60)); break;
        }
    }

    private async Task MendAsync(FaultCell cell, FaultScope scope)
    {
        var other = _cluster.Proxies[1 - scope.Leader];
        switch (cell.Fault, cell.Victim)
        {
            case (Fault.Kill, Victim.Source or Victim.Target): await _cluster.StartNodeAsync(scope.NodeOf(cell.Victim)); break;
            case (Fault.Kill, Victim.Catalog): await _cluster.StartCatalogAsync(); break;
            case (Fault.Kill, Victim.Leader): await _cluster.Proxies[scope.Leader].StartAsync(); break;
            case (Fault.Kill, _): await other.StartAsync(); break;
            case (Fault.Freeze, Victim.Source or Victim.Target): _cluster.SignalNode(scope.NodeOf(cell.Victim), Processes.Continue); break;
            case (Fault.Freeze, Victim.Catalog): _cluster.FreezeCatalog(false); break;
            case (Fault.Freeze, Victim.Leader): _cluster.Proxies[scope.Leader].Thaw(); break;
            case (Fault.Freeze, _): other.Thaw(); break;
            default: _cluster.Relay(cell.Victim == Victim.Catalog ? null : scope.NodeOf(cell.Victim)).Mend(); break;
        }
    }

    private async Task<HostedProxy> LeaderAsync() => await _cluster.FindLeaderAsync(SettleDeadline);

    /// <summary>Waits until everything is as it should be when nothing is under way, then checks it.</summary>
    private async Task<(List<string> Violations, int Errors, string? Outcome)> SettleAsync(int lastId, FaultScope[] scopes)
    {
        string? outcome = null;
        RangeMap? map = null;
        var open = await Patience.UntilAsync(
            async () =>
            {
                var leader = await LeaderAsync();
                var migrations = await FaultConsole.MigrationsAsync(leader);
                outcome = migrations.LastOrDefault(m => m.Id > lastId)?.State;
                map = await FaultConsole.RangesAsync(leader);
                var states = await FaultConsole.RowsAsync(leader, "SHOW PROXIES");
                return
                [
                    .. migrations.Where(m => !m.IsOver).Select(m => Invariant($"migration {m.Id} is {m.State}: {m.Error}")),
                    .. map.Ranges.Where(r => r.State != "active").Select(r => Invariant($"range {r.Id} is {r.State}")),
                    .. states.Where(s => s["state"] != "serving").Select(s => $"proxy {s["proxy"]} is {s["state"]}"),
                ];
            },
            SettleDeadline);
        if (open.Count > 0)
        {
            var (early, _) = _swarm.Take();
            return ([.. open.Select(o => $"after {SettleDeadline.TotalSeconds} s: {o}"), .. early], 0, outcome);
        }

        try
        {
            await _swarm.PauseAsync(SettleDeadline);
        }
        catch (TimeoutException)
        {
            return ([Invariant($"a client has had no answer for {SettleDeadline.TotalSeconds} s")], 0, outcome);
        }

        // Of the clients' transactions that the fault left, and then of the migration: it is called done while its way back is open, and no longer than that.
        var found = await Patience.UntilAsync(() => Leftovers.FindUnderWayAsync(_cluster), SettleDeadline);
        found.AddRange(await Patience.UntilAsync(() => Leftovers.FindAsync(_cluster), WindowDeadline));
        found.AddRange(await RowChecker.CheckAsync(_cluster, map!, _swarm.Ledgers));
        var before = _swarm.Map;
        _swarm.Map = map!;
        var (findings, errors) = _swarm.Take();
        found.AddRange(findings);
        found.AddRange(errors.Where(e => !scopes.Any(s => s.Explains(e, before, map!))).Select(e => "told to a client: " + e).Take(10));
        _swarm.Resume();
        return (found, errors.Count, outcome ?? "none");
    }

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
