using NUnit.Framework;
using ShardProxy.TestKit.Crashes;

namespace ShardProxy.Cluster.Tests.EndToEnd;

// Protects writes over several nodes when the proxy is killed between any two of their steps: all or nothing on all nodes, nothing acknowledged is lost, nothing is left
// behind. A few of the places to die at, other ones in each run; `test/stress crashes` takes all of them.
[TestFixture]
internal sealed class CrashPointTests
{
    private const int Points = 6;

    [Test]
    [CancelAfter(240_000)]
    public async Task A_proxy_killed_at_any_step_of_a_write_leaves_it_done_everywhere_or_nowhere(CancellationToken cancellationToken)
    {
        using var output = new StringWriter();
        var findings = await CrashRun.RunAsync(Points, Environment.TickCount, output).WaitAsync(cancellationToken);
        await TestContext.Out.WriteLineAsync(output.ToString());
        Assert.That(findings, Is.Empty, output.ToString());
    }
}
