using System.Buffers;
using System.IO.Pipelines;
using System.Net;
using System.Net.Sockets;
using NUnit.Framework;
using ShardProxy.Wire.Transport;

namespace ShardProxy.Unit.Tests.Wire.Transport;

/// <summary>
/// Protects the edges of the seam, on every transport alike: interrupted waits lose no byte, half-closed streams go on in the other
/// direction, an abort ends whatever waits, one busy stream does not starve another, and nothing of one connection ever gets into
/// another, however rudely connections are ended.
/// </summary>
[TestFixture("Kestrel")]
[TestFixture("Epoll")]
[CancelAfter(30_000)]
internal sealed class TransportEdgeTests(string kind)
{
    private static readonly IPEndPoint AnyLoopbackPort = new(IPAddress.Loopback, 0);

    [Test]
    public async Task ACancelledWaitLosesNothing(CancellationToken cancellationToken)
    {
        await using var pair = await TransportPair.OpenAsync(kind, AnyLoopbackPort, new SocketTransportOptions(), cancellationToken);
        var input = pair.Server.Input;
        var read = input.ReadAsync(cancellationToken).AsTask();
        input.CancelPendingRead();
        var cancelled = await read;
        Assert.That(cancelled.IsCanceled, Is.True);
        input.AdvanceTo(cancelled.Buffer.Start);

        using var impatience = new CancellationTokenSource();
        read = input.ReadAsync(impatience.Token).AsTask();
        await impatience.CancelAsync();
        Assert.That(async () => await read, Throws.InstanceOf<OperationCanceledException>());

        // A cancellation that finds no wait meets the next read.
        input.CancelPendingRead();
        cancelled = await input.ReadAsync(cancellationToken);
        Assert.That(cancelled.IsCanceled, Is.True);
        input.AdvanceTo(cancelled.Buffer.Start);

        await pair.Client.Output.WriteAsync("whole"u8.ToArray(), cancellationToken);
        var got = await input.ReadAtLeastAsync(5, cancellationToken);
        Assert.That(got.Buffer.ToArray(), Is.EqualTo("whole"u8.ToArray()));
        input.AdvanceTo(got.Buffer.End);
    }

    [Test]
    public async Task WhatWasNotConsumedComesAgainWithWhatFollows(CancellationToken cancellationToken)
    {
        await using var pair = await TransportPair.OpenAsync(kind, AnyLoopbackPort, new SocketTransportOptions(), cancellationToken);
        var input = pair.Server.Input;
        await pair.Client.Output.WriteAsync("abc"u8.ToArray(), cancellationToken);
        var read = await input.ReadAtLeastAsync(3, cancellationToken);
        input.AdvanceTo(read.Buffer.GetPosition(1), read.Buffer.GetPosition(2));

        // One byte is unexamined: it is there without a wait.
        Assert.That(input.TryRead(out read), Is.True);
        Assert.That(read.Buffer.ToArray(), Is.EqualTo("bc"u8.ToArray()));
        input.AdvanceTo(read.Buffer.Start, read.Buffer.End);
        Assert.That(input.TryRead(out _), Is.False);

        await pair.Client.Output.WriteAsync("def"u8.ToArray(), cancellationToken);
        byte[] got = [];
        while (got.Length < 5)
        {
            // (Not ReadAtLeastAsync: the framework's own pipe waits for ever here.)
            read = await input.ReadAsync(cancellationToken);
            got = read.Buffer.ToArray();
            input.AdvanceTo(read.Buffer.Start, read.Buffer.End);
        }

        Assert.That(got, Is.EqualTo("bcdef"u8.ToArray()));
    }

    [Test]
    public async Task AHalfClosedStreamStillTakesTheAnswer(CancellationToken cancellationToken)
    {
        await using var pair = await TransportPair.OpenAsync(kind, AnyLoopbackPort, new SocketTransportOptions(), cancellationToken);
        using var socket = await pair.OpenPlainPeerAsync(receiveBufferBytes: 64 * 1024, cancellationToken);
        await using var accepted = pair.Accepted!;
        await socket.SendAsync("question"u8.ToArray(), cancellationToken);
        socket.Shutdown(SocketShutdown.Send);

        var read = await accepted.Input.ReadAtLeastAsync(100, cancellationToken);
        Assert.That(read.IsCompleted, Is.True);
        Assert.That(read.Buffer.ToArray(), Is.EqualTo("question"u8.ToArray()));
        accepted.Input.AdvanceTo(read.Buffer.End);
        await accepted.Output.WriteAsync("answer"u8.ToArray(), cancellationToken);
        await accepted.DisposeAsync();

        var answer = new byte[100];
        Assert.That(await socket.ReceiveAsync(answer, cancellationToken), Is.EqualTo(6));
        Assert.That(await socket.ReceiveAsync(answer, cancellationToken), Is.Zero);
    }

    [Test]
    public async Task AnOrderlyCloseReachesAPeerThatIsStillSending(CancellationToken cancellationToken)
    {
        await using var pair = await TransportPair.OpenAsync(kind, AnyLoopbackPort, new SocketTransportOptions(), cancellationToken);
        using var socket = await pair.OpenPlainPeerAsync(receiveBufferBytes: 64 * 1024, cancellationToken);
        await using var accepted = pair.Accepted!;
        await socket.SendAsync(new byte[30_000], cancellationToken);
        var read = await accepted.Input.ReadAsync(cancellationToken);
        accepted.Input.AdvanceTo(read.Buffer.GetPosition(1));
        await accepted.Output.WriteAsync("refused"u8.ToArray(), cancellationToken);
        await accepted.DisposeAsync();

        // Bytes left unread must not turn the close into a reset that overtakes the words.
        var words = new byte[100];
        Assert.That(await socket.ReceiveAsync(words, cancellationToken), Is.EqualTo(7));
    }

