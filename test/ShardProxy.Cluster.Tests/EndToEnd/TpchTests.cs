using NUnit.Framework;
using ShardProxy.TestKit.Tpch;

namespace ShardProxy.Cluster.Tests.EndToEnd;

// Protects analytical SQL over shards: each of the 22 queries of TPC-H runs, and answers to the character as one PostgreSQL with the same rows does.
// `test/stress tpch --scale S` is the long run.
[TestFixture]
internal sealed class TpchTests
{
    [Test]
    [CancelAfter(180_000)]
    public async Task The_queries_of_TPC_H_answer_as_one_PostgreSQL_does(CancellationToken cancellationToken)
    {
        using var output = new StringWriter();
        var findings = await TpchRun.RunAsync(0.01, seed: 1, nodes: 3, output).WaitAsync(cancellationToken);
        await TestContext.Out.WriteLineAsync(output.ToString());
        Assert.That(findings, Is.Empty, output.ToString());
    }
}
