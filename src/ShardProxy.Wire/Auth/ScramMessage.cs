using System.Buffers.Text;
using System.Security.Cryptography;

namespace ShardProxy.Wire.Auth;

/// <summary>Reads the attributes <c>x=value</c> of one SCRAM message, left to right (RFC 5802 section 7).</summary>
internal ref struct ScramMessage(ReadOnlySpan<byte> message)
{
    /// <summary>PostgreSQL reads no longer SASL message of a client.</summary>
    public const int MaximumBytes = 1024;

    private const int NonceBytes = 18;

    private readonly ReadOnlySpan<byte> _message = message;

    /// <summary>Where the next attribute starts.</summary>
    public int Position { get; private set; }

    public readonly bool IsAtEnd => Position >= _message.Length;

    /// <summary>The name of the next attribute, 0 at the end.</summary>
    public readonly byte NextName => IsAtEnd ? (byte)0 : _message[Position];

    /// <summary>Takes the next attribute if it has that name and is well formed.</summary>
    public bool TryRead(char name, out ReadOnlySpan<byte> value) => NextName == name ? TryReadAny(out value) : Fail(out value);

    /// <summary>Takes the next attribute if it is well formed: a letter, an equals sign, a value without comma.</summary>
    public bool TryReadAny(out ReadOnlySpan<byte> value)
    {
        var rest = _message[Math.Min(Position, _message.Length)..];
        if (rest.Length < 2 || !char.IsAsciiLetter((char)rest[0]) || rest[1] != (byte)'=')
        {
            return Fail(out value);
        }

        var comma = rest.IndexOf((byte)',');
        if (comma == rest.Length - 1)
        {
            return Fail(out value);
        }

        value = comma < 0 ? rest[2..] : rest[2..comma];
        Position += comma < 0 ? rest.Length : comma + 1;
        return true;
    }

    /// <summary>Skips optional attributes until the one of that name is next or the message ends.</summary>
    public bool TrySkipTo(char name)
    {
        while (!IsAtEnd && NextName != name)
        {
            if (!TryReadAny(out _))
            {
                return false;
            }
        }

        return !IsAtEnd;
    }

    /// <summary>A nonce is printable ASCII without comma.</summary>
    public static bool IsNonce(ReadOnlySpan<byte> value)
    {
        foreach (var character in value)
        {
            if (character is < 0x21 or > 0x7E or (byte)',')
            {
                return false;
            }
        }

        return value.Length > 0;
    }

    /// <summary>Decodes strict base64 that has to give exactly <paramref name="destination"/>'s length.</summary>
    public static bool TryDecodeExactly(ReadOnlySpan<byte> base64, Span<byte> destination) =>
        base64.IndexOfAny(" \t\r\n"u8) < 0
        && Base64.DecodeFromUtf8(base64, destination, out var consumed, out var written) == System.Buffers.OperationStatus.Done
        && consumed == base64.Length
        && written == destination.Length;

    public static string NewNonce() => Convert.ToBase64String(RandomNumberGenerator.GetBytes(NonceBytes));

    private static bool Fail(out ReadOnlySpan<byte> value)
    {
        value = default;
        return false;
    }
}
