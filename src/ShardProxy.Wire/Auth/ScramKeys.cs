using System.Security.Cryptography;

namespace ShardProxy.Wire.Auth;

/// <summary>The keys of RFC 5802 section 3 that follow from password, salt and iteration count.</summary>
/// <param name="ClientKey">What the client proves to have.</param>
/// <param name="ServerKey">What the server proves to have.</param>
internal readonly record struct ScramKeys(byte[] ClientKey, byte[] ServerKey)
{
    /// <summary>Length of every key, proof and signature.</summary>
    public const int Bytes = SHA256.HashSizeInBytes;

    public static ScramKeys Derive(string password, ReadOnlySpan<byte> salt, int iterations)
    {
        var prepared = PasswordPreparation.Prepare(password);
        Span<byte> salted = stackalloc byte[Bytes];
        try
        {
            Rfc2898DeriveBytes.Pbkdf2(prepared, salt, salted, iterations, HashAlgorithmName.SHA256);
            return new ScramKeys(HMACSHA256.HashData(salted, "Client Key"u8), HMACSHA256.HashData(salted, "Server Key"u8));
        }
        finally
        {
            CryptographicOperations.ZeroMemory(prepared);
            CryptographicOperations.ZeroMemory(salted);
        }
    }

    /// <summary>Exclusive or of two equally long keys into <paramref name="result"/>.</summary>
    public static void Xor(ReadOnlySpan<byte> left, ReadOnlySpan<byte> right, Span<byte> result)
    {
        for (var i = 0; i < result.Length; i++)
        {
            result[i] = (byte)(left[i] ^ right[i]);
        }
    }
}
