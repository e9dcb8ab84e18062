using System.Buffers.Binary;

namespace ShardProxy.Stress.Hostile;

/// <summary>Strings honest messages together and spoils some of them. Every choice comes from the seeded source given.</summary>
internal static class Mutator
{
    private static readonly int[] OddLengths = [0, 1, 3, 4, 5, -1, int.MinValue, int.MaxValue, 0x7fff, 0xffff, 1 << 20];

    /// <summary>One connection's traffic.</summary>
    public static byte[] Traffic(Random random, byte[][] corpus, bool hasTypeByte)
    {
        var bytes = new List<byte>();
        for (var count = random.Next(1, 12); count > 0; count--)
        {
            var message = (byte[])corpus[random.Next(corpus.Length)].Clone();
            bytes.AddRange(random.Next(4) == 0 ? Spoil(random, message, hasTypeByte) : message);
        }

        if (random.Next(4) == 0 && bytes.Count > 0)
        {
            bytes.RemoveRange(random.Next(bytes.Count), 1);
        }

        return random.Next(6) == 0 ? [.. bytes.Take(random.Next(bytes.Count + 1))] : [.. bytes];
    }

    private static byte[] Spoil(Random random, byte[] message, bool hasTypeByte)
    {
        switch (random.Next(6))
        {
            case 0:
                for (var i = random.Next(1, 4); i > 0; i--)
                {
                    message[random.Next(message.Length)] = (byte)random.Next(256);
                }

                return message;
            case 1 when message.Length >= 5:
                BinaryPrimitives.WriteInt32BigEndian(message.AsSpan(hasTypeByte ? 1 : 0), OddLengths[random.Next(OddLengths.Length)]);
                return message;
            case 2:
                return message[..random.Next(message.Length + 1)];
            case 3:
                var at = random.Next(message.Length + 1);
                var junk = new byte[random.Next(1, 64)];
                random.NextBytes(junk);
                return [.. message[..at], .. junk, .. message[at..]];
            case 4:
                return [.. message, .. message, .. message];
            default:
                // A NUL or a count in the wrong place: 16-bit counts sit somewhere in most bodies.
                var position = random.Next(Math.Max(1, message.Length - 1));
                message[position] = (byte)(random.Next(2) * 0xff);
                return message;
        }
    }
}
