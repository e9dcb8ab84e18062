using ShardProxy.Model.Errors;
using ShardProxy.Model.Fleet;

namespace ShardProxy.Control.Migration.ShadowReading;

/// <summary>
/// DESIGN section 6, step 6: live reads of the range are compared on both nodes, by the data path and off the clients' way. A difference that counts ends the migration
/// at any time before its commit point; the step itself waits a moment for the first comparisons, and for what is in doubt, and hardly at all when nobody reads.
/// </summary>
internal static class ShadowReads
{
    /// <summary>Reads that are compared before the cutover where there are as many.</summary>
    private const int First = 10;

    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestDoubt = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan Glance = TimeSpan.FromMilliseconds(10);
    private static readonly TimeSpan Silence = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(5);

    /// <summary>Runs the part of a migration during which a difference ends it.</summary>
    /// <exception cref="ShardProxyException">SHP-522: a difference was found, and <paramref name="run"/> has ended without reaching its end.</exception>
    public static async Task GuardAsync(MigrationContext context, Func<CancellationToken, Task> run, CancellationToken cancellationToken)
    {
        if (context.Options.Shadow is not { } board)
        {
            await run(cancellationToken);
            return;
        }

        using var watch = board.Watch(context.Id);
        using var end = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var listening = watch.Difference.ContinueWith(_ => end.Cancel(), end.Token, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        try
        {
            await run(end.Token);
        }
        catch (Exception e) when (watch.Difference.IsCompletedSuccessfully && !cancellationToken.IsCancellationRequested)
        {
            throw new ShardProxyException(ControlErrors.ShadowReadDiffers(await watch.Difference), e);
        }
        finally
        {
            await end.CancelAsync();
            await listening.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <summary>The step: waits until some reads were compared, or for a moment.</summary>
    public static async Task RunAsync(MigrationContext context, CancellationToken cancellationToken)
    {
        if (context.Options.Shadow?.Find(context.Id) is not { } watch)
        {
            return;
        }

        var started = context.Time.GetTimestamp();
        var (goal, seen) = (watch.Compared + First, watch.Seen);
        var silence = seen > 0 ? Silence : Glance;
        watch.Want(First);
        while (context.Time.GetElapsedTime(started) is var elapsed
            && ((watch.Compared < goal && elapsed < Longest && (watch.Seen > seen || elapsed < silence)) || (watch.HasDoubts && elapsed < LongestDoubt)))
        {
            await Task.Delay(Poll, context.Time, cancellationToken);
        }
    }
}
