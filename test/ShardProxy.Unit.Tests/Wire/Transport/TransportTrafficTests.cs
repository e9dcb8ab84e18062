using System.Buffers;
using System.IO.Pipelines;
using System.Net;
using NUnit.Framework;
using ShardProxy.Wire.Transport;

namespace ShardProxy.Unit.Tests.Wire.Transport;

/// <summary>
/// Protects the isolation of connections: many streams at once carry bytes that each can check, in random pieces and with random
/// partial reads, while other connections of the same transport are aborted and disposed in the middle of reads and writes. No
/// byte may be lost, doubled, reordered, or come from another stream.
/// </summary>
[TestFixture("Kestrel")]
[TestFixture("Epoll")]
[CancelAfter(30_000)]
internal sealed class TransportTrafficTests(string kind)
{
    private const int Streams = 24;
    private const int StreamBytes = 2_000_000;

    [Test]
    public async Task StreamsStayWholeWhileOthersAreCutOff(CancellationToken cancellationToken)
    {
        var seed = Environment.TickCount;
        TestContext.Out.WriteLine($"seed {seed}");
        await using var pair = await TransportPair.OpenAsync(kind, new IPEndPoint(IPAddress.Loopback, 0), new SocketTransportOptions(), cancellationToken);
        var links = new List<TransportPair.Link>();
        var work = new List<Task>();
        for (var i = 0; i < Streams; i++)
        {
            var link = await pair.OpenAnotherAsync(cancellationToken);
            links.Add(link);
            var (there, back) = (seed + (2 * i), seed + (2 * i) + 1);
            work.Add(Task.Run(() => SendAsync(link.Client.Output, there, cancellationToken), cancellationToken));
            work.Add(Task.Run(() => CheckAsync(link.Server.Input, there, cancellationToken), cancellationToken));
            work.Add(Task.Run(() => SendAsync(link.Server.Output, back, cancellationToken), cancellationToken));
            work.Add(Task.Run(() => CheckAsync(link.Client.Input, back, cancellationToken), cancellationToken));
        }

        var whole = Task.WhenAll(work);
        var random = new Random(seed);
        while (!whole.IsCompleted)
        {
            await CutAsync(await pair.OpenAnotherAsync(cancellationToken), random, cancellationToken);
        }

        await whole;
        foreach (var link in links)
        {
            await link.DisposeAsync();
        }
    }

    // A connection that is ended while both its ends are written to and read by other threads.
    private static async Task CutAsync(TransportPair.Link link, Random random, CancellationToken cancellationToken)
    {
        var scribbling = Task.Run(() => ScribbleAsync(link.Client.Output, cancellationToken), cancellationToken);
        var answering = Task.Run(() => ScribbleAsync(link.Server.Output, cancellationToken), cancellationToken);
        var reading = Task.Run(() => SwallowAsync(link.Server.Input, cancellationToken), cancellationToken);
        for (var spins = random.Next(2_000); spins > 0; spins--)
        {
            Thread.SpinWait(20);
        }

        switch (random.Next(3))
        {
            case 0:
                link.Client.Abort();
                break;
            case 1:
                link.Server.Abort();
                break;
        }

        await Task.WhenAll(
            Task.Run(async () => await link.Client.DisposeAsync(), CancellationToken.None),
            Task.Run(async () => await link.Server.DisposeAsync(), CancellationToken.None));
        await Task.WhenAll(scribbling, answering, reading);
    }

    private static async Task ScribbleAsync(PipeWriter output, CancellationToken cancellationToken)
    {
        try
        {
            FlushResult flush;
            do
            {
                output.GetSpan(3_000)[..3_000].Fill(0xEE);
                output.Advance(3_000);
                flush = await output.FlushAsync(cancellationToken);
            }
            while (!flush.IsCompleted);
        }
        catch (Exception e) when (e is InvalidOperationException or ArgumentOutOfRangeException or OperationCanceledException && !cancellationToken.IsCancellationRequested)
        {
            // It was disposed in the middle: that is what this is for.
        }
    }

    private static async Task SwallowAsync(PipeReader input, CancellationToken cancellationToken)
    {
        try
        {
            ReadResult read;
            do
            {
                read = await input.ReadAsync(cancellationToken);
                input.AdvanceTo(read.Buffer.End);
            }
            while (!read.IsCompleted);
        }
        catch (Exception e) when (e is IOException or InvalidOperationException or OperationCanceledException && !cancellationToken.IsCancellationRequested)
        {
            // As above.
        }
    }

    private static async Task SendAsync(PipeWriter output, int seed, CancellationToken cancellationToken)
    {
        var random = new Random(seed);
        var sizes = new Random(~seed);
        for (var sent = 0; sent < StreamBytes;)
        {
            var size = Math.Min(StreamBytes - sent, 1 + sizes.Next(sizes.Next(2) == 0 ? 100 : 40_000));
            random.NextBytes(output.GetSpan(size)[..size]);
            output.Advance(size);
            sent += size;
            if (sizes.Next(3) != 0)
            {
                await output.FlushAsync(cancellationToken);
            }

            // NextBytes draws four bytes at a time: begin each piece anew, as the checker does.
            random = new Random(seed + sent);
        }

        await output.FlushAsync(cancellationToken);
    }

    private static async Task CheckAsync(PipeReader input, int seed, CancellationToken cancellationToken)
    {
        var sizes = new Random(~seed);
        var jumps = new Random(seed * 31);
        var random = new Random(seed);
        var expected = new byte[40_001];
        for (var taken = 0; taken < StreamBytes;)
        {
            var size = Math.Min(StreamBytes - taken, 1 + sizes.Next(sizes.Next(2) == 0 ? 100 : 40_000));
            sizes.Next(3);
            random.NextBytes(expected.AsSpan(0, size));
            for (var at = 0; at < size;)
            {
                var read = await input.ReadAsync(cancellationToken);
                var take = (int)Math.Min(read.Buffer.Length, size - at);
                take -= jumps.Next(4) == 0 ? jumps.Next(take) : 0;
                var isSame = Matches(read.Buffer.Slice(0, take), expected.AsSpan(at, take));
                var consumed = read.Buffer.GetPosition(take);
                at += take;

                // Whoever examines everything waits for more: only while more is sure to come.
                var isMoreToCome = read.Buffer.Length - take < size - at;
                input.AdvanceTo(consumed, isMoreToCome && jumps.Next(2) == 0 ? read.Buffer.End : consumed);
                Assert.That(isSame, Is.True, $"a strange byte in stream {seed} about {taken + at}");
                if (read.IsCompleted && take == 0)
                {
                    Assert.Fail($"stream {seed} ended after {taken + at} bytes");
                }
            }

            taken += size;
            random = new Random(seed + taken);
        }
    }

    private static bool Matches(in ReadOnlySequence<byte> bytes, ReadOnlySpan<byte> expected)
    {
        foreach (var segment in bytes)
        {
            if (!expected[..segment.Length].SequenceEqual(segment.Span))
            {
                return false;
            }

            expected = expected[segment.Length..];
        }

        return expected.IsEmpty;
    }
}
