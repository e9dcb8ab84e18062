using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace ShardProxy.Wire.Auth;

/// <summary>
/// The server's side of one SCRAM-SHA-256 exchange (RFC 5802, RFC 7677), judging messages as PostgreSQL's auth-scram.c does. Bytes in,
/// bytes out; no I/O. One instance serves one login, on one thread at a time.
/// </summary>
/// <remarks>
/// <code>
/// client-first  -> ReceiveClientFirst -> server-first   (AuthenticationSASLContinue)
/// client-final  -> ReceiveClientFinal -> server-final   (AuthenticationSASLFinal, then AuthenticationOk)
/// </code>
/// Any failure ends the exchange. SCRAM-SHA-256-PLUS is not offered, so a client may say that it has no channel binding (n) or
/// that it would have used it had the server offered it (y), not that it requires it (p).
/// </remarks>
public sealed class ScramServer
{
    /// <summary>The mechanism's name in AuthenticationSASL.</summary>
    public const string Mechanism = "SCRAM-SHA-256";

    private readonly ScramVerifier _verifier;
    private readonly bool _isKnownUser;
    private readonly string _serverNonce;
    private State _state = State.AwaitingFirst;
    private bool _isBindingCapable;
    private byte[] _nonce = [];
    private byte[] _authMessageStart = [];

    /// <summary>
    /// Begins an exchange. <paramref name="mock"/> is asked for whether the user exists or not, so that both cost the same.
    /// </summary>
    /// <param name="known">The user's verifier, or null when there is no such user or it may not log in.</param>
    /// <param name="mock">From <see cref="ScramMock.For"/> for the same name.</param>
    public ScramServer(ScramVerifier? known, ScramVerifier mock)
        : this(known, mock, ScramMessage.NewNonce())
    {
    }

    internal ScramServer(ScramVerifier? known, ScramVerifier mock, string serverNonce)
    {
        _verifier = known ?? mock;
        _isKnownUser = known is not null;
        _serverNonce = serverNonce;
    }

    private enum State
    {
        AwaitingFirst,
        AwaitingFinal,
        Succeeded,
        Failed,
    }

    /// <summary>True once the client has proven the password.</summary>
    public bool IsAuthenticated => _state == State.Succeeded;

