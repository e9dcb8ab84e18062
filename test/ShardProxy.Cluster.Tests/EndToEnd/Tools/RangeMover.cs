using System.Diagnostics.CodeAnalysis;
using ShardProxy.TestKit.Clusters;

namespace ShardProxy.Cluster.Tests.EndToEnd.Tools;

/// <summary>
/// Moves ranges from node to node and back on the console, one after the other, until it is stopped: the traffic beside it must
/// not notice. A move that fails ends it, and its end shows the failure.
/// </summary>
internal sealed class RangeMover : IAsyncDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _work;
    private int _moves;

    private RangeMover(ProxyProcess proxy, string table, int ranges) => _work = Task.Run(() => MoveAsync(proxy, table, ranges));

    /// <summary>Moves done so far.</summary>
    public int Moves => Volatile.Read(ref _moves);

    /// <param name="proxy">Where.</param>
    /// <param name="table">A table of the group whose ranges move.</param>
    /// <param name="ranges">How many of its ranges take part.</param>
    public static RangeMover Start(ProxyProcess proxy, string table, int ranges = 2) => new(proxy, table, ranges);

    /// <summary>Waits for the move under way and returns how many there were; throws what a failed move threw.</summary>
    public async Task<int> StopAsync()
    {
        await _stop.CancelAsync();
        await _work;
        return Moves;
    }

    [SuppressMessage("Design", "CA1031:Do not catch general exception types", Justification = "A failed move is told by StopAsync; the test that ended before has a failure of its own.")]
    public async ValueTask DisposeAsync()
    {
        try
        {
            await StopAsync();
        }
        catch (Exception)
        {
            // StopAsync has told it, or the test has failed already.
        }

        _stop.Dispose();
    }

    private async Task MoveAsync(ProxyProcess proxy, string table, int ranges)
    {
        await using var console = await ConsoleClient.OpenAsync(proxy, CancellationToken.None);
        var moving = (await console.RangesOfAsync(table, CancellationToken.None)).Take(ranges).Select(r => r.Id).ToHashSet();
        while (!_stop.IsCancellationRequested)
        {
            foreach (var range in (await console.RangesAsync(CancellationToken.None)).Where(r => moving.Contains(r.Id)))
            {
                var nodes = proxy.NodeNames;
                var target = nodes[(nodes.ToList().IndexOf(range.Node) + 1) % nodes.Count];
                await console.RunAsync($"MOVE RANGE {range.Id} TO {target}", CancellationToken.None);
                Interlocked.Increment(ref _moves);
                if (_stop.IsCancellationRequested)
                {
                    return;
                }
            }
        }
    }
}
