using System.Globalization;
using Npgsql;
using ShardProxy.TestKit.Differential;

namespace ShardProxy.TestKit.Workloads;

/// <summary>Moves ranges of all groups back and forth between the nodes until it is stopped.</summary>
/// <param name="console">Runs a console statement and returns its rows.</param>
/// <param name="nodes">The nodes' names.</param>
/// <param name="dice">Which range goes where.</param>
internal sealed class RangeMover(Func<string, Task<List<Dictionary<string, string?>>>> console, IReadOnlyList<string> nodes, Dice dice)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);

    public int Done { get; private set; }

    public int Failed { get; private set; }

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        while (!cancellationToken.IsCancellationRequested)
        {
            var range = dice.Of(await console("SHOW RANGES"));
            var node = dice.Of(nodes.Where(n => n != range["node"]).ToList());
            try
            {
                await console($"MOVE RANGE {range["id"]} TO {node}");
                Done++;
            }
            catch (NpgsqlException)
            {
                // A move may be given up, as when a block holds the range: that is no finding here.
                Failed++;
                await Task.Delay(TimeSpan.FromMilliseconds(100), CancellationToken.None);
            }
        }
    }

    /// <summary>Waits until every move has ended and cleaned up.</summary>
    public async Task SettleAsync()
    {
        var deadline = DateTime.UtcNow + Patience;
        string[] ended = ["done", "rolled_back", "failed", "cancelled"];
        while ((await console("SHOW MIGRATIONS")).Any(m => !ended.Contains(m["state"])))
        {
            if (DateTime.UtcNow > deadline)
            {
                throw new TimeoutException(string.Create(CultureInfo.InvariantCulture, $"migrations have not ended after {Patience.TotalSeconds:0} s"));
            }

            await Task.Delay(TimeSpan.FromMilliseconds(100), CancellationToken.None);
        }
    }
}
