using System.Security.Cryptography;
using System.Text;

namespace ShardProxy.Wire.Auth;

/// <summary>
/// Verifiers for users that do not exist: the same name always gets the same salt, so that asking twice does not tell an unknown
/// user from a known one. Proxies that stand in for each other have to share the secret.
/// </summary>
public sealed class ScramMock
{
    private readonly byte[] _secret;
    private volatile int _iterations;

    /// <param name="secret">At least 16 random bytes.</param>
    /// <param name="iterations">The iteration count of the real users' verifiers.</param>
    public ScramMock(ReadOnlySpan<byte> secret, int iterations = ScramVerifier.DefaultIterations)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(secret.Length, 16);
        ArgumentOutOfRangeException.ThrowIfLessThan(iterations, 1);
        _secret = secret.ToArray();
        _iterations = iterations;
    }

    /// <summary>The iteration count of the real users' verifiers, where it is only known later.</summary>
    public int Iterations
    {
        get => _iterations;
        set => _iterations = value;
    }

    /// <summary>A real verifier whose salt comes about as the made-up ones do, so that it stays the same over restarts as they do.</summary>
    public ScramVerifier FromPassword(string userName, string password) => ScramVerifier.FromPassword(password, Salt(userName), _iterations);

    /// <summary>A verifier that no login satisfies.</summary>
    public ScramVerifier For(string userName) =>
        new(_iterations, Salt(userName), new byte[ScramKeys.Bytes], new byte[ScramKeys.Bytes]);

    private byte[] Salt(string userName) => HMACSHA256.HashData(_secret, Encoding.UTF8.GetBytes(userName))[..ScramVerifier.SaltBytes];
}
