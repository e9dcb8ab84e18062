using System.Buffers.Text;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace ShardProxy.Wire.Auth;

/// <summary>
/// The client's side of one SCRAM-SHA-256 exchange (RFC 5802, RFC 7677). Bytes in, bytes out; no I/O. One instance serves one login,
/// on one thread at a time.
/// </summary>
/// <remarks>
/// <code>
/// ClientFirst()                          -> SASLInitialResponse
/// server-first -> ReceiveServerFirst     -> SASLResponse
/// server-final -> ReceiveServerFinal     (then AuthenticationOk may be believed)
/// </code>
/// AuthenticationOk without <see cref="IsServerAuthenticated"/> is a server that skipped its proof: the caller has to close.
/// </remarks>
public sealed class ScramClient
{
    private readonly string? _password;
    private readonly IReadOnlyList<ScramProvenKeys> _provenKeys = [];
    private readonly byte[] _gs2Header = "n,,"u8.ToArray();
    private readonly byte[] _bindingData = [];
    private readonly ScramKeyCache _keyCache;
    private readonly ScramClientLimits _limits;
    private readonly string _clientNonce;
    private readonly string _clientFirstBare;
    private byte[] _serverSignature = [];
    private State _state = State.Starting;

    /// <summary>Begins an exchange.</summary>
    /// <param name="password">Never leaves this object.</param>
    /// <param name="keyCache">Shared by all connections with stored credentials.</param>
    /// <param name="limits">Iteration counts to accept; null for the defaults.</param>
    public ScramClient(string password, ScramKeyCache keyCache, ScramClientLimits? limits = null)
        : this(password, keyCache, limits, ScramMessage.NewNonce(), userName: "")
    {
        // The name is left empty as libpq does: servers take it from the startup packet.
    }

    /// <summary>Begins an exchange with whatever is known of the user.</summary>
    /// <param name="password">Null when only keys are known.</param>
    /// <param name="provenKeys">Used in place of the password where they fit the server's verifier.</param>
    /// <param name="keyCache">As above.</param>
    /// <param name="binding">
    /// Over TLS, the server certificate's <c>tls-server-end-point</c>; null without TLS or where the certificate has none.
    /// </param>
    /// <param name="isPlus">The server offers SCRAM-SHA-256-PLUS and it is to be used; needs <paramref name="binding"/>.</param>
    public ScramClient(string? password, IReadOnlyList<ScramProvenKeys> provenKeys, ScramKeyCache keyCache, byte[]? binding, bool isPlus)
        : this(password ?? "", keyCache, null, ScramMessage.NewNonce(), userName: "")
    {
        _password = password;
        _provenKeys = provenKeys;
        if (isPlus)
        {
            _gs2Header = "p=tls-server-end-point,,"u8.ToArray();
            _bindingData = binding ?? throw new ArgumentNullException(nameof(binding));
        }
        else if (binding is not null)
        {
            // A server that does offer the binding learns from this that somebody has removed the offer.
            _gs2Header = "y,,"u8.ToArray();
        }
    }

    internal ScramClient(string password, ScramKeyCache keyCache, ScramClientLimits? limits, string clientNonce, string userName)
    {
        _clientFirstBare = $"n={userName},r={clientNonce}";
        _password = password;
        _keyCache = keyCache;
        _limits = limits ?? new ScramClientLimits();
        _clientNonce = clientNonce;
    }

    private enum State
    {
        Starting,
        AwaitingFirst,
        AwaitingFinal,
        Succeeded,
        Failed,
    }

    /// <summary>True once the server has proven that it knows the verifier.</summary>
    public bool IsServerAuthenticated => _state == State.Succeeded;

    /// <summary>The data of SASLInitialResponse. Call it once, first.</summary>
    public byte[] ClientFirst()
    {
        if (_state != State.Starting)
        {
            throw new InvalidOperationException("the exchange has begun already");
        }

        _state = State.AwaitingFirst;
        return [.. _gs2Header, .. Encoding.ASCII.GetBytes(_clientFirstBare)];
    }

