using System.Collections.Concurrent;
using ShardProxy.Admin.Backend;
using ShardProxy.DataPath;
using ShardProxy.Model.Routing;

namespace ShardProxy.Composition;

/// <summary>The routing table in use, and which nodes answer: asked every few seconds in the background.</summary>
internal sealed class TopologyView(DataPlane plane) : ITopologyView, IDisposable
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(3);

    private readonly ConcurrentDictionary<int, NodeState> _states = new();
    private readonly CancellationTokenSource _stop = new();
    private Task _loop = Task.CompletedTask;

    public RoutingTable Current => plane.Current;

    public NodeState StateOf(int nodeId) => _states.GetValueOrDefault(nodeId, NodeState.Unknown);

    /// <summary>Asks every node once, then goes on in the background.</summary>
    public async Task StartAsync(TableSizeReader nodes, TimeProvider time, CancellationToken cancellationToken)
    {
        await CheckAsync(nodes, cancellationToken);
        _loop = Task.Run(() => LoopAsync(nodes, time), CancellationToken.None);
    }

    public async Task StopAsync()
    {
        await _stop.CancelAsync();
        await _loop.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    public void Dispose() => _stop.Dispose();

    /// <summary>For readiness: which nodes do not answer, or null when all do.</summary>
    public ValueTask<string?> NodesDownAsync(CancellationToken cancellationToken)
    {
        var down = Current.Nodes.Where(n => StateOf(n.Id) == NodeState.Down).Select(n => n.Name).ToArray();
        return new(down.Length == 0 ? null : $"no answer from {string.Join(", ", down)}");
    }

    private async Task LoopAsync(TableSizeReader nodes, TimeProvider time)
    {
        using var timer = new PeriodicTimer(Interval, time);
        while (await timer.WaitForNextTickAsync(_stop.Token))
        {
            await CheckAsync(nodes, _stop.Token);
        }
    }

    private async Task CheckAsync(TableSizeReader nodes, CancellationToken cancellationToken)
    {
        foreach (var node in Current.Nodes)
        {
            _states[node.Id] = await nodes.AnswersAsync(node.Name, cancellationToken) ? NodeState.Up : NodeState.Down;
        }
    }
}
