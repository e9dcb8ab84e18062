using NUnit.Framework;

namespace ShardProxy.TestKit.Clusters;

/// <summary>
/// One cluster for all tests of an assembly that do not stop nodes or change settings: a start costs seconds. It starts when the
/// first test asks for it. A test assembly derives one <c>[SetUpFixture]</c> outside any namespace from this class.
/// </summary>
/// <param name="nodes">How many servers.</param>
public abstract class SharedCluster(int nodes)
{
    // Nobody pulls the plug on this cluster, and waits for a busy disk are no part of what is tested: DROP DATABASE alone forces a checkpoint.
    private static readonly Dictionary<string, string> Settings = new() { ["fsync"] = "off" };

    private static SharedCluster? _current;
    private readonly int _nodes = nodes;
    private readonly Lock _lock = new();
    private Task<TestCluster>? _cluster;

    /// <summary>The assembly's cluster, started on the first call.</summary>
    public static Task<TestCluster> GetAsync()
    {
        var fixture = _current ?? throw new InvalidOperationException("this test assembly has no [SetUpFixture] derived from SharedCluster");
        lock (fixture._lock)
        {
            return fixture._cluster ??= TestCluster.StartAsync(fixture._nodes, Settings);
        }
    }

    [OneTimeSetUp]
    public void Announce() => _current = this;

    [OneTimeTearDown]
    public async Task StopAsync()
    {
        _current = null;
        if (_cluster is { IsCompletedSuccessfully: true } started)
        {
            await (await started).DisposeAsync();
        }
    }
}