    /// <summary>
    /// Takes the data of AuthenticationSASLContinue. Derives the keys on the calling thread when the cache does not hold them, which
    /// takes milliseconds: not for a thread that polls sockets.
    /// </summary>
    /// <param name="message">Only read during the call.</param>
    public ScramStep ReceiveServerFirst(ReadOnlySpan<byte> message)
    {
        if (_state != State.AwaitingFirst)
        {
            return Fail(ScramFailure.Malformed, "The message came out of turn.");
        }

        var attributes = new ScramMessage(message);
        if (attributes.NextName == (byte)'m')
        {
            return Fail(ScramFailure.Unsupported, "The server requires an unsupported SCRAM extension.");
        }

        if (message.Length > ScramMessage.MaximumBytes
            || !attributes.TryRead('r', out var nonce)
            || !attributes.TryRead('s', out var encodedSalt)
            || !attributes.TryRead('i', out var encodedIterations))
        {
            return Fail(ScramFailure.Malformed, "Nonce, salt and iteration count expected in server-first-message.");
        }

        while (!attributes.IsAtEnd)
        {
            if (!attributes.TryReadAny(out _))
            {
                return Fail(ScramFailure.Malformed, "Malformed attribute.");
            }
        }

        var ownNonce = Encoding.ASCII.GetBytes(_clientNonce);
        if (!ScramMessage.IsNonce(nonce) || !nonce.StartsWith(ownNonce) || nonce.Length == ownNonce.Length)
        {
            return Fail(ScramFailure.NonceMismatch, "The server's nonce does not extend the client's.");
        }

        Span<byte> salt = stackalloc byte[Base64.GetMaxDecodedFromUtf8Length(ScramMessage.MaximumBytes)];
        if (encodedSalt.IndexOfAny(" \t\r\n"u8) >= 0
            || Base64.DecodeFromUtf8(encodedSalt, salt, out _, out var saltBytes) != System.Buffers.OperationStatus.Done
            || saltBytes == 0)
        {
            return Fail(ScramFailure.Malformed, "Malformed salt.");
        }

        if (!int.TryParse(encodedIterations, NumberStyles.None, CultureInfo.InvariantCulture, out var iterations))
        {
            return Fail(ScramFailure.Malformed, "Malformed iteration count.");
        }

        if (iterations < _limits.MinimumIterations || iterations > _limits.MaximumIterations)
        {
            return Fail(
                ScramFailure.IterationsRefused,
                string.Create(CultureInfo.InvariantCulture, $"The server asks for {iterations} iterations; between {_limits.MinimumIterations} and {_limits.MaximumIterations} are accepted."));
        }

        if (KeysFor(salt[..saltBytes], iterations) is not { } keys)
        {
            return Fail(ScramFailure.NoFittingKeys, "The password is not known, and the server's verifier is not the one the client has logged in against.");
        }

        _state = State.AwaitingFinal;
        return ScramStep.Ok(Prove(message, nonce, keys));
    }

    /// <summary>Takes the data of AuthenticationSASLFinal; sends nothing more.</summary>
    /// <param name="message">Only read during the call.</param>
    public ScramStep ReceiveServerFinal(ReadOnlySpan<byte> message)
    {
        if (_state != State.AwaitingFinal)
        {
            return Fail(ScramFailure.Malformed, "The message came out of turn.");
        }

        var attributes = new ScramMessage(message);
        if (attributes.NextName == (byte)'e')
        {
            return Fail(ScramFailure.ServerRefused, "The server ended the SCRAM exchange with an error.");
        }

        Span<byte> signature = stackalloc byte[ScramKeys.Bytes];
        if (!attributes.TryRead('v', out var encoded) || !attributes.IsAtEnd || !ScramMessage.TryDecodeExactly(encoded, signature))
        {
            return Fail(ScramFailure.Malformed, "Malformed server signature.");
        }

        if (!CryptographicOperations.FixedTimeEquals(signature, _serverSignature))
        {
            return Fail(ScramFailure.ServerNotAuthentic, "The server's signature is wrong.");
        }

        _state = State.Succeeded;
        return ScramStep.Ok([]);
    }

    private ScramKeys? KeysFor(ReadOnlySpan<byte> salt, int iterations)
    {
        foreach (var proven in _provenKeys)
        {
            if (proven.Fits(salt, iterations))
            {
                return proven.Keys;
            }
        }

        return _password is null ? null : _keyCache.Get(_password, salt, iterations);
    }

    /// <summary>Builds client-final and remembers the signature the server has to give.</summary>
    private byte[] Prove(ReadOnlySpan<byte> serverFirst, ReadOnlySpan<byte> nonce, ScramKeys keys)
    {
        byte[] withoutProof = [.. "c="u8, .. Encoding.ASCII.GetBytes(Convert.ToBase64String([.. _gs2Header, .. _bindingData])), .. ",r="u8, .. nonce];
        byte[] authMessage = [.. Encoding.ASCII.GetBytes(_clientFirstBare), (byte)',', .. serverFirst, (byte)',', .. withoutProof];
        Span<byte> proof = stackalloc byte[ScramKeys.Bytes];
        HMACSHA256.HashData(SHA256.HashData(keys.ClientKey), authMessage, proof);
        ScramKeys.Xor(keys.ClientKey, proof, proof);
        _serverSignature = HMACSHA256.HashData(keys.ServerKey, authMessage);
        return [.. withoutProof, .. ",p="u8, .. Encoding.ASCII.GetBytes(Convert.ToBase64String(proof))];
    }

    private ScramStep Fail(ScramFailure failure, string detail)
    {
        _state = State.Failed;
        return ScramStep.Failed(failure, detail);
    }
}
