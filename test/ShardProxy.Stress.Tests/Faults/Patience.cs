using System.Diagnostics;
using Npgsql;

namespace ShardProxy.Stress.Tests.Faults;

/// <summary>Waits for states of other processes, which announce themselves by nothing else.</summary>
internal static class Patience
{
    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(50);

    /// <summary>Polls until nothing is in the way any more; what still was, when time is up.</summary>
    public static async Task<List<string>> UntilAsync(Func<Task<List<string>>> lookAsync, TimeSpan deadline)
    {
        var began = Stopwatch.GetTimestamp();
        while (true)
        {
            List<string> open;
            try
            {
                open = await lookAsync();
            }
            catch (Exception e) when (e is NpgsqlException or IOException or InvalidOperationException)
            {
                open = [e.Message];
            }

            if (open.Count == 0 || Stopwatch.GetElapsedTime(began) > deadline)
            {
                return open;
            }

            await Task.Delay(Poll);
        }
    }

    /// <summary>Looks often, for what lasts only milliseconds.</summary>
    /// <returns>False: it was not so in time.</returns>
    public static async Task<bool> SoonAsync(Func<Task<bool>> isSoAsync, TimeSpan deadline)
    {
        var began = Stopwatch.GetTimestamp();
        while (!await isSoAsync())
        {
            if (Stopwatch.GetElapsedTime(began) > deadline)
            {
                return false;
            }

            await Task.Delay(1);
        }

        return true;
    }
}
