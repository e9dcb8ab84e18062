using System.Globalization;
using Npgsql;

namespace ShardProxy.TestKit.Differential;

/// <summary>Moves ranges of all groups back and forth between the nodes until it is stopped.</summary>
internal sealed class RangeMover(DifferentialDatabases databases, Dice dice)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);

    public int Done { get; private set; }

    public int Failed { get; private set; }

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        while (!cancellationToken.IsCancellationRequested)
        {
            var range = dice.Of(await databases.ConsoleAsync("SHOW RANGES"));
            var node = dice.Of(databases.Process.NodeNames.Where(n => n != range["node"]).ToList());
            try
            {
                await databases.ConsoleAsync($"MOVE RANGE {range["id"]} TO {node}");
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
        while ((await databases.ConsoleAsync("SHOW MIGRATIONS")).Any(m => !ended.Contains(m["state"])))
        {
            if (DateTime.UtcNow > deadline)
            {
                throw new TimeoutException(string.Create(CultureInfo.InvariantCulture, $"migrations have not ended after {Patience.TotalSeconds:0} s"));
            }

            await Task.Delay(TimeSpan.FromMilliseconds(100), CancellationToken.None);
        }

        databases.ForgetRanges();
    }
}
