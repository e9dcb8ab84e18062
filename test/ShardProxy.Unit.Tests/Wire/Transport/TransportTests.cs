using System.IO.Pipelines;
using System.Net;
using System.Net.Sockets;
using NUnit.Framework;
using ShardProxy.Wire.Transport;

namespace ShardProxy.Unit.Tests.Wire.Transport;

/// <summary>
/// Protects what the data path builds on: bytes arrive whole and in order, an orderly close delivers the last of them, every wait
/// ends, and a peer that does not read cannot hold a connection for ever.
/// </summary>
[TestFixture("Kestrel")]
[TestFixture("Epoll")]
[CancelAfter(30_000)]
internal sealed class TransportTests(string kind)
{
    private static readonly IPEndPoint AnyLoopbackPort = new(IPAddress.Loopback, 0);

    [Test]
    public async Task BytesGoBothWaysInOrder(CancellationToken cancellationToken)
    {
        await using var pair = await TransportPair.OpenAsync(kind, AnyLoopbackPort, new SocketTransportOptions(), cancellationToken);
        var sent = new byte[1_000_000];
        new Random(7).NextBytes(sent);

        var writing = WriteAsync();
        var received = await ReadToEndAsync(pair.Server, cancellationToken);
        await writing;
        Assert.That(received.AsSpan().SequenceEqual(sent), Is.True);

        async Task WriteAsync()
        {
            for (var at = 0; at < sent.Length; at += 10_000)
            {
                await pair.Client.Output.WriteAsync(sent.AsMemory(at, 10_000), cancellationToken);
            }

            await pair.Client.DisposeAsync();
        }
    }

    [Test]
    public async Task WhatWasFlushedArrivesBeforeTheEndOfAnOrderlyClose(CancellationToken cancellationToken)
    {
        await using var pair = await TransportPair.OpenAsync(kind, AnyLoopbackPort, new SocketTransportOptions(), cancellationToken);
        await pair.Server.Output.WriteAsync("goodbye"u8.ToArray(), cancellationToken);
        await pair.Server.DisposeAsync();
        Assert.That(await ReadToEndAsync(pair.Client, cancellationToken), Is.EqualTo("goodbye"u8.ToArray()));
    }

    [Test]
    public async Task APeerThatLeavesIsNoticedByAnIdleReader(CancellationToken cancellationToken)
    {
        await using var pair = await TransportPair.OpenAsync(kind, AnyLoopbackPort, new SocketTransportOptions(), cancellationToken);
        var gone = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var registration = pair.Server.Closed.Register(() => gone.TrySetResult());
        var read = pair.Server.Input.ReadAsync(cancellationToken);
        Assert.That(read.IsCompleted, Is.False);

        await pair.Client.DisposeAsync();
        Assert.That((await read).IsCompleted, Is.True);
        await gone.Task.WaitAsync(cancellationToken);
    }

    [Test]
    public async Task AbortEndsAPendingRead(CancellationToken cancellationToken)
    {
        await using var pair = await TransportPair.OpenAsync(kind, AnyLoopbackPort, new SocketTransportOptions(), cancellationToken);
        var read = pair.Server.Input.ReadAsync(cancellationToken).AsTask();
        pair.Server.Abort();
        pair.Server.Abort();
        Assert.That(async () => await read, Throws.InstanceOf<OperationCanceledException>());
        Assert.That(await ReadUntilGoneAsync(pair.Client, cancellationToken), Is.Zero);
    }

    [Test]
    public async Task AResetIsToldFromAnOrderlyEnd(CancellationToken cancellationToken)
    {
        await using var pair = await TransportPair.OpenAsync(kind, AnyLoopbackPort, new SocketTransportOptions(), cancellationToken);
        using var socket = await pair.OpenMutePeerAsync(cancellationToken);
        await using var accepted = pair.Accepted!;
        var read = accepted.Input.ReadAsync(cancellationToken).AsTask();
        socket.LingerState = new LingerOption(enable: true, seconds: 0);
        socket.Dispose();
        Assert.That(async () => await read, Throws.InstanceOf<IOException>());

        // Writing into nothing does not throw: the result says that nobody is there.
        FlushResult flush;
        do
        {
            flush = await accepted.Output.WriteAsync(new byte[1], cancellationToken);
        }
        while (!flush.IsCompleted);
    }

    [Test]
    public async Task AFlushWaitsForAPeerThatDoesNotReadAndItsCloseIsBounded(CancellationToken cancellationToken)
    {
        var options = new SocketTransportOptions { CloseTimeout = TimeSpan.FromMilliseconds(50) };
        await using var pair = await TransportPair.OpenAsync(kind, AnyLoopbackPort, options, cancellationToken);
        using var socket = await pair.OpenMutePeerAsync(cancellationToken);
        await using var toMute = pair.Accepted!;

        // Beyond both sockets' buffers and the threshold: the flush cannot complete.
        var chunk = new byte[64 * 1024];
        var flush = Task.CompletedTask;
        for (var i = 0; i < 1000 && flush.IsCompleted; i++)
        {
            flush = toMute.Output.WriteAsync(chunk, cancellationToken).AsTask();
        }

        Assert.That(flush.IsCompleted, Is.False);
        await toMute.DisposeAsync();
        await flush;
    }

