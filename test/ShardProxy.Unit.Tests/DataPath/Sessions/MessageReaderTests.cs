using System.Buffers.Binary;
using System.IO.Pipelines;
using NUnit.Framework;
using ShardProxy.DataPath.Sessions;

namespace ShardProxy.Unit.Tests.DataPath.Sessions;

// Protects the buffer between clients: a message is whole whatever its size and however it comes, it stays while more of the same request is
// waited for, and a client that is idle holds none.
[TestFixture]
internal sealed class MessageReaderTests
{
    private const int MaxPayloadBytes = 1024 * 1024;

    [Test]
    public async Task AnIdleClientHoldsNoBuffer()
    {
        var pipe = new Pipe();
        var reader = new MessageReader(pipe.Reader, MaxPayloadBytes);
        await pipe.Writer.WriteAsync(Message('Q', 100));
        Assert.That(await reader.ReadAsync(CancellationToken.None, isRequest: true), Is.True);
        Assert.That(reader.Payload.ToArray(), Is.EqualTo(Body('Q', 100)));

        var wait = reader.ReadAsync(CancellationToken.None, isRequest: true);
        Assert.That(wait.IsCompleted, Is.False);
        Assert.That(reader.Payload.IsEmpty, Is.True);

        await pipe.Writer.WriteAsync(Message('P', 10));
        Assert.That(await wait, Is.True);
        Assert.That(reader.Payload.ToArray(), Is.EqualTo(Body('P', 10)));
    }

    [Test]
    public async Task AMessageStaysWhileTheRestOfItsRequestIsWaitedFor()
    {
        var pipe = new Pipe();
        var reader = new MessageReader(pipe.Reader, MaxPayloadBytes);
        await pipe.Writer.WriteAsync(Message('Q', 100));
        Assert.That(await reader.ReadAsync(CancellationToken.None, isRequest: true), Is.True);
        var wait = reader.ReadAsync(CancellationToken.None);
        Assert.That(wait.IsCompleted, Is.False);
        Assert.That(reader.Payload.ToArray(), Is.EqualTo(Body('Q', 100)));
        await pipe.Writer.CompleteAsync();
        Assert.That(await wait, Is.False);
    }

    [TestCase(0)]
    [TestCase(1_023)]
    [TestCase(1_025)]
    [TestCase(65_536)]
    [TestCase(65_537)]
    [TestCase(700_000)]
    public async Task AMessageOfAnySizeIsWholeBetweenSmallOnes(int bytes)
    {
        var pipe = new Pipe(new PipeOptions(pauseWriterThreshold: 16 * 1024, resumeWriterThreshold: 8 * 1024, useSynchronizationContext: false));
        var reader = new MessageReader(pipe.Reader, MaxPayloadBytes);
        var writing = Task.Run(async () =>
        {
            foreach (var message in (byte[][])[Message('a', 20), Message('b', bytes), Message('c', 30), Message('d', bytes)])
            {
                // In two pieces, the first of which may end within the header.
                await pipe.Writer.WriteAsync(message.AsMemory(0, 3));
                await pipe.Writer.WriteAsync(message.AsMemory(3));
            }

            await pipe.Writer.CompleteAsync();
        });
        foreach (var (tag, length) in ((char, int)[])[('a', 20), ('b', bytes), ('c', 30), ('d', bytes)])
        {
            Assert.That(await reader.ReadAsync(CancellationToken.None, isRequest: true), Is.True);
            Assert.That((char)reader.Tag, Is.EqualTo(tag));
            Assert.That(reader.Payload.Span.SequenceEqual(Body(tag, length)), Is.True);
        }

        Assert.That(await reader.ReadAsync(CancellationToken.None, isRequest: true), Is.False);
        await writing;
    }

    private static byte[] Message(char tag, int payloadBytes)
    {
        var message = new byte[5 + payloadBytes];
        message[0] = (byte)tag;
        BinaryPrimitives.WriteInt32BigEndian(message.AsSpan(1), 4 + payloadBytes);
        Body(tag, payloadBytes).CopyTo(message, 5);
        return message;
    }

    private static byte[] Body(char tag, int bytes) => [.. Enumerable.Range(0, bytes).Select(i => (byte)(i + tag))];
}