    /// <summary>Takes the data of SASLInitialResponse.</summary>
    /// <param name="message">Only read during the call.</param>
    public ScramStep ReceiveClientFirst(ReadOnlySpan<byte> message)
    {
        if (_state != State.AwaitingFirst || CheckEnvelope(message) is not null)
        {
            return Fail(ScramFailure.Malformed, _state != State.AwaitingFirst ? "The message came out of turn." : CheckEnvelope(message));
        }

        switch (message[0])
        {
            case (byte)'n':
                break;
            case (byte)'y':
                _isBindingCapable = true;
                break;
            case (byte)'p':
                return Fail(ScramFailure.Malformed, "The client selected SCRAM-SHA-256 without channel binding, but the SCRAM message includes channel binding data.");
            default:
                return Fail(ScramFailure.Malformed, "Unexpected channel-binding flag.");
        }

        if (message.Length < 3 || message[1] != (byte)',')
        {
            return Fail(ScramFailure.Malformed, "Comma expected after the channel-binding flag.");
        }

        if (message[2] == (byte)'a')
        {
            return Fail(ScramFailure.Unsupported, "The client uses an authorization identity, which is not supported.");
        }

        if (message[2] != (byte)',')
        {
            return Fail(ScramFailure.Malformed, "Unexpected attribute in client-first-message.");
        }

        var bare = message[3..];
        var attributes = new ScramMessage(bare);
        if (attributes.NextName == (byte)'m')
        {
            return Fail(ScramFailure.Unsupported, "The client requires an unsupported SCRAM extension.");
        }

        // The name in the message is ignored: the startup packet's user counts.
        if (!attributes.TryRead('n', out _) || !attributes.TryRead('r', out var clientNonce))
        {
            return Fail(ScramFailure.Malformed, "User name and nonce expected.");
        }

        if (!ScramMessage.IsNonce(clientNonce))
        {
            return Fail(ScramFailure.Malformed, "Non-printable characters in SCRAM nonce.");
        }

        while (!attributes.IsAtEnd)
        {
            if (!attributes.TryReadAny(out _))
            {
                return Fail(ScramFailure.Malformed, "Malformed attribute.");
            }
        }

        _nonce = [.. clientNonce, .. Encoding.ASCII.GetBytes(_serverNonce)];
        byte[] serverFirst =
        [
            .. "r="u8, .. _nonce,
            .. Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $",s={Convert.ToBase64String(_verifier.Salt)},i={_verifier.Iterations}")),
        ];
        _authMessageStart = [.. bare, (byte)',', .. serverFirst, (byte)','];
        _state = State.AwaitingFinal;
        return ScramStep.Ok(serverFirst);
    }

    /// <summary>Takes the data of SASLResponse.</summary>
    /// <param name="message">Only read during the call.</param>
    public ScramStep ReceiveClientFinal(ReadOnlySpan<byte> message)
    {
        if (_state != State.AwaitingFinal || CheckEnvelope(message) is not null)
        {
            return Fail(ScramFailure.Malformed, _state != State.AwaitingFinal ? "The message came out of turn." : CheckEnvelope(message));
        }

        var attributes = new ScramMessage(message);
        if (!attributes.TryRead('c', out var binding) || !binding.SequenceEqual(_isBindingCapable ? "eSws"u8 : "biws"u8))
        {
            return Fail(ScramFailure.Malformed, "Unexpected SCRAM channel-binding attribute in client-final-message.");
        }

        if (!attributes.TryRead('r', out var nonce) || !attributes.TrySkipTo('p'))
        {
            return Fail(ScramFailure.Malformed, "Nonce and proof expected in client-final-message.");
        }

        var withoutProof = message[..(attributes.Position - 1)];
        Span<byte> proof = stackalloc byte[ScramKeys.Bytes];
        if (!attributes.TryRead('p', out var encodedProof) || !attributes.IsAtEnd || !ScramMessage.TryDecodeExactly(encodedProof, proof))
        {
            return Fail(ScramFailure.Malformed, "Malformed proof in client-final-message.");
        }

        if (!CryptographicOperations.FixedTimeEquals(nonce, _nonce))
        {
            return Fail(ScramFailure.NonceMismatch, "Nonce does not match.");
        }

        byte[] authMessage = [.. _authMessageStart, .. withoutProof];
        if (!IsProven(authMessage, proof) | !_isKnownUser)
        {
            return Fail(ScramFailure.Rejected, null);
        }

        _state = State.Succeeded;
        return ScramStep.Ok([.. "v="u8, .. Encoding.ASCII.GetBytes(Convert.ToBase64String(HMACSHA256.HashData(_verifier.ServerKey, authMessage)))]);
    }

    /// <summary>The proof is ClientKey XOR HMAC(StoredKey, AuthMessage), and StoredKey is the hash of ClientKey.</summary>
    private bool IsProven(ReadOnlySpan<byte> authMessage, ReadOnlySpan<byte> proof)
    {
        Span<byte> signature = stackalloc byte[ScramKeys.Bytes];
        Span<byte> clientKey = stackalloc byte[ScramKeys.Bytes];
        Span<byte> storedKey = stackalloc byte[ScramKeys.Bytes];
        HMACSHA256.HashData(_verifier.StoredKey, authMessage, signature);
        ScramKeys.Xor(proof, signature, clientKey);
        SHA256.HashData(clientKey, storedKey);
        return CryptographicOperations.FixedTimeEquals(storedKey, _verifier.StoredKey);
    }

    private static string? CheckEnvelope(ReadOnlySpan<byte> message) => message switch
    {
        { Length: 0 } => "The message is empty.",
        { Length: > ScramMessage.MaximumBytes } => "The message is too long.",
        _ => message.Contains((byte)0) ? "Message length does not match input length." : null,
    };

    private ScramStep Fail(ScramFailure failure, string? detail)
    {
        _state = State.Failed;
        return ScramStep.Failed(failure, detail);
    }
}
