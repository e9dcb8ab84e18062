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
    private static readonly TimeSpan StepDeadline = TimeSpan.FromSeconds(60), SettleDeadline = TimeSpan.FromSeconds(90), Poll = TimeSpan.FromMilliseconds(50);
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

    /// <summary>The places of an undisturbed move, in order.</summary>
    public IReadOnlyList<(string Step, bool IsAfter)> Places { get; private set; } = [];

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
        leader.StopAt(cell.Step, cell.IsAfter);
        var lastId = (await FaultConsole.MigrationsAsync(leader)).Select(m => m.Id).DefaultIfEmpty(0).Max();
        var moving = MoveAsync(leader, range.Id, target);
        if (!await leader.ReachesAsync(cell.Step, cell.IsAfter, StepDeadline, moving))
        {
            leader.Go();
            var reason = await moving;
            var violations = await SettleAsync(lastId, []);
            return new FaultResult(cell, null, [.. violations.Violations, Invariant($"the move of range {range.Id} did not come {(cell.IsAfter ? "behind" : "to")} step {cell.Step}: {reason ?? "it was done"}")], 0, time.Elapsed);
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
            await Task.Delay(_random.Next(50, 600));
            await MendAsync(cell, scope);
        }

        var (found, errors, outcome) = await SettleAsync(lastId, [scope]);
        _ = moving.ContinueWith(t => t.Exception, TaskScheduler.Default);
        return new FaultResult(cell, outcome, found, errors, time.Elapsed);
    }

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
        var first = _cluster.Proxies[0];
        await using (var connection = new NpgsqlConnection(first.ConnectionString()))
        {
            await connection.OpenAsync();
            foreach (var sql in new[]
            {
                "CREATE TABLE tokens (id bigint PRIMARY KEY, client int NOT NULL, pair bigint NOT NULL)",
                "CREATE TABLE counters (id bigint PRIMARY KEY, client int NOT NULL, n bigint NOT NULL)",
            })
            {
                await using var command = new NpgsqlCommand(sql, connection);
                await command.ExecuteNonQueryAsync();
            }

            var leader = await LeaderAsync();
            await FaultConsole.RunAsync(leader, "SHARD TABLE tokens BY HASH (id)");
            await FaultConsole.RunAsync(leader, "SHARD TABLE counters BY HASH (id) COLOCATE WITH tokens");
            _swarm = new ClientSwarm(_cluster.Proxies, await FaultConsole.RangesAsync(leader), ClientsEach, seed);
            foreach (var ledger in _swarm.Ledgers)
            {
                await using var command = new NpgsqlCommand(
                    Invariant($"INSERT INTO counters (id, client, n) VALUES {string.Join(", ", ledger.CounterKeys.Select(k => Invariant($"({k}, {ledger.Client}, 0)")))}"), connection);
                await command.ExecuteNonQueryAsync();
            }
        }

        _swarm.Start();
        await DryMoveAsync();
    }

    private async Task DryMoveAsync()
    {
        var leader = await LeaderAsync();
        var (range, target) = PickMove();
        leader.ForgetSteps();
        if (await MoveAsync(leader, range.Id, target) is { } error)
        {
            throw new InvalidOperationException($"a move without a fault failed: {error}\n{Logs()}");
        }

        var (violations, _, _) = await SettleAsync(0, []);
        if (violations.Count > 0)
        {
            throw new InvalidOperationException($"a move without a fault: {string.Join('\n', violations)}\n{Logs()}");
        }

        Places = [.. leader.Steps.Distinct()];
    }

    private (RangeOwner Range, int Target) PickMove()
    {
        // The range of a node that has most, so that they stay spread.
        var owners = _swarm.Map.Ranges.GroupBy(r => r.Node).OrderByDescending(g => g.Count()).ThenBy(_ => _random.Next()).First().ToList();
        var range = owners[_random.Next(owners.Count)];
        return (range, (range.Node + _random.Next(1, FaultCluster.NodeCount)) % FaultCluster.NodeCount);
    }

    /// <summary>MOVE RANGE to its end; what it failed with, or null.</summary>
    private static async Task<string?> MoveAsync(HostedProxy leader, int range, int target)
    {
        try
        {
            await FaultConsole.RunAsync(leader, Invariant($"MOVE RANGE {range} TO node{target + 1}"));
            return null;
        }
        catch (Exception e) when (e is NpgsqlException or IOException)
        {
            return e is PostgresException p ? $"{p.MessageText} ({p.Detail})" : e.Message;
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

    private async Task<HostedProxy> LeaderAsync()
    {
        HostedProxy? leader = null;
        await UntilAsync(
            async () =>
            {
                foreach (var proxy in _cluster.Proxies.Where(p => p.IsRunning))
                {
                    if (await FaultConsole.LeadsAsync(proxy))
                    {
                        leader = proxy;
                        return [];
                    }
                }

                return ["nobody leads"];
            },
            SettleDeadline);
        return leader!;
    }

    /// <summary>Waits until everything is as it should be when nothing is under way, then checks it.</summary>
    private async Task<(List<string> Violations, int Errors, string? Outcome)> SettleAsync(int lastId, FaultScope[] scopes)
    {
        string? outcome = null;
        RangeMap? map = null;
        var open = await UntilAsync(
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

        // Of the clients' transactions that the fault left, and then of the migration: it is over, so there is nothing to wait for.
        var found = await UntilAsync(() => Leftovers.FindUnderWayAsync(_cluster), SettleDeadline);
        found.AddRange(await Leftovers.FindAsync(_cluster));
        found.AddRange(await RowChecker.CheckAsync(_cluster, map!, _swarm.Ledgers));
        var before = _swarm.Map;
        _swarm.Map = map!;
        var (findings, errors) = _swarm.Take();
        found.AddRange(findings);
        found.AddRange(errors.Where(e => !scopes.Any(s => s.Explains(e, before, map!))).Select(e => "told to a client: " + e).Take(10));
        _swarm.Resume();
        return (found, errors.Count, outcome ?? "none");
    }

    /// <summary>Polls until nothing is in the way any more; what still was, when time is up.</summary>
    private static async Task<List<string>> UntilAsync(Func<Task<List<string>>> lookAsync, TimeSpan deadline)
    {
        var began = Stopwatch.GetTimestamp();
        while (true)
        {
            List<string> open;
            try
            {
                open = await lookAsync();
            }
            catch (Exception e) when (e is NpgsqlException or IOException or InvalidOperationException)
            {
                open = [e.Message];
            }

            if (open.Count == 0 || Stopwatch.GetElapsedTime(began) > deadline)
            {
                return open;
            }

            await Task.Delay(Poll);
        }
    }

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
