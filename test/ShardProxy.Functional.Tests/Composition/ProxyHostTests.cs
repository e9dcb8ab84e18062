using System.Net;
using Microsoft.Extensions.Logging.Abstractions;
using NUnit.Framework;
using ShardProxy.Composition;

namespace ShardProxy.Functional.Tests.Composition;

// Protects start and end of the process: parts stop in the reverse order of their start, a failed start leaves nothing running,
// and a part that hangs cannot hold the process.
[TestFixture]
internal sealed class ProxyHostTests
{
    private readonly List<string> _events = [];

    [SetUp]
    public void Clear() => _events.Clear();

    [Test]
    public async Task Stages_start_in_order_and_stop_in_reverse()
    {
        var host = Host(Stage("a"), Stage("b"), Stage("c"));
        await host.StartAsync(CancellationToken.None);
        await host.StopAsync();
        await host.StopAsync();
        Assert.That(_events, Is.EqualTo(new[] { "+a", "+b", "+c", "-c", "-b", "-a" }));
    }

    [Test]
    public void A_stage_that_fails_to_start_takes_down_what_had_started()
    {
        var host = Host(Stage("a"), Stage("b"), new HostStage("c", _ => throw new InvalidOperationException("no"), _ => Note("-c")), Stage("d"));
        Assert.That(() => host.StartAsync(CancellationToken.None), Throws.InvalidOperationException);
        Assert.That(_events, Is.EqualTo(new[] { "+a", "+b", "-b", "-a" }));
    }

    [Test]
    [CancelAfter(30_000)]
    public async Task A_stage_that_hangs_or_throws_does_not_keep_the_others_from_stopping(CancellationToken cancellationToken)
    {
        var never = new TaskCompletionSource();
        var host = Host(
            Stage("a"),
            new HostStage("hangs", _ => Note("+hangs"), _ => never.Task),
            new HostStage("throws", _ => Note("+throws"), _ => throw new InvalidOperationException("no")));
        await host.StartAsync(cancellationToken);
        await host.StopAsync();
        Assert.That(_events, Is.EqualTo(new[] { "+a", "+hangs", "+throws", "-a" }));
    }

    private static ProxyHost Host(params HostStage[] stages) =>
        new(stages, () => new IPEndPoint(IPAddress.Loopback, 1), () => new IPEndPoint(IPAddress.Loopback, 2), TimeProvider.System, NullLogger<ProxyHost>.Instance);

    private HostStage Stage(string name) => new(name, _ => Note("+" + name), _ => Note("-" + name));

    private Task Note(string what)
    {
        _events.Add(what);
        return Task.CompletedTask;
    }
}
