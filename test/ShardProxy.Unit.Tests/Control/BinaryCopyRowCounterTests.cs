using System.Buffers.Binary;
using NUnit.Framework;
using ShardProxy.Control.Migration.Copying;

namespace ShardProxy.Unit.Tests.Control;

/// <summary>Protects the progress figure: rows are counted right wherever the stream happens to be cut.</summary>
internal sealed class BinaryCopyRowCounterTests
{
    [Test]
    public void Rows_are_counted_whatever_the_pieces()
    {
        const int seed = 7;
        TestContext.Out.WriteLine($"seed {seed}");
        var random = new Random(seed);
        var stream = Stream(random, 100);
        for (var round = 0; round < 50; round++)
        {
            var counter = new BinaryCopyRowCounter();
            for (var at = 0; at < stream.Length;)
            {
                var length = Math.Min(stream.Length - at, random.Next(1, 40));
                counter.Add(stream.AsSpan(at, length));
                at += length;
            }

            Assert.That(counter.Rows, Is.EqualTo(100));
        }
    }

    private static byte[] Stream(Random random, int rows)
    {
        var stream = new MemoryStream();
        stream.Write(new byte[19]);
        for (var row = 0; row < rows; row++)
        {
            Write16(3);
            Write32(8);
            stream.Write(new byte[8]);
            Write32(-1);
            var length = random.Next(0, 30);
            Write32(length);
            stream.Write(Enumerable.Repeat((byte)0xff, length).ToArray());
        }

        Write16(-1);
        return stream.ToArray();

        void Write16(short value)
        {
            Span<byte> bytes = stackalloc byte[2];
            BinaryPrimitives.WriteInt16BigEndian(bytes, value);
            stream.Write(bytes);
        }

        void Write32(int value)
        {
            Span<byte> bytes = stackalloc byte[4];
            BinaryPrimitives.WriteInt32BigEndian(bytes, value);
            stream.Write(bytes);
        }
    }
}
