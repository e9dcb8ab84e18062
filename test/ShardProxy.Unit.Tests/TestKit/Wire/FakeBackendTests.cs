using NUnit.Framework;
using ShardProxy.TestKit.Wire;

namespace ShardProxy.Unit.Tests.TestKit.Wire;

/// <summary>
/// Protects the tools other tests judge by: a fake server that answers wrongly, or a client that overlooks a message, would make
/// those tests worthless.
/// </summary>
[TestFixture]
[CancelAfter(30_000)]
internal sealed class FakeBackendTests
{
    [Test]
    public async Task ATrustLoginGetsParametersAndAKey(CancellationToken cancellationToken)
    {
        await using var backend = FakeBackend.Start();
        using var client = await ScriptedClient.LoginAsync(backend.EndPoint.Port, "ann", "db", cancellationToken: cancellationToken);
        Assert.Multiple(() =>
        {
            Assert.That(client.Parameters["server_version"], Is.EqualTo("15.18"));
            Assert.That(client.ProcessId, Is.EqualTo(1));
            Assert.That(client.SecretKey, Is.EqualTo(-2));
        });
        await client.TerminateAsync(cancellationToken);
        Assert.That(backend.Faults, Is.Empty);
    }

    [TestCase("secret", true)]
    [TestCase("Secret", false)]
    public async Task AScramLoginNeedsThePassword(string password, bool isRight)
    {
        await using var backend = FakeBackend.Start(new FakeBackendOptions { Password = "secret" });
        using var client = await ScriptedClient.ConnectAsync(backend.EndPoint);
        var reply = await client.StartAsync("ann", "db", password);
        Assert.That(reply.Status, Is.EqualTo(isRight ? 'I' : (char?)null));
        Assert.That(reply.SqlState, Is.EqualTo(isRight ? null : "28P01"));
    }

    [Test]
    public async Task ALoginMayBeRefused()
    {
        await using var backend = FakeBackend.Start(new FakeBackendOptions { LoginError = ("53300", "too many clients") });
        using var client = await ScriptedClient.ConnectAsync(backend.EndPoint);
        Assert.That(await client.RequestSslAsync(), Is.EqualTo('N'));
        Assert.That((await client.StartAsync("ann", "db")).ToString(), Is.EqualTo("E[53300 too many clients]"));
        Assert.That(await client.ReadAsync(), Is.Null);
    }

    [Test]
    public async Task SimpleQueriesAreAnsweredAsScripted()
    {
        await using var backend = FakeBackend.Start(sql => sql switch
        {
            "select" => FakeReply.Rows(["a", "b"], ["1", null], ["2", "x"]),
            "fail" => FakeReply.Error("42P01", "no such table"),
            _ => FakeReply.Command("OK"),
        });
        using var client = await ScriptedClient.LoginAsync(backend.EndPoint.Port, "ann", "db");
        Assert.That((await client.QueryAsync("select")).ToString(), Is.EqualTo("T[a:25,b:25]\nD[1|null]\nD[2|x]\nC[SELECT 2]\nZ[I]"));
        Assert.That((await client.QueryAsync("BEGIN")).Status, Is.EqualTo('T'));
        Assert.That((await client.QueryAsync("fail")).ToString(), Is.EqualTo("E[42P01 no such table]\nZ[E]"));
        Assert.That((await client.QueryAsync("ROLLBACK")).Status, Is.EqualTo('I'));
        Assert.That(backend.Received.Select(m => m.Type), Is.EqualTo("QQQQ"));
    }

