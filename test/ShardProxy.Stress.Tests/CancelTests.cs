using System.Diagnostics;
using System.Globalization;
using NUnit.Framework;
using ShardProxy.TestKit.Clusters;

namespace ShardProxy.Stress.Tests;

// Protects the control plane from standing still: PostgreSQL's driver blocks a thread while it cancels a query, and when that thread's sockets were polled by one that waits for the cancel's
// end, everything that this one polled stood for as long as a connection may take, leases among it.
[TestFixture]
internal sealed class CancelTests
{
    [Test]
    [CancelAfter(60_000)]
    public async Task A_query_that_is_cancelled_while_it_ends_holds_nobody_up(CancellationToken cancellationToken)
    {
        await using var cluster = await TestCluster.StartAsync(1, cancellationToken: cancellationToken);
        var start = new ProcessStartInfo("dotnet") { RedirectStandardOutput = true };
        foreach (var argument in (string[])[Path.Combine(AppContext.BaseDirectory, "ShardProxy.Stress.Tests.dll"), "cancels", cluster.ConnectionString(0), "4"])
        {
            start.ArgumentList.Add(argument);
        }

        using var process = Process.Start(start)!;
        var slowest = double.Parse(await process.StandardOutput.ReadToEndAsync(cancellationToken), CultureInfo.InvariantCulture);
        await process.WaitForExitAsync(cancellationToken);
        Assert.That(slowest, Is.LessThan(5), "seconds");
    }
}