    [Test]
    public async Task AnAbortEndsAPendingFlush(CancellationToken cancellationToken)
    {
        await using var pair = await TransportPair.OpenAsync(kind, AnyLoopbackPort, new SocketTransportOptions(), cancellationToken);
        using var socket = await pair.OpenPlainPeerAsync(receiveBufferBytes: 4096, cancellationToken);
        await using var accepted = pair.Accepted!;
        var flush = Fill(accepted.Output, cancellationToken);
        Assert.That(flush.IsCompleted, Is.False);
        accepted.Abort();
        Assert.That((await flush).IsCompleted, Is.True);
    }

    [Test]
    public async Task AResetEndsAPendingFlush(CancellationToken cancellationToken)
    {
        await using var pair = await TransportPair.OpenAsync(kind, AnyLoopbackPort, new SocketTransportOptions(), cancellationToken);
        var socket = await pair.OpenPlainPeerAsync(receiveBufferBytes: 4096, cancellationToken);
        await using var accepted = pair.Accepted!;
        var flush = Fill(accepted.Output, cancellationToken);
        socket.LingerState = new LingerOption(enable: true, seconds: 0);
        socket.Dispose();
        Assert.That((await flush).IsCompleted, Is.True);
    }

    [Test]
    public async Task AnEndIsNoticedWhileNobodyReads(CancellationToken cancellationToken)
    {
        await using var pair = await TransportPair.OpenAsync(kind, AnyLoopbackPort, new SocketTransportOptions(), cancellationToken);
        var gone = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var registration = pair.Server.Closed.Register(() => gone.TrySetResult());
        await pair.Client.Output.WriteAsync("last words"u8.ToArray(), cancellationToken);
        await pair.Client.DisposeAsync();
        await gone.Task.WaitAsync(cancellationToken);
        var read = await pair.Server.Input.ReadAtLeastAsync(100, cancellationToken);
        Assert.That(read.Buffer.Length, Is.EqualTo(10));
        pair.Server.Input.AdvanceTo(read.Buffer.End);
    }

    [Test]
    public async Task ABusyStreamLeavesTheOthersTheirTurn(CancellationToken cancellationToken)
    {
        await using var flood = await TransportPair.OpenAsync(kind, AnyLoopbackPort, new SocketTransportOptions { EventLoops = 1 }, cancellationToken);
        await using var quiet = await flood.OpenAnotherAsync(cancellationToken);
        using var enough = new CancellationTokenSource();
        var flooding = Task.Run(
            async () =>
            {
                var chunk = new byte[256 * 1024];
                while (!enough.IsCancellationRequested)
                {
                    await flood.Client.Output.WriteAsync(chunk, cancellationToken);
                }

                await flood.Client.DisposeAsync();
            },
            cancellationToken);
        var swallowing = Task.Run(() => SwallowAsync(flood.Server.Input, cancellationToken), cancellationToken);
        for (var i = 0; i < 200; i++)
        {
            await quiet.Client.Output.WriteAsync("ping"u8.ToArray(), cancellationToken);
            var read = await quiet.Server.Input.ReadAtLeastAsync(4, cancellationToken);
            quiet.Server.Input.AdvanceTo(read.Buffer.End);
        }

        await enough.CancelAsync();
        await Task.WhenAll(flooding, swallowing);
    }

    [Test]
    public async Task ManyConnectionsComeAndGoAndLeaveNoDescriptor(CancellationToken cancellationToken)
    {
        await using var pair = await TransportPair.OpenAsync(kind, AnyLoopbackPort, new SocketTransportOptions(), cancellationToken);
        await RoundAsync(10);
        var before = DescriptorCount();
        await RoundAsync(2_000);

        // Closing is the other side's business too: it sees the end when it looks.
        while (DescriptorCount() > before + 20)
        {
            cancellationToken.ThrowIfCancellationRequested();
            await Task.Yield();
        }

        async Task RoundAsync(int count)
        {
            var open = new List<TransportPair.Link>();
            for (var i = 0; i < count; i++)
            {
                open.Add(await pair.OpenAnotherAsync(cancellationToken));
                await open[^1].Client.Output.WriteAsync(BitConverter.GetBytes(i), cancellationToken);
            }

            for (var i = 0; i < count; i++)
            {
                var read = await open[i].Server.Input.ReadAtLeastAsync(4, cancellationToken);
                Assert.That(BitConverter.ToInt32(read.Buffer.ToArray()), Is.EqualTo(i));
                open[i].Server.Input.AdvanceTo(read.Buffer.End);
                await open[i].DisposeAsync();
            }
        }

        static int DescriptorCount() => OperatingSystem.IsLinux() ? Directory.GetFiles("/proc/self/fd").Length : 0;
    }

    private static async Task<FlushResult> Fill(PipeWriter output, CancellationToken cancellationToken)
    {
        var chunk = new byte[64 * 1024];
        while (true)
        {
            var flush = await output.WriteAsync(chunk, cancellationToken);
            if (flush.IsCompleted)
            {
                return flush;
            }
        }
    }

    private static async Task SwallowAsync(PipeReader input, CancellationToken cancellationToken)
    {
        while (true)
        {
            var read = await input.ReadAsync(cancellationToken).ConfigureAwait(false);
            input.AdvanceTo(read.Buffer.End);
            if (read.IsCompleted)
            {
                return;
            }
        }
    }
}