    [Test]
    public async Task APipelineIsSkippedFromAnErrorToItsSync()
    {
        await using var backend = FakeBackend.Start(sql => sql == "fail" ? FakeReply.Error("22012", "division by zero") : FakeReply.Rows(["v"], [sql]));
        using var client = await ScriptedClient.LoginAsync(backend.EndPoint.Port, "ann", "db");
        await client.SendAsync(
            Frontend.Parse("one", "s1"), Frontend.DescribeStatement("s1"), Frontend.Bind("s1"), Frontend.DescribePortal(), Frontend.Execute(),
            Frontend.Parse("fail"), Frontend.Bind(), Frontend.Execute(),
            Frontend.Parse("never"), Frontend.Bind(), Frontend.Execute(), Frontend.Sync(),
            Frontend.Bind("s1"), Frontend.Execute(), Frontend.CloseStatement("s1"), Frontend.Bind("s1"), Frontend.Sync());
        Assert.That((await client.ReadUntilReadyAsync()).Types, Is.EqualTo("1tT2TDC12EZ"));
        Assert.That((await client.ReadUntilReadyAsync()).ToString(), Is.EqualTo("2\nD[one]\nC[SELECT 1]\n3\nE[26000 prepared statement \"s1\" does not exist]\nZ[I]"));
        Assert.That((await client.ExecuteAsync("two", "value")).Rows[0][0], Is.EqualTo("two"));
    }

    [Test]
    public async Task AStalledStatementWaitsForItsGateAndCanBeCancelled(CancellationToken cancellationToken)
    {
        var gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var backend = FakeBackend.Start(_ => FakeReply.Stall(gate.Task).Then(FakeReply.Command("OK")));
        using var client = await ScriptedClient.LoginAsync(backend.EndPoint.Port, "ann", "db", cancellationToken: cancellationToken);
        client.Deadline = TimeSpan.FromMilliseconds(50);
        Assert.That(async () => await client.QueryAsync("slow", cancellationToken), Throws.InstanceOf<TimeoutException>());

        await client.CancelAsync(backend.EndPoint, cancellationToken);
        await backend.WaitForCancelAsync(cancellationToken);
        Assert.That(backend.Cancels, Is.EqualTo(new[] { (client.ProcessId, client.SecretKey) }));

        gate.SetResult();
        client.Deadline = TimeSpan.FromSeconds(20);
        Assert.That((await client.ReadUntilReadyAsync(cancellationToken)).ToString(), Is.EqualTo("C[OK]\nZ[I]"));
    }

    [Test]
    public async Task AConnectionCanBeCutInTheMiddleOfAMessage()
    {
        await using var backend = FakeBackend.Start(sql => sql == "half" ? FakeReply.Raw(Backend.DataRow("abc")[..6]).Then(FakeReply.Cut()) : FakeReply.Reset());
        using var half = await ScriptedClient.LoginAsync(backend.EndPoint.Port, "ann", "db");
        Assert.That(async () => await half.QueryAsync("half"), Throws.InstanceOf<EndOfStreamException>());
        using var reset = await ScriptedClient.LoginAsync(backend.EndPoint.Port, "ann", "db");
        Assert.That((await reset.QueryAsync("reset")).Messages, Is.Empty);
    }

    [Test]
    public async Task BytesCanBeSentUnaskedAndEveryConnectionCut(CancellationToken cancellationToken)
    {
        await using var backend = FakeBackend.Start();
        using var client = await ScriptedClient.LoginAsync(backend.EndPoint.Port, "ann", "db", cancellationToken: cancellationToken);
        await backend.SendToAllAsync(Backend.NoticeResponse("00000", "hello"), cancellationToken);
        Assert.That((await client.ReadAsync(cancellationToken))!.Describe(), Is.EqualTo("N[00000 hello]"));
        backend.CutAll();
        Assert.That(await client.ReadAsync(cancellationToken), Is.Null);
        using var next = await ScriptedClient.LoginAsync(backend.EndPoint.Port, "ann", "db", cancellationToken: cancellationToken);
        Assert.That(backend.Logins, Is.EqualTo(2));
    }

    [Test]
    public async Task GarbageFromAClientIsAFaultOfThatConnectionOnly(CancellationToken cancellationToken)
    {
        await using var backend = FakeBackend.Start();
        using var bad = await ScriptedClient.LoginAsync(backend.EndPoint.Port, "ann", "db", cancellationToken: cancellationToken);
        await bad.SendAsync(Frontend.Raw('Q', "x\0"u8, claimedLength: 2), cancellationToken);
        Assert.That(await bad.ReadAsync(cancellationToken), Is.Null);
        using var good = await ScriptedClient.LoginAsync(backend.EndPoint.Port, "ann", "db", cancellationToken: cancellationToken);
        Assert.That((await good.QueryAsync("x", cancellationToken)).Tags, Is.EqualTo(new[] { "OK" }));
    }
}
