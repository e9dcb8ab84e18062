using NUnit.Framework;
using ShardProxy.TestKit.Wire;
using static ShardProxy.TestKit.Wire.Frontend;

namespace ShardProxy.Functional.Tests.DataPath;

/// <summary>
/// Protects <c>limits.buffer_bytes</c>: it is the figure by which a client's pipeline is passed on before its Sync, and so what a client that never sends
/// one can make the proxy hold.
/// </summary>
[TestFixture]
internal sealed class BufferLimitTests
{
    private const int StatementBytes = 1_000;
    private const int Statements = 20;

    [Test]
    [CancelAfter(30_000)]
    public async Task WhatIsAboveTheLimitIsPassedOnWithoutASync(CancellationToken cancellationToken)
    {
        const int limit = 8 * 1024;
        await using var home = FakeBackend.Start(_ => FakeReply.Command("OK"));
        await using var proxy = await ProxyUnderTest.StartAsync([home.EndPoint], "app", null, o => o with { MaxUnsentBytes = limit });
        using var client = await proxy.LoginAsync();
        await client.SendAsync([.. Requests()]);
        while (Executed(home) < 2 * (limit / StatementBytes - 2))
        {
            // Nobody has sent a Sync or a Flush: what is above the limit has to arrive all the same.
            cancellationToken.ThrowIfCancellationRequested();
            await Task.Yield();
        }

        await client.SendAsync(Sync());
        Assert.That((await client.ReadUntilReadyAsync(cancellationToken)).Tags, Has.Count.EqualTo(Statements));
    }

    private static IEnumerable<byte[]> Requests() => Enumerable.Range(0, Statements).SelectMany(i => new[] { Parse($"SELECT {i}".PadRight(StatementBytes)), Bind(), Execute() });

    private static int Executed(FakeBackend home) => home.Received.Count(m => m.Type == 'E');
}
