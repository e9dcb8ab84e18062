namespace ShardProxy.DataPath.Servers;

/// <summary>Asks a server that has been idle for long whether it is still there: it may have been cut off silently on the way.</summary>
internal static class ServerCheck
{
    private static readonly byte[] EmptyQuery = ";"u8.ToArray();

    /// <summary>Sends an empty query and waits for its answer, at most <paramref name="deadline"/>. The server is clean afterwards, or unusable.</summary>
    public static async ValueTask<bool> IsAliveAsync(ServerConnection server, TimeSpan deadline, TimeProvider time)
    {
        var timer = time.CreateTimer(static s => ((ServerConnection)s!).Abort(), server, deadline, Timeout.InfiniteTimeSpan);
        await using (timer.ConfigureAwait(false))
        {
            try
            {
                await SideDialog.RunAsync(server, EmptyQuery).ConfigureAwait(false);
            }
            catch (EndOfStreamException)
            {
                // It is marked broken.
            }
        }

        return server.IsClean;
    }
}
