using NUnit.Framework;
using ShardProxy.TestKit.Differential;

namespace ShardProxy.Cluster.Tests.EndToEnd;

// Protects the first law, "never silently wrong": random statements of many categories answer as one PostgreSQL with the same rows does, or are refused
// with a code of the proxy's own. `test/stress differential` is the long run.
[TestFixture]
internal sealed class DifferentialTests
{
    // Another seed every day; printed, and it replays.
    private static readonly int Seed = DateTime.UtcNow.Year * 1000 + DateTime.UtcNow.DayOfYear;

    [Test]
    [CancelAfter(300_000)]
    public async Task A_sharded_database_answers_as_one_PostgreSQL_does_or_refuses(CancellationToken cancellationToken)
    {
        using var output = new StringWriter();
        var findings = await DifferentialRun.RunAsync(new DifferentialOptions { Seed = Seed, Statements = 5_000 }, output).WaitAsync(cancellationToken);
        await TestContext.Out.WriteLineAsync(output.ToString());
        Assert.That(findings, Is.Empty, output.ToString());
    }
}
