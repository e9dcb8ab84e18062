using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace ShardProxy.Wire.Auth;

/// <summary>
/// What a server keeps of a SCRAM-SHA-256 password: enough to check a login, not enough to make one. Immutable. The text form is
/// <c>pg_authid.rolpassword</c>'s: <c>SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey</c>, the binary parts in base64.
/// </summary>
public sealed class ScramVerifier
{
    /// <summary>PostgreSQL 15's fixed iteration count.</summary>
    public const int DefaultIterations = 4096;

    /// <summary>Most iterations a verifier is read with: a login by cleartext password has to do them here.</summary>
    public const int MaximumIterations = 1_000_000;

    /// <summary>Bytes of the salt PostgreSQL makes.</summary>
    public const int SaltBytes = 16;

    private const string Prefix = "SCRAM-SHA-256$";

    private readonly byte[] _salt;
    private readonly byte[] _storedKey;
    private readonly byte[] _serverKey;

    internal ScramVerifier(int iterations, byte[] salt, byte[] storedKey, byte[] serverKey)
    {
        Iterations = iterations;
        _salt = salt;
        _storedKey = storedKey;
        _serverKey = serverKey;
    }

    public int Iterations { get; }

    public ReadOnlySpan<byte> Salt => _salt;

    internal ReadOnlySpan<byte> StoredKey => _storedKey;

    internal ReadOnlySpan<byte> ServerKey => _serverKey;

    /// <summary>
    /// Derives a verifier from a password, which takes milliseconds by design: do it once when the configuration is read, never during
    /// a login.
    /// </summary>
    public static ScramVerifier FromPassword(string password, ReadOnlySpan<byte> salt, int iterations = DefaultIterations)
    {
        var keys = ScramKeys.Derive(password, salt, iterations);
        return new ScramVerifier(iterations, salt.ToArray(), SHA256.HashData(keys.ClientKey), keys.ServerKey);
    }

    /// <summary>The same with a new random salt.</summary>
    public static ScramVerifier FromPassword(string password) => FromPassword(password, RandomNumberGenerator.GetBytes(SaltBytes));

    /// <summary>
    /// True when the password is the right one. Costs what <see cref="FromPassword(string)"/> does, whether right or wrong: milliseconds, not
    /// for a thread that polls sockets.
    /// </summary>
    public bool IsPassword(string password)
    {
        var keys = ScramKeys.Derive(password, _salt, Iterations);
        return CryptographicOperations.FixedTimeEquals(SHA256.HashData(keys.ClientKey), _storedKey);
    }

    /// <summary>True when both are the same verifier.</summary>
    public bool IsSameAs(ScramVerifier other) =>
        Iterations == other.Iterations && Salt.SequenceEqual(other.Salt) && CryptographicOperations.FixedTimeEquals(StoredKey, other.StoredKey);

    /// <summary>Reads the text form; false when it is anything else, an MD5 hash or a cleartext password included.</summary>
    public static bool TryParse(string text, [NotNullWhen(true)] out ScramVerifier? verifier)
    {
        verifier = null;
        if (!text.StartsWith(Prefix, StringComparison.Ordinal))
        {
            return false;
        }

        var parts = text[Prefix.Length..].Split('$', ':');
        if (parts.Length != 4
            || text[Prefix.Length..].IndexOf('$', StringComparison.Ordinal) != parts[0].Length + 1 + parts[1].Length
            || !int.TryParse(parts[0], NumberStyles.None, CultureInfo.InvariantCulture, out var iterations)
            || iterations is < 1 or > MaximumIterations
            || !TryDecode(parts[1], out var salt)
            || !TryDecode(parts[2], out var storedKey)
            || !TryDecode(parts[3], out var serverKey)
            || salt.Length == 0
            || storedKey.Length != ScramKeys.Bytes
            || serverKey.Length != ScramKeys.Bytes)
        {
            return false;
        }

        verifier = new ScramVerifier(iterations, salt, storedKey, serverKey);
        return true;
    }

    /// <summary>The text form. A secret: it allows guessing the password off-line and, with a recorded login, impersonation.</summary>
    public string ToSecretText() => new StringBuilder(Prefix)
        .Append(CultureInfo.InvariantCulture, $"{Iterations}:{Convert.ToBase64String(_salt)}")
        .Append('$').Append(Convert.ToBase64String(_storedKey)).Append(':').Append(Convert.ToBase64String(_serverKey)).ToString();

    private static bool TryDecode(string base64, out byte[] bytes)
    {
        bytes = new byte[base64.Length];
        if (!Convert.TryFromBase64String(base64, bytes, out var written))
        {
            return false;
        }

        bytes = bytes[..written];
        return true;
    }
}
