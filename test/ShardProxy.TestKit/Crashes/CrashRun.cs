using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Npgsql;
using ShardProxy.TestKit.Clusters;
using ShardProxy.TestKit.Differential;
using ShardProxy.TestKit.Wire;

namespace ShardProxy.TestKit.Crashes;

/// <summary>
/// Kills a proxy (<c>kill -9</c>) at every step of writes over several nodes, as its nodes see the steps, and starts it again each time. In the end, once the last one has
/// cleaned up, every write is done on all nodes or on none, those that were acknowledged are done, and nothing is left of those that were not.
/// </summary>
public sealed class CrashRun : IAsyncDisposable
{
    private const string ProxyId = "crash";

    // Age of a transaction before it counts as nobody's, a pass, and time for a slow machine.
    private static readonly TimeSpan Recovery = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(40);

    private readonly TestCluster _cluster;
    private readonly TextWriter _output;
    private readonly StepTrap _trap = new();
    private readonly StatementRelay[] _relays;
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("shardproxy-test-");
    private readonly ProxyProcessOptions _options;
    private readonly List<string> _findings = [];
    private readonly List<(CrashForm Form, int Number, bool IsAcknowledged, string How)> _written = [];

    private CrashRun(TestCluster cluster, TextWriter output)
    {
        _cluster = cluster;
        _output = output;
        _relays = [.. cluster.Nodes.Select(n => new StatementRelay(n.Port, _trap, $"shardproxy/{ProxyId}"))];
        _options = Configure();
    }

    /// <summary>Runs it; returns what was found to be wrong.</summary>
    /// <param name="points">How many of all steps, picked by the seed; 0 for all.</param>
    /// <param name="seed">Of the choice.</param>
    /// <param name="output">What was done.</param>
    public static async Task<IReadOnlyList<string>> RunAsync(int points, int seed, TextWriter output)
    {
        await using var run = new CrashRun(await TestCluster.StartAsync(nodes: 3), output);
        await output.WriteLineAsync(string.Create(CultureInfo.InvariantCulture, $"seed {seed}"));
        await run.RunAsync(points, new Dice(seed));
        return run._findings;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var relay in _relays)
        {
            relay.Dispose();
        }

