using System.Globalization;
using Npgsql;
using ShardProxy.Stress.Tests.Checking;
using ShardProxy.Stress.Tests.Clients;
using ShardProxy.Stress.Tests.Faults;
using ShardProxy.Stress.Tests.Host;

namespace ShardProxy.Stress.Tests.Mutants;

/// <summary>
/// Where one scene is played: a cluster of its own, one writer whose ledger knows what was acknowledged, and the checker of the fault runs. A scene makes the moment at which a
/// mistake would show; with the right code nothing is found, with the mutant something must be.
/// </summary>
internal sealed class MutantStage : IAsyncDisposable
{
    public const string GateLock = "PERFORM pg_advisory_xact_lock_shared(1397247056, TG_ARGV[0]::int);";
    public const string GateFlag = "pg_sequence_last_value(TG_ARGV[2]::oid::regclass) IS DISTINCT FROM 1";
    public static readonly TimeSpan Deadline = TimeSpan.FromSeconds(60);
    private const int TokensPerRange = 3;
    private readonly List<(int Node, string Text)> _undo = [];
    private FaultClusterOptions? _options;

    private MutantStage(FaultCluster cluster) => Cluster = cluster;

    public FaultCluster Cluster { get; }

    public HostedProxy Leader { get; private set; } = null!;

    public HostedProxy Follower => Cluster.Proxies.Single(p => p != Leader);

    public Ledger Ledger { get; private set; } = new(1);

    public RangeMap Map { get; private set; } = null!;

    /// <summary>The range that a scene moves, from <see cref="Source"/> to <see cref="Target"/>.</summary>
    public RangeOwner Moved { get; private set; } = null!;

    public int Source { get; private set; }

    public int Target { get; private set; }

    /// <summary>A counter in that range.</summary>
    public long Key { get; private set; }

    public List<string> Findings { get; } = [];

    public static async Task<MutantStage> StartAsync()
    {
        var stage = new MutantStage(await FaultCluster.StartAsync(new FaultClusterOptions { HasRelays = true }));
        await FaultTables.CreateAsync(await stage.Cluster.FindLeaderAsync(Deadline));
        return stage;
    }

    /// <summary>Clears everything away that an earlier scene left, mistakes too, and starts proxies for the next where it needs others.</summary>
    /// <param name="options">Of the proxies.</param>
    /// <param name="source">Index of the node that the range is to come from.</param>
    public async Task SetAsync(FaultClusterOptions options, int source)
    {
        Cluster.Relay(null).Mend();
        for (var node = 0; node < FaultCluster.NodeCount; node++)
        {
            await Cluster.ExecuteAsync(node, "DROP FUNCTION IF EXISTS shardproxy.mutant() CASCADE; DROP TABLE IF EXISTS shardproxy.mutant; TRUNCATE tokens, counters");
        }

        foreach (var (node, text) in Enumerable.Reverse(_undo))
        {
            await Cluster.ExecuteAsync(node, text);
        }

        _undo.Clear();
        if (_options is not { } last || last.Sections != options.Sections || !last.ProxyArguments.SequenceEqual(options.ProxyArguments))
        {
            _options = null;
            await Cluster.StartProxiesAgainAsync(options);
            _options = options;
        }

        Leader = await Cluster.FindLeaderAsync(Deadline);
        Map = await FaultConsole.RangesAsync(Leader);

        // Earlier scenes may have moved a node's last range away; the target has rows of its own to lose.
        (Source, Target) = (source, source == 2 ? 1 : 2);
        await BringRangeAsync(Source);
        await BringRangeAsync(Target);
        Moved = Map.Ranges.First(r => r.Node == source);
        Ledger = new Ledger(1);
        Findings.Clear();
        await FillAsync();
    }

    private async Task BringRangeAsync(int node)
    {
        if (Map.Ranges.All(r => r.Node != node))
        {
            Leader.StopNowhere();
            var spare = Map.Ranges.GroupBy(r => r.Node).MaxBy(g => g.Count())!.First();
            if (await MoveAsync(Leader, spare.Id, node) is { } error)
            {
                throw new InvalidOperationException($"no range came to node {node + 1}: {error}\n{Leader.Log}");
            }

            // Its rollback window would end, and what follows it, in the middle of the scene.
            await CheckedForTheEndAsync();
            Map = await FaultConsole.RangesAsync(Leader);
        }
    }

