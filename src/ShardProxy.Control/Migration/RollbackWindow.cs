using Npgsql;
using ShardProxy.Control.Migration.CatchingUp;

namespace ShardProxy.Control.Migration;

/// <summary>The time between a cutover and the clean-up of the source, in which the range can go back by one more cutover.</summary>
internal sealed class RollbackWindow(MigrationContext context, MigrationJob job)
{
    private static readonly TimeSpan HealthInterval = TimeSpan.FromSeconds(1);

    /// <summary>Waits until it closes: its time is over, somebody needs it closed, its stream fails, or it is asked to go back.</summary>
    /// <returns>True: go back. The nodes' roles are this migration's then.</returns>
    public async Task<bool> WaitAsync(CancellationToken stopToken)
    {
        var opened = context.Time.GetTimestamp();
        var looked = opened;
        while (!stopToken.IsCancellationRequested && !job.IsToClose && context.Time.GetElapsedTime(opened) < context.Options.RollbackWindow)
        {
            if (context.Fleet.MovesInTheWay.Contains(context.Id))
            {
                return false;
            }

            if (context.Time.GetElapsedTime(looked) > HealthInterval)
            {
                looked = context.Time.GetTimestamp();
                if (await IsFaultyAsync(stopToken))
                {
                    return false;
                }
            }

            // Asked to, it waits for its turn: the nodes may be at work for others.
            if (job.IsToGoBack)
            {
                if (job.TryTakeRoles())
                {
                    return true;
                }

                opened = context.Time.GetTimestamp();
            }

            var pause = Task.Delay(context.Options.WindowPoll, context.Time, stopToken);
            await (job.Asked.IsCompleted ? pause : Task.WhenAny(pause, job.Asked)).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        return false;
    }

    private async Task<bool> IsFaultyAsync(CancellationToken stopToken)
    {
        try
        {
            return await ReverseStream.FaultAsync(context, stopToken) is not null;
        }
        catch (NpgsqlException)
        {
            // A node is away: the stream goes on when it is back.
            return false;
        }
    }
}