        await _cluster.DisposeAsync();
        _directory.Delete(recursive: true);
    }

    private async Task RunAsync(int points, Dice dice)
    {
        var steps = new List<(CrashForm Form, int Step, bool IsAfter)>();
        await using (var whole = await ProxyProcess.StartAsync(_options))
        {
            await PlaceAsync(whole);
            foreach (var form in CrashForm.All)
            {
                // Twice: the first use looks up what later ones know.
                for (var i = 0; i < 2; i++)
                {
                    await WriteAsync(whole, form, stopAt: 0, isAfter: false);
                }

                steps.AddRange(Enumerable.Range(1, _trap.Steps).SelectMany(s => new[] { (form, s, false), (form, s, true) }));
            }
        }

        var chosen = points > 0 && points < steps.Count ? dice.Some(steps, points, points) : [.. steps];
        await _output.WriteLineAsync(string.Create(CultureInfo.InvariantCulture, $"{CrashForm.All.Length} forms, {steps.Count} places to die at, {chosen.Count} of them now"));
        foreach (var (form, step, isAfter) in chosen)
        {
            await using var proxy = await ProxyProcess.StartAsync(_options);
            await WriteAsync(proxy, form, step, isAfter);
            proxy.Signal(9);
            await proxy.WaitForExitAsync();
            foreach (var relay in _relays)
            {
                relay.CutAll();
            }

            _trap.Set(0, isAfter: false);
        }

        await using var last = await ProxyProcess.StartAsync(_options);
        await CheckAsync();
    }

    private async Task PlaceAsync(ProxyProcess proxy)
    {
        await using var connection = await OpenAsync(proxy.ConnectionString());
        await RunAsync(connection, CrashForm.Ddl);
        await using var console = await OpenAsync(proxy.ConsoleConnectionString + ";Server Compatibility Mode=NoTypeLoading");
        foreach (var statement in CrashForm.Placement)
        {
            await RunAsync(console, statement);
        }
    }

    // One write, of rows of its own, to its end or to the step where the traffic stops.
    private async Task WriteAsync(ProxyProcess proxy, CrashForm form, int stopAt, bool isAfter)
    {
        var number = _written.Count + 1;
        var how = stopAt == 0 ? "undisturbed" : string.Create(CultureInfo.InvariantCulture, $"killed {(isAfter ? "after" : "before")} step {stopAt}");
        using var client = await ScriptedClient.LoginAsync(proxy.Address("proxy").Port, TestCluster.User, TestCluster.Database, TestCluster.Password);
        client.Deadline = Patience;
        _trap.Set(0, isAfter: false);
        foreach (var sql in CrashForm.Start(number))
        {
            var reply = await client.QueryAsync(sql);
            if (reply.Errors.Count > 0)
            {
                throw new InvalidOperationException($"{sql}\n{reply}");
            }
        }

        _trap.Set(stopAt, isAfter);
        var writing = SendAsync(client, form.Messages(number));
        await Task.WhenAny(writing, _trap.Sprung).WaitAsync(Patience);
        var isAcknowledged = writing.IsCompletedSuccessfully && await writing is { } end && IsDone(form, how, end);
        _written.Add((form, number, isAcknowledged, how));
        await _output.WriteLineAsync(string.Create(CultureInfo.InvariantCulture, $"  {number} {form.Name}: {how}, {_trap.Steps} steps{(isAcknowledged ? ", acknowledged" : "")}"));
        _ = writing.ContinueWith(t => t.Exception, TaskScheduler.Default); // it ends with the process
    }

    private bool IsDone(CrashForm form, string how, Transcript end)
    {
        if (end.Errors.Count == 0)
        {
            return end.Status == 'I';
        }

        _findings.Add($"{form.Name}, {how}: {end}");
        return false;
    }

    private static async Task<Transcript> SendAsync(ScriptedClient client, byte[][] messages)
    {
        Transcript? reply = null;
        foreach (var message in messages)
        {
            await client.SendAsync(message);
            reply = await client.ReadUntilReadyAsync();
            if (reply.Errors.Count > 0 || reply.Status is null)
            {
                break;
            }
        }

        return reply!;
    }

    private async Task CheckAsync()
    {
        var began = TimeProvider.System.GetTimestamp();
        var inDoubt = (await OnAllAsync("SELECT count(*) FROM pg_prepared_xacts")).Sum();
        using (var pause = new PeriodicTimer(TimeSpan.FromMilliseconds(250)))
        {
            while ((await OnAllAsync("SELECT count(*) FROM pg_prepared_xacts")).Sum() > 0 && TimeProvider.System.GetElapsedTime(began) < Recovery)
            {
                await pause.WaitForNextTickAsync();
            }
        }

        await _output.WriteLineAsync(string.Create(
            CultureInfo.InvariantCulture, $"{inDoubt} prepared transactions found by the last proxy, ended after {TimeProvider.System.GetElapsedTime(began).TotalSeconds:0.0} s"));
        foreach (var (form, number, isAcknowledged, how) in _written)
        {
            var state = (await OnAllAsync(form.State(number))).ToList();
            var sum = state.Sum();
            if (sum != form.Done && (isAcknowledged || sum != form.Undone))
            {
                _findings.Add(string.Create(
                    CultureInfo.InvariantCulture, $"{form.Name}, {how}{(isAcknowledged ? ", acknowledged" : "")}: the nodes say {string.Join(" + ", state)}; undone is {form.Undone}, done {form.Done}"));
            }
        }

        for (var node = 0; node < _cluster.Nodes.Count; node++)
        {
            foreach (var row in await _cluster.RowsAsync(node, Leftovers))
            {
                _findings.Add(string.Create(CultureInfo.InvariantCulture, $"left on node {node + 1}: {row[0]}"));
            }
        }
    }

    private const string Leftovers =
        """
        SELECT 'prepared transaction ' || gid FROM pg_prepared_xacts
        UNION ALL SELECT 'relation ' || oid::regclass FROM pg_class WHERE relpersistence = 't' OR (starts_with(relname, 'shardproxy') AND relnamespace = 'public'::regnamespace)
        UNION ALL SELECT 'session ' || state || ': ' || left(query, 60) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND state LIKE 'idle in%'
        """;

    private async Task<long[]> OnAllAsync(string sql)
    {
        var values = new long[_cluster.Nodes.Count];
        for (var node = 0; node < values.Length; node++)
        {
            values[node] = long.Parse((await _cluster.RowsAsync(node, sql))[0][0] ?? "0", CultureInfo.InvariantCulture);
        }

        return values;
    }

    private static async Task<NpgsqlConnection> OpenAsync(string connectionString)
    {
        var connection = new NpgsqlConnection(connectionString + ";Pooling=false");
        await connection.OpenAsync();
        return connection;
    }

    private static async Task RunAsync(NpgsqlConnection connection, string sql)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync();
    }

    // The nodes' addresses are the relays', so that the control plane goes through them, too.
    private ProxyProcessOptions Configure()
    {
        var (port, adminPort) = (FreePort(), FreePort());
        var path = Path.Combine(_directory.FullName, "proxy.yaml");
        var nodes = string.Join('\n', _relays.Select((r, i) => string.Create(
            CultureInfo.InvariantCulture, $"  - {{ name: node{i + 1}, uri: 'postgresql://{TestCluster.User}:{TestCluster.Password}@127.0.0.1:{r.Port}/{TestCluster.Database}' }}")));
        File.WriteAllText(
            path,
            $$"""
            proxy_id: {{ProxyId}}
            database: {{TestCluster.Database}}
            log: { level: warning }
            admin: { port: {{adminPort}} }
            listen: { port: {{port}} }
            nodes:
            {{nodes}}
            users:
              - { name: {{TestCluster.User}}, password: {{TestCluster.Password}}, admin: true }

            """);
        return new ProxyProcessOptions
        {
            ConfigFile = path,
            StartTimeout = TimeSpan.FromSeconds(60),
            Addresses = new Dictionary<string, Uri>
            {
                ["proxy"] = new($"postgresql://127.0.0.1:{port}/{TestCluster.Database}"),
                ["console"] = new($"postgresql://127.0.0.1:{port}/shardproxy"),
                ["http"] = new($"http://127.0.0.1:{adminPort}/"),
            },
        };
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
