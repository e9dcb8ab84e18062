using System.Diagnostics;

namespace ShardProxy.Functional.Tests.Auth;

/// <summary>Waits for a condition; fails when it does not come about.</summary>
internal static class Waiting
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    public static async Task UntilAsync(Func<Task<bool>> condition)
    {
        var watch = Stopwatch.StartNew();
        while (!await condition())
        {
            if (watch.Elapsed > Patience)
            {
                throw new TimeoutException("what was waited for has not come about");
            }

            await Task.Delay(10);
        }
    }
}
