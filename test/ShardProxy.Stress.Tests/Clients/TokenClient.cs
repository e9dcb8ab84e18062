using System.Collections.Immutable;
using System.Globalization;
using Npgsql;
using ShardProxy.Model.Keys;
using ShardProxy.Stress.Tests.Host;

namespace ShardProxy.Stress.Tests.Clients;

/// <summary>
/// One client of one proxy. It writes rows of its own (inserts, deletes, increments, pairs in one transaction), reads its own and the others', and holds every answer
/// against the ledgers. Half of the clients prepare their statements. Errors it lists and goes on; a lost connection it opens anew at the same proxy.
/// </summary>
internal sealed class TokenClient
{
    private const int TokensKept = 60;
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(3), Reconnect = TimeSpan.FromMilliseconds(50);
    private readonly ClientSwarm _swarm;
    private readonly HostedProxy _proxy;
    private readonly int _proxyIndex;
    private readonly Random _random;
    private readonly bool _prepares;
    private readonly Dictionary<string, NpgsqlCommand> _prepared = [];
    private NpgsqlConnection? _connection;
    private long _lastKey;

    public TokenClient(ClientSwarm swarm, HostedProxy proxy, int proxyIndex, int number, int seed)
    {
        _swarm = swarm;
        _proxy = proxy;
        _proxyIndex = proxyIndex;
        _prepares = number % 2 == 0;
        _random = new Random(seed);
        Ledger = new Ledger(number);
        _lastKey = number * 10_000_000L;
    }

    public Ledger Ledger { get; }

    /// <summary>Operations that were answered as they should.</summary>
    public long Done { get; private set; }

    /// <summary>A key that nobody has used, of a range.</summary>
    public long NewKey(RangeOwner range)
    {
        while (true)
        {
            var hash = KeyHash.Int64(++_lastKey, 0);
            if (hash >= range.From && (range.To is not { } to || hash < to))
            {
                return _lastKey;
            }
        }
    }

    public async Task RunAsync(CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            await _swarm.WhilePausedAsync();
            if (stop.IsCancellationRequested || !await ConnectAsync())
            {
                continue;
            }

            try
            {
                await StepAsync();
                Done++;
            }
            catch (Exception e) when (e is NpgsqlException or IOException or InvalidOperationException or ObjectDisposedException)
            {
                // Listed where it happened; what matters here is whether the connection lives.
                if (_connection?.FullState != System.Data.ConnectionState.Open)
                {
                    await DropAsync();
                }
            }

            await Task.Delay(Pause, CancellationToken.None);
        }