    /// <summary>Replaces parts of a function of the project on a node by a mistake, until the next scene.</summary>
    public Task MutateFunctionAsync(int node, string function, params (string Right, string Wrong)[] changes) => ReplaceFunctionAsync(
        node,
        function,
        text => changes.Aggregate(text, (t, c) => t.Contains(c.Right, StringComparison.Ordinal)
            ? t.Replace(c.Right, c.Wrong, StringComparison.Ordinal)
            : throw new InvalidOperationException($"shardproxy.{function} has no {c.Right} any more: the mutant has to follow it\n{text}")));

    /// <summary>Replaces a function of the project on a node, until the next scene.</summary>
    public async Task ReplaceFunctionAsync(int node, string function, Func<string, string> change)
    {
        var text = (await Cluster.ScalarAsync<string>(node, $"SELECT pg_get_functiondef('shardproxy.{function}'::regproc)"))!;
        _undo.Add((node, text));
        await Cluster.ExecuteAsync(node, change(text));
    }

    /// <summary>Begins the move and returns when it waits at a step; the task is its end: null, or what it failed with.</summary>
    public async Task<Task<string?>> MoveToAsync(string step, bool isAfter)
    {
        Leader.ForgetSteps();
        Leader.StopAt(step, isAfter);
        var moving = MoveAsync(Leader, Moved.Id, Target);
        await ReachAsync(step, isAfter, moving);
        return moving;
    }

    public async Task ReachAsync(string step, bool isAfter, Task<string?> moving)
    {
        if (!await Leader.ReachesAsync(step, isAfter, Deadline))
        {
            throw new InvalidOperationException($"the move did not come to {step}: {(moving.IsCompleted ? await moving : "")}\n{Leader.Log}");
        }
    }

    public static async Task<string?> MoveAsync(HostedProxy leader, int range, int target)
    {
        try
        {
            await FaultConsole.RunAsync(leader, Invariant($"MOVE RANGE {range} TO node{target + 1}"));
            return null;
        }
        catch (Exception e) when (e is NpgsqlException or IOException)
        {
            return e.Message + (e as PostgresException)?.Detail;
        }
    }

    /// <summary>Keeps a row of a node from being changed, so that the apply worker there comes no further; ends when disposed.</summary>
    /// <param name="node">Its index.</param>
    /// <param name="key">A counter there.</param>
    /// <param name="waits">Until everything of before has been applied.</param>
    public async Task<NpgsqlConnection> HoldRowAsync(int node, long key, bool waits = false)
    {
        var connection = await Cluster.OpenNodeAsync(node);
        if (waits)
        {
            var expected = await Cluster.ScalarAsync<long>(Source, Invariant($"SELECT n FROM counters WHERE id = {key}"));
            await Patience.SoonAsync(() => IsSoAsync(connection, Invariant($"SELECT n = {expected} FROM counters WHERE id = {key}")), Deadline);
        }

        await RunAsync(connection, Invariant($"BEGIN; SELECT FROM counters WHERE id = {key} FOR UPDATE"));
        return connection;
    }

    /// <summary>Adds one to the counter; what was acknowledged is in the ledger. A block stays open until <see cref="EndAsync"/>.</summary>
    public async Task<bool> IncrementAsync(NpgsqlConnection connection, bool inBlock = false)
    {
        Ledger.BeginIncrement(Key);
        try
        {
            await using var command = new NpgsqlCommand(Invariant($"UPDATE counters SET n = n + 1 WHERE id = {Key}"), connection);
            var rows = await command.ExecuteNonQueryAsync();
            if (!inBlock || rows == 0)
            {
                Ledger.EndIncrement(Key, rows == 1 ? Answer.Acknowledged : Answer.Refused);
            }

            return rows == 1;
        }
        catch (PostgresException)
        {
            Ledger.EndIncrement(Key, Answer.Refused);
            return false;
        }
    }

