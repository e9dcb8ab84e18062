using System.Buffers;
using System.IO.Pipelines;
using System.Net;
using NUnit.Framework;
using ShardProxy.DataPath.Servers;
using ShardProxy.DataPath.Sessions;
using ShardProxy.Model.Topology;
using ShardProxy.TestKit.Wire;
using ShardProxy.Wire.Transport;

namespace ShardProxy.Unit.Tests.DataPath.Sessions;

/// <summary>
/// Protects sessions from waiting for ever: what a server says while it is still being sent to is not forgotten, whoever has read it and
/// whatever has interrupted the reading.
/// </summary>
[TestFixture]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
internal sealed class ReplyRelayTests
{
    private readonly Pipe _client = new();
    private readonly Pipe _fromServer = new();

    [Test]
    public async Task AServerThatAsksForCopyDataWhileItIsSentToIsNotWaitedForAgain()
    {
        var output = new SlowWriter();
        var server = Server(output);
        var relay = new ReplyRelay(_client.Writer);
        server.Owed.Enqueue(ReplyKind.Query, isHidden: false);
        await _fromServer.Writer.WriteAsync(Backend.CopyInResponse(2));
        var flush = relay.FlushServerAsync(server);

        // It is the flush that reads the answer.
        await _client.Reader.ReadAtLeastAsync(Backend.CopyInResponse(2).Length).AsTask().WaitAsync(TimeSpan.FromSeconds(10));
        output.Flushed.SetResult(default);
        await flush.AsTask().WaitAsync(TimeSpan.FromSeconds(10));
        Assert.That(await relay.RelayAsync(server).AsTask().WaitAsync(TimeSpan.FromSeconds(10)), Is.EqualTo(RelayStop.CopyIn));
    }

    [Test]
    public async Task AnInterruptionDoesNotHideThatCopyDataIsAskedFor()
    {
        var server = Server(new SlowWriter());
        var relay = new ReplyRelay(_client.Writer);
        server.Owed.Enqueue(ReplyKind.Query, isHidden: false);
        await _fromServer.Writer.WriteAsync(Backend.CopyInResponse(2));
        server.Input.CancelPendingRead();
        Assert.That(await relay.RelayAsync(server).AsTask().WaitAsync(TimeSpan.FromSeconds(10)), Is.EqualTo(RelayStop.CopyIn));
    }

    /// <summary>The proxy's words for a cancellation stand where the server's stood, behind what the server had said before.</summary>
    [Test]
    public async Task AnErrorInPlaceOfTheServersKeepsItsPlace()
    {
        var server = Server(new SlowWriter());
        var relay = new ReplyRelay(_client.Writer) { CancelReason = StopErrors.StatementTimeout };
        server.Owed.Enqueue(ReplyKind.Parse, isHidden: false);
        server.Owed.Enqueue(ReplyKind.Bind, isHidden: false);
        server.Owed.Enqueue(ReplyKind.Execute, isHidden: false);
        server.Owed.Enqueue(ReplyKind.Sync, isHidden: false);
        byte[] before = [.. Backend.ParseComplete(), .. Backend.BindComplete()];
        await _fromServer.Writer.WriteAsync((byte[])[.. before, .. Backend.ErrorResponse("57014", "canceling statement due to user request"), .. Backend.ReadyForQuery()]);
        Assert.That(await relay.RelayAsync(server).AsTask().WaitAsync(TimeSpan.FromSeconds(10)), Is.EqualTo(RelayStop.Done));
        await relay.FlushClientAsync();
        Assert.That(_client.Reader.TryRead(out var read), Is.True);
        var bytes = read.Buffer.ToArray();
        Assert.That(bytes[..(before.Length + 1)], Is.EqualTo((byte[])[.. before, (byte)'E']));
        Assert.That(bytes[^6], Is.EqualTo((byte)'Z'));
    }

    private ServerConnection Server(PipeWriter output) => new(
        new Transport(_fromServer.Reader, output), new Node(1, "one", "localhost", 1, 0, true), new PoolKey(1, "d", "u"), 1, 1, ReportedParameters.NewFamily(), 0);

    /// <summary>Takes everything and says so when the test lets it.</summary>
    private sealed class SlowWriter : PipeWriter
    {
        public TaskCompletionSource<FlushResult> Flushed { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public override void Advance(int bytes)
        {
        }

        public override void CancelPendingFlush()
        {
        }

        public override void Complete(Exception? exception = null)
        {
        }

        public override ValueTask<FlushResult> FlushAsync(CancellationToken cancellationToken = default) => new(Flushed.Task);

        public override Memory<byte> GetMemory(int sizeHint = 0) => new byte[Math.Max(sizeHint, 1024)];

        public override Span<byte> GetSpan(int sizeHint = 0) => new byte[Math.Max(sizeHint, 1024)];
    }

    private sealed class Transport(PipeReader input, PipeWriter output) : ITransportConnection
    {
        public PipeReader Input => input;

        public PipeWriter Output => output;

        public EndPoint? RemoteEndPoint => null;

        public CancellationToken Closed => default;

        public bool IsClosed => false;

        public void Abort()
        {
        }

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
