using NUnit.Framework;
using ShardProxy.Stress.Tests.Mutants;

namespace ShardProxy.Stress.Tests;

// Protects the checker: each mistake of DESIGN section 6 is made, and has to be found; the same scene with the right code shows nothing.
[TestFixture]
internal sealed class MutantTests
{
    private MutantStage? _stage;

    [OneTimeTearDown]
    public async Task StopAsync()
    {
        if (_stage is not null)
        {
            await _stage.DisposeAsync();
        }
    }

    [Test]
    [CancelAfter(300_000)]
    public async Task A_mistake_is_found_and_nothing_without_it([Values] Mistake mistake, CancellationToken cancellationToken)
    {
        Assert.That(await PlayAsync(mistake, isMade: false), Is.Empty, "with the right code");
        cancellationToken.ThrowIfCancellationRequested();
        var found = await PlayAsync(mistake, isMade: true);
        TestContext.Out.WriteLine(string.Join('\n', found));
        Assert.That(found, Is.Not.Empty, "with the mistake");
    }

    private async Task<List<string>> PlayAsync(Mistake mistake, bool isMade)
    {
        var stage = _stage ?? await MutantStage.StartAsync();

        // A scene that breaks off leaves nobody knows what: the next one has a cluster of its own.
        _stage = null;
        try
        {
            await stage.SetAsync(Scenes.Cluster(mistake, isMade), Scenes.Source(mistake));
            await Scenes.PlayAsync(stage, mistake, isMade);
            var found = await stage.CheckAsync();
            _stage = stage;
            return found;
        }
        finally
        {
            if (_stage is null)
            {
                TestContext.Out.WriteLine(string.Join('\n', stage.Cluster.Proxies.Select(p => p.Log)));
                await stage.DisposeAsync();
            }
        }
    }
}