    [Test]
    public async Task AnIdleReaderThatIsBehindStopsTheWriter(CancellationToken cancellationToken)
    {
        await using var pair = await TransportPair.OpenAsync(kind, AnyLoopbackPort, new SocketTransportOptions(), cancellationToken);
        var chunk = new byte[64 * 1024];
        var written = 0L;
        Task flush = Task.CompletedTask;
        while (flush.IsCompleted && written < 100_000_000)
        {
            flush = pair.Client.Output.WriteAsync(chunk, cancellationToken).AsTask();
            written += chunk.Length;
        }

        Assert.That(flush.IsCompleted, Is.False, "the reader's pipe took 100 MB without being read");
        var reading = ReadExactlyAsync(pair.Server, written, cancellationToken);
        await flush;
        await reading;
    }

    [Test]
    public async Task AReaderThatExaminesEverythingIsNeverStuck(CancellationToken cancellationToken)
    {
        // A frame may be larger than the threshold: the reader consumes nothing until it has it all.
        await using var pair = await TransportPair.OpenAsync(kind, AnyLoopbackPort, new SocketTransportOptions { ReadThresholdBytes = 4096 }, cancellationToken);
        var frame = new byte[300_000];
        var writing = pair.Client.Output.WriteAsync(frame, cancellationToken);
        var length = 0L;
        while (length < frame.Length)
        {
            var read = await pair.Server.Input.ReadAsync(cancellationToken);
            length = read.Buffer.Length;
            pair.Server.Input.AdvanceTo(read.Buffer.Start, read.Buffer.End);
        }

        await writing;
        Assert.That(length, Is.EqualTo(frame.Length));
    }

    [Test]
    public async Task AStoppedListenerAnswersNullAndAnAcceptCanBeCancelled(CancellationToken cancellationToken)
    {
        await using var transport = TransportPair.Create(kind, new SocketTransportOptions());
        await using var listener = await transport.ListenAsync(AnyLoopbackPort, cancellationToken);
        using var impatience = new CancellationTokenSource();
        var cancelled = listener.AcceptAsync(impatience.Token).AsTask();
        await impatience.CancelAsync();
        Assert.That(async () => await cancelled, Throws.InstanceOf<OperationCanceledException>());

        var accept = listener.AcceptAsync(cancellationToken).AsTask();
        await listener.DisposeAsync();
        Assert.That(await accept, Is.Null);
        Assert.That(await listener.AcceptAsync(cancellationToken), Is.Null);
    }

    [Test]
    public async Task AConnectHasItsCallersDeadlineAndReportsARefusal(CancellationToken cancellationToken)
    {
        await using var transport = TransportPair.Create(kind, new SocketTransportOptions());
        var listener = await transport.ListenAsync(AnyLoopbackPort, cancellationToken);
        var endPoint = listener.LocalEndPoint;
        await listener.DisposeAsync();
        Assert.That(async () => await transport.ConnectAsync(endPoint, cancellationToken), Throws.InstanceOf<SocketException>());
        Assert.That(async () => await transport.ConnectAsync(endPoint, new CancellationToken(canceled: true)), Throws.InstanceOf<OperationCanceledException>());
    }

    [Test]
    public async Task AnIpv6WildcardTakesIpv4Too(CancellationToken cancellationToken)
    {
        if (!Socket.OSSupportsIPv6)
        {
            Assert.Fail("this machine has no IPv6 at all");
        }

        await using var transport = TransportPair.Create(kind, new SocketTransportOptions());
        await using var listener = await transport.ListenAsync(new IPEndPoint(IPAddress.IPv6Any, 0), cancellationToken);
        var connect = transport.ConnectAsync(new IPEndPoint(IPAddress.Loopback, listener.LocalEndPoint.Port), cancellationToken);
        await using var accepted = await listener.AcceptAsync(cancellationToken);
        await using var connected = await connect;
        Assert.That(accepted!.RemoteEndPoint, Is.Not.Null);
    }

    private static async Task<byte[]> ReadToEndAsync(ITransportConnection connection, CancellationToken cancellationToken)
    {
        using var all = new MemoryStream();
        while (true)
        {
            var read = await connection.Input.ReadAsync(cancellationToken);
            foreach (var segment in read.Buffer)
            {
                all.Write(segment.Span);
            }

            connection.Input.AdvanceTo(read.Buffer.End);
            if (read.IsCompleted)
            {
                return all.ToArray();
            }
        }
    }

    private static async Task<long> ReadUntilGoneAsync(ITransportConnection connection, CancellationToken cancellationToken)
    {
        try
        {
            return (await ReadToEndAsync(connection, cancellationToken)).Length;
        }
        catch (IOException)
        {
            return 0;
        }
    }

    private static async Task ReadExactlyAsync(ITransportConnection connection, long bytes, CancellationToken cancellationToken)
    {
        while (bytes > 0)
        {
            var read = await connection.Input.ReadAsync(cancellationToken);
            bytes -= read.Buffer.Length;
            connection.Input.AdvanceTo(read.Buffer.End);
        }
    }
}
