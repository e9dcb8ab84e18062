using ShardProxy.Stress.Tests.Host;

namespace ShardProxy.Stress.Tests.Clients;

/// <summary>The clients of all proxies, what they have found, and the errors they were told. They can be paused, with nothing of them under way.</summary>
internal sealed class ClientSwarm : IAsyncDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _lock = new();
    private readonly List<ClientError> _errors = [];
    private readonly List<string> _findings = [];
    private readonly List<TokenClient> _clients = [];
    private List<Task> _running = [];
    private TaskCompletionSource? _paused;
    private TaskCompletionSource _allPaused = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _waiting;
    private volatile RangeMap _map;
    private volatile int _hot;

    public ClientSwarm(IReadOnlyList<HostedProxy> proxies, RangeMap map, int clientsEach, int seed)
    {
        _map = map;
        for (var i = 0; i < proxies.Count * clientsEach; i++)
        {
            _clients.Add(new TokenClient(this, proxies[i % proxies.Count], i % proxies.Count, i + 1, seed + i));
        }

        foreach (var client in _clients)
        {
            map.Ranges.ToList().ForEach(r => client.Ledger.AddCounter(client.NewKey(r)));
        }

        Ledgers = [.. _clients.Select(c => c.Ledger)];
    }

    public IReadOnlyList<Ledger> Ledgers { get; }

    /// <summary>Where the ranges are; owners as of the last check.</summary>
    public RangeMap Map
    {
        get => _map;
        set => _map = value;
    }

    public long Done => _clients.Sum(c => c.Done);

    /// <summary>Half of all operations are about this range.</summary>
    public void Favour(int rangeId) => _hot = rangeId;

    public RangeOwner PickRange(Random random)
    {
        var map = _map;
        return _hot != 0 && random.Next(2) == 0 ? map.Of(_hot) : map.Ranges[random.Next(map.Ranges.Count)];
    }

    public void Start() => _running = [.. _clients.Select(c => Task.Run(() => c.RunAsync(_stop.Token)))];

    /// <summary>Returns when every client waits, between two operations.</summary>
    public async Task PauseAsync(TimeSpan deadline)
    {
        lock (_lock)
        {
            _allPaused = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            _paused = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            _waiting = 0;
        }

        await _allPaused.Task.WaitAsync(deadline);
    }

    public void Resume()
    {
        lock (_lock)
        {
            _paused?.TrySetResult();
            _paused = null;
        }
    }

    public Task WhilePausedAsync()
    {
        lock (_lock)
        {
            if (_paused is null)
            {
                return Task.CompletedTask;
            }

            if (++_waiting == _clients.Count)
            {
                _allPaused.TrySetResult();
            }

            return _paused.Task;
        }
    }

    /// <summary>Something that must never be; null for nothing.</summary>
    public void Report(string? finding)
    {
        if (finding is not null)
        {
            lock (_lock)
            {
                _findings.Add(finding);
            }
        }
    }

    public void List(ClientError error)
    {
        lock (_lock)
        {
            _errors.Add(error);
        }
    }

    /// <summary>Takes what was found and told since the last time.</summary>
    public (List<string> Findings, List<ClientError> Errors) Take()
    {
        lock (_lock)
        {
            var taken = (_findings.ToList(), _errors.ToList());
            _findings.Clear();
            _errors.Clear();
            return taken;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        Resume();

        // Whoever still waits for an answer gets none: the proxies end before.
        await Task.WhenAny(Task.WhenAll(_running), Task.Delay(TimeSpan.FromSeconds(20)));
        _stop.Dispose();
    }
}