    /// <summary>COMMIT, or COMMIT PREPARED.</summary>
    public async Task EndAsync(NpgsqlConnection connection, string commit = "COMMIT")
    {
        try
        {
            await RunAsync(connection, commit);
            Ledger.EndIncrement(Key, Answer.Acknowledged);
        }
        catch (PostgresException)
        {
            Ledger.EndIncrement(Key, Answer.Refused);
        }
    }

    /// <summary>Reads the counter through a proxy and holds it against the ledger.</summary>
    public async Task ReadAsync(NpgsqlConnection connection)
    {
        var floor = Ledger.CounterFloor(Key);
        await using var command = new NpgsqlCommand(Invariant($"SELECT n FROM counters WHERE id = {Key}"), connection);
        var value = await command.ExecuteScalarAsync();
        if ((value is long n ? Ledger.SeeCounter(Key, n, floor) : Invariant($"counter {Key} was not found")) is { } finding)
        {
            lock (Findings)
            {
                Findings.Add(finding);
            }
        }
    }

    /// <summary>Waits until nothing is under way any more, and checks every row and every node.</summary>
    public async Task<List<string>> CheckAsync()
    {
        var open = await Patience.UntilAsync(
            async () =>
            {
                var leader = await Cluster.FindLeaderAsync(Deadline);
                Map = await FaultConsole.RangesAsync(leader);
                return
                [
                    .. (await FaultConsole.MigrationsAsync(leader)).Where(m => !m.IsOver).Select(m => Invariant($"migration {m.Id} is {m.State}: {m.Error}")),
                    .. Map.Ranges.Where(r => r.State != "active").Select(r => Invariant($"range {r.Id} is {r.State}")),
                    .. await Leftovers.FindUnderWayAsync(Cluster),
                    .. await Leftovers.FindAsync(Cluster),
                ];
            },
            Deadline);
        return [.. Findings, .. open, .. await RowChecker.CheckAsync(Cluster, Map, [Ledger])];
    }

    /// <summary>Lets the move go on to its end; a row is held until nothing can be applied any more.</summary>
    public async Task LetGoAsync(NpgsqlConnection hold, Task<string?> moving)
    {
        Leader.Go();
        await using (var looker = await Cluster.OpenNodeAsync(Target))
        {
            await Patience.SoonAsync(
                () => IsSoAsync(looker, "SELECT NOT EXISTS (SELECT FROM pg_subscription WHERE subname LIKE 'shardproxy%' AND subname NOT LIKE '%back')"), Deadline);
        }

        await hold.DisposeAsync();
        await moving;
        await CheckedForTheEndAsync();
    }

    public static async Task<bool> IsSoAsync(NpgsqlConnection connection, string sql)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        return await command.ExecuteScalarAsync() is true;
    }

    /// <summary>Ends when nothing of the move is left on any node.</summary>
    public Task CheckedForTheEndAsync() => Patience.UntilAsync(() => Leftovers.FindAsync(Cluster), Deadline);

    public static async Task RunAsync(NpgsqlConnection connection, string sql)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync();
    }

    public static async Task<NpgsqlConnection> OpenAsync(HostedProxy proxy)
    {
        var connection = new NpgsqlConnection(proxy.ConnectionString());
        await connection.OpenAsync();
        return connection;
    }

    public ValueTask DisposeAsync() => Cluster.DisposeAsync();

    private async Task FillAsync()
    {
        var next = 0L;
        foreach (var range in Map.Ranges)
        {
            for (var i = 0; i <= TokensPerRange; i++)
            {
                do
                {
                    next++;
                }
                while (Map.OfKey(next) != range);
                if (i == TokensPerRange)
                {
                    Ledger.AddCounter(next);
                    Key = range == Moved ? next : Key;
                }
                else
                {
                    Ledger.BeginInsert(next);
                    Ledger.EndInsert(next, Answer.Acknowledged);
                }
            }
        }

        await FaultTables.FillAsync(Leader, [Ledger]);
    }

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
