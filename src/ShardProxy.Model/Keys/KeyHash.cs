using System.Buffers.Binary;
using System.Numerics;
using System.Runtime.CompilerServices;

namespace ShardProxy.Model.Keys;

/// <summary>
/// PostgreSQL's extended (64-bit, seeded) hash functions, bit for bit, so that a key has the same place in the key space here
/// and in SQL. Nothing allocates.
/// </summary>
/// <remarks>
/// The algorithm is Bob Jenkins' lookup3 in the variant PostgreSQL uses (its src/common/hashfn.c, little-endian reading). A
/// composite key is hashed from its last column to its first, each hash being the seed of the next; the last column has seed 0:
/// <c>hashint8extended(a, hashtextextended(b, 0))</c> for the key (a, b).
/// </remarks>
public static class KeyHash
{
    /// <summary>The seed of a key's last column.</summary>
    public const long FirstSeed = 0;

    private const uint GoldenRatio = 0x9e3779b9;
    private const uint LengthSalt = 3923095;

    /// <summary>
    /// <c>hashint8extended(value, seed)</c>; for equal numbers also <c>hashint4extended</c> and <c>hashint2extended</c>.
    /// </summary>
    public static long Int64(long value, long seed)
    {
        // PostgreSQL folds the halves so that a number that fits 32 bits hashes as the int4 of the same value does: the high
        // half of a small positive number is 0, of a small negative one all ones, and both leave the low half as it is.
        var low = (uint)value;
        var high = (uint)(value >> 32);
        low ^= value >= 0 ? high : ~high;

        var (a, b, c) = Begin(sizeof(uint), seed);
        a += low;
        return Finish(a, b, c);
    }

    /// <summary>
    /// <c>hashtextextended(text, seed)</c> under any deterministic collation.
    /// </summary>
    /// <param name="utf8">The value in the server's encoding, which has to be UTF8.</param>
    /// <param name="seed">The hash of the key's next column, or <see cref="FirstSeed"/>.</param>
    public static long Text(ReadOnlySpan<byte> utf8, long seed) => Bytes(utf8, seed);

    /// <summary><c>uuid_hash_extended(uuid, seed)</c>.</summary>
    /// <param name="uuid">The 16 bytes in the order they are written in, which is also the binary wire format's.</param>
    /// <param name="seed">The hash of the key's next column, or <see cref="FirstSeed"/>.</param>
    /// <exception cref="ArgumentException">There are not exactly 16 bytes.</exception>
    public static long Uuid(ReadOnlySpan<byte> uuid, long seed)
    {
        if (uuid.Length != 16)
        {
            throw new ArgumentException("a uuid has 16 bytes", nameof(uuid));
        }

        return Bytes(uuid, seed);
    }

    /// <summary>The place in the key space of a key of integer columns, in key order.</summary>
    public static long OfKey(ReadOnlySpan<long> columns)
    {
        var hash = FirstSeed;
        for (var i = columns.Length - 1; i >= 0; i--)
        {
            hash = Int64(columns[i], hash);
        }

        return hash;
    }

    /// <summary><c>hash_bytes_extended</c>.</summary>
    private static long Bytes(ReadOnlySpan<byte> key, long seed)
    {
        var (a, b, c) = Begin((uint)key.Length, seed);

        while (key.Length >= 12)
        {
            a += BinaryPrimitives.ReadUInt32LittleEndian(key);
            b += BinaryPrimitives.ReadUInt32LittleEndian(key[4..]);
            c += BinaryPrimitives.ReadUInt32LittleEndian(key[8..]);
            Mix(ref a, ref b, ref c);
            key = key[12..];
        }

        // The lowest byte of c is left for the length, which Begin has put in: the tail's bytes 8 to 10 go one byte higher.
        switch (key.Length)
        {
            case >= 8:
                a += BinaryPrimitives.ReadUInt32LittleEndian(key);
                b += BinaryPrimitives.ReadUInt32LittleEndian(key[4..]);
                c += Tail(key[8..]) << 8;
                break;
            case >= 4:
                a += BinaryPrimitives.ReadUInt32LittleEndian(key);
                b += Tail(key[4..]);
                break;
            default:
                a += Tail(key);
                break;
        }

        return Finish(a, b, c);
    }

    /// <summary>Up to three bytes as a little-endian number.</summary>
    private static uint Tail(ReadOnlySpan<byte> bytes)
    {
        uint value = 0;
        for (var i = bytes.Length - 1; i >= 0; i--)
        {
            value = (value << 8) | bytes[i];
        }

        return value;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static (uint A, uint B, uint C) Begin(uint lengthBytes, long seed)
    {
        uint a, b, c;
        a = b = c = unchecked(GoldenRatio + lengthBytes + LengthSalt);
        if (seed != 0)
        {
            a += (uint)((ulong)seed >> 32);
            b += (uint)seed;
            Mix(ref a, ref b, ref c);
        }

        return (a, b, c);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Mix(ref uint a, ref uint b, ref uint c)
    {
        a -= c;
        a ^= BitOperations.RotateLeft(c, 4);
        c += b;
        b -= a;
        b ^= BitOperations.RotateLeft(a, 6);
        a += c;
        c -= b;
        c ^= BitOperations.RotateLeft(b, 8);
        b += a;
        a -= c;
        a ^= BitOperations.RotateLeft(c, 16);
        c += b;
        b -= a;
        b ^= BitOperations.RotateLeft(a, 19);
        a += c;
        c -= b;
        c ^= BitOperations.RotateLeft(b, 4);
        b += a;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static long Finish(uint a, uint b, uint c)
    {
        c ^= b;
        c -= BitOperations.RotateLeft(b, 14);
        a ^= c;
        a -= BitOperations.RotateLeft(c, 11);
        b ^= a;
        b -= BitOperations.RotateLeft(a, 25);
        c ^= b;
        c -= BitOperations.RotateLeft(b, 16);
        a ^= c;
        a -= BitOperations.RotateLeft(c, 4);
        b ^= a;
        b -= BitOperations.RotateLeft(a, 14);
        c ^= b;
        c -= BitOperations.RotateLeft(b, 24);
        return (long)(((ulong)b << 32) | c);
    }
}