        await DropAsync();
    }

    private async Task StepAsync()
    {
        var range = _swarm.PickRange(_random);
        var tokens = Ledger.TokensThere();
        switch (_random.Next(tokens.Count > TokensKept ? 100 : 85))
        {
            case < 35:
                await IncrementAsync(Ledger.CounterKeys.First(k => _swarm.Map.OfKey(k).Id == range.Id), inBlock: false);
                break;
            case < 42:
                await IncrementAsync(Ledger.CounterKeys.First(k => _swarm.Map.OfKey(k).Id == range.Id), inBlock: true);
                break;
            case < 52:
                await InsertAsync(NewKey(range));
                break;
            case < 60:
                await InsertPairAsync(NewKey(range), NewKey(_swarm.PickRange(_random)));
                break;
            case < 70:
                await ReadCounterAsync(_swarm.Ledgers[_random.Next(_swarm.Ledgers.Count)], range);
                break;
            case < 78 when tokens.Count > 0:
                await ReadTokenAsync(tokens[_random.Next(tokens.Count)]);
                break;
            case < 82:
                await ReadAllAsync(_swarm.Ledgers[_random.Next(_swarm.Ledgers.Count)]);
                break;
            default:
                if (tokens.Count > 0)
                {
                    await DeleteAsync(tokens[_random.Next(tokens.Count)]);
                }

                break;
        }
    }

    private async Task IncrementAsync(long key, bool inBlock)
    {
        var floor = Ledger.CounterFloor(key);
        Ledger.BeginIncrement(key);
        var value = 0L;
        var rows = 0;
        await WriteAsync(
            [key],
            inBlock,
            async () =>
            {
                (rows, value) = await CountedAsync("UPDATE counters SET n = n + 1 WHERE id = $1 RETURNING n", key);
                if (inBlock)
                {
                    await CountedAsync("SELECT n FROM counters WHERE id = $1", key);
                }
            },
            answer => Ledger.EndIncrement(key, rows == 0 && answer == Answer.Acknowledged ? Answer.Refused : answer));
        _swarm.Report(rows == 0 ? Invariant($"an UPDATE of counter {key}, which is there, found no row through {_proxy.Id}") : Ledger.SeeCounter(key, value, floor + 1));
    }

    private Task InsertAsync(long key)
    {
        Ledger.BeginInsert(key);
        return WriteAsync([key], inBlock: false, () => CountedAsync("INSERT INTO tokens (id, client, pair) VALUES ($1, $2, $3)", key, Ledger.Client, 0L), answer => Ledger.EndInsert(key, answer));
    }

    private Task InsertPairAsync(long first, long second)
    {
        Ledger.BeginInsert(first, second);
        Ledger.BeginInsert(second, first);
        return WriteAsync(
            [first, second],
            inBlock: true,
            async () =>
            {
                await CountedAsync("INSERT INTO tokens (id, client, pair) VALUES ($1, $2, $3)", first, Ledger.Client, second);
                await CountedAsync("INSERT INTO tokens (id, client, pair) VALUES ($1, $2, $3)", second, Ledger.Client, first);
            },
            answer =>
            {
                Ledger.EndInsert(first, answer);
                Ledger.EndInsert(second, answer);
            });
    }

    private async Task DeleteAsync(long key)
    {
        Ledger.BeginDelete(key);
        var rows = 0;
        await WriteAsync([key], inBlock: false, async () => rows = (await CountedAsync("DELETE FROM tokens WHERE id = $1 RETURNING id", key)).Rows, answer => Ledger.EndDelete(key, answer));
        _swarm.Report(rows == 0 ? Invariant($"a DELETE of token {key}, which is there, found no row through {_proxy.Id}") : null);
    }

    private async Task ReadCounterAsync(Ledger of, RangeOwner range)
    {
        var key = of.CounterKeys.First(k => _swarm.Map.OfKey(k).Id == range.Id);
        var floor = of.CounterFloor(key);
        var (rows, value) = await ReadAsync([range.Id], "SELECT n FROM counters WHERE id = $1", key);
        _swarm.Report(rows != 1 ? Invariant($"counter {key} was read {rows} times through {_proxy.Id}") : of.SeeCounter(key, value, floor));
    }

    private async Task ReadTokenAsync(long key)
    {
        var (rows, _) = await ReadAsync([_swarm.Map.OfKey(key).Id], "SELECT client::bigint FROM tokens WHERE id = $1", key);
        _swarm.Report(rows != 1 ? Invariant($"token {key}, which was acknowledged, was read {rows} times through {_proxy.Id}") : null);
    }

    // Over all nodes: no row twice, none left out, however many copies of a range there are just now.
    private async Task ReadAllAsync(Ledger of)
    {
        var floors = of.CounterKeys.ToDictionary(k => k, of.CounterFloor);
        var read = new List<(long Key, long Value)>();
        await ListedAsync([], isBlock: false, async () =>
        {
            await using var command = new NpgsqlCommand("SELECT id, n FROM counters WHERE client = $1", _connection);
            command.Parameters.Add(new NpgsqlParameter { Value = of.Client });
            await using var reader = await command.ExecuteReaderAsync();
            while (await reader.ReadAsync())
            {
                read.Add((reader.GetInt64(0), reader.GetInt64(1)));
            }
        });
        foreach (var (key, floor) in floors)
        {
            var values = read.Where(r => r.Key == key).Select(r => r.Value).ToList();
            _swarm.Report(values.Count != 1 ? Invariant($"a read over all nodes through {_proxy.Id} showed counter {key} {values.Count} times") : of.SeeCounter(key, values[0], floor));
        }
    }

    private async Task<(int Rows, long Value)> ReadAsync(ImmutableArray<int> ranges, string sql, params object[] parameters)
    {
        var answer = (0, 0L);
        await ListedAsync(ranges, isBlock: false, async () => answer = await CountedAsync(sql, parameters));
        return answer;
    }

    // A write by itself, or in a block: which answers mean that nothing was done depends on how far it had come.
    private async Task WriteAsync(long[] keys, bool inBlock, Func<Task> write, Action<Answer> end)
    {
        ImmutableArray<int> ranges = [.. keys.Select(k => _swarm.Map.OfKey(k).Id).Distinct()];
        var isCommitting = !inBlock;
        try
        {
            await ListedAsync(ranges, inBlock, async () =>
            {
                if (inBlock)
                {
                    await RunAsync("BEGIN");
                }

                await write();
                if (inBlock)
                {
                    isCommitting = true;
                    await RunAsync("COMMIT");
                }
            });
        }
        catch (Exception e)
        {
            end(isCommitting && IsUnknown(e) ? Answer.Unknown : Answer.Refused);
            if (inBlock && _connection?.FullState == System.Data.ConnectionState.Open)
            {
                await RunAsync("ROLLBACK");
            }

            throw;
        }

        end(Answer.Acknowledged);
    }

    /// <summary>The connection has ended, or the error says itself that the outcome is not known.</summary>
    private static bool IsUnknown(Exception e) => e is not PostgresException { SqlState: not ("08007" or "57P01" or "57P02" or "40003") };

    private async Task ListedAsync(ImmutableArray<int> ranges, bool isBlock, Func<Task> run)
    {
        try
        {
            await run();
        }
        catch (Exception e) when (e is NpgsqlException or IOException or InvalidOperationException or ObjectDisposedException)
        {
            _swarm.List(new ClientError(TimeProvider.System.GetTimestamp(), _proxyIndex, ranges, isBlock, (e as PostgresException)?.SqlState, Text(e)));
            throw;
        }
    }

    private static string Text(Exception e) => e is PostgresException p ? $"{p.MessageText} ({p.Detail})" : $"{e.Message} {e.InnerException?.Message}";

    private async Task<(int Rows, long Value)> CountedAsync(string sql, params object[] parameters)
    {
        var command = await CommandAsync(sql, parameters);
        await using var reader = await command.ExecuteReaderAsync();
        var (rows, value) = (0, 0L);
        while (await reader.ReadAsync())
        {
            rows++;
            value = reader.GetInt64(0);
        }

        return (rows, value);
    }

    private async Task<NpgsqlCommand> CommandAsync(string sql, object[] parameters)
    {
        if (!_prepared.TryGetValue(sql, out var command))
        {
            command = new NpgsqlCommand(sql, _connection);
            foreach (var parameter in parameters)
            {
                command.Parameters.Add(new NpgsqlParameter { Value = parameter });
            }

            if (_prepares)
            {
                await command.PrepareAsync();
            }

            _prepared[sql] = command;
        }

        for (var i = 0; i < parameters.Length; i++)
        {
            command.Parameters[i].Value = parameters[i];
        }

        return command;
    }

    private async Task RunAsync(string sql)
    {
        await using var command = new NpgsqlCommand(sql, _connection);
        await command.ExecuteNonQueryAsync();
    }

    private async Task<bool> ConnectAsync()
    {
        if (_connection is not null)
        {
            return true;
        }

        var connection = new NpgsqlConnection(_proxy.ConnectionString());
        try
        {
            await connection.OpenAsync();
            _connection = connection;
            return true;
        }
        catch (Exception e) when (e is NpgsqlException or IOException or TimeoutException)
        {
            _swarm.List(new ClientError(TimeProvider.System.GetTimestamp(), _proxyIndex, [], false, (e as PostgresException)?.SqlState, "connecting: " + Text(e)));
            await connection.DisposeAsync();
            await Task.Delay(Reconnect);
            return false;
        }
    }

    private async Task DropAsync()
    {
        foreach (var command in _prepared.Values)
        {
            await command.DisposeAsync();
        }

        _prepared.Clear();
        if (_connection is { } connection)
        {
            _connection = null;
            try
            {
                await connection.DisposeAsync();
            }
            catch (Exception e) when (e is NpgsqlException or IOException)
            {
                // It is gone either way.
            }
        }
    }

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
