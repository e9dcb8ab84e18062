using NUnit.Framework;

namespace ShardProxy.Cluster.Tests.EndToEnd.Tools;

/// <summary>Polls for a state of another process that announces itself by nothing else.</summary>
internal static class Eventually
{
    /// <summary>Returns once the condition holds; fails the test when it still does not after the deadline.</summary>
    public static async Task IsTrueAsync(Func<Task<bool>> condition, TimeSpan deadline, string otherwise, CancellationToken cancellationToken)
    {
        var began = TimeProvider.System.GetTimestamp();
        while (!await condition())
        {
            Assert.That(TimeProvider.System.GetElapsedTime(began), Is.LessThan(deadline), otherwise);
            await Task.Delay(TimeSpan.FromMilliseconds(50), cancellationToken);
        }
    }
}
