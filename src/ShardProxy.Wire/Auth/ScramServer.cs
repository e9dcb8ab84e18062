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
/// Any failure ends the exchange. Over TLS SCRAM-SHA-256-PLUS is offered too: a client may then choose it (p), or say that it has no channel
/// binding (n), but not that it would have used it had the server offered it (y): somebody between the two has taken the offer away.
/// </remarks>
public sealed class ScramServer
{
    /// <summary>The mechanism's name in AuthenticationSASL.</summary>
    public const string Mechanism = "SCRAM-SHA-256";

    /// <summary>The name of the mechanism with channel binding.</summary>
    public const string PlusMechanism = "SCRAM-SHA-256-PLUS";

    private readonly ScramVerifier _verifier;
    private readonly bool _isKnownUser;
    private readonly string _serverNonce;
    private readonly byte[]? _offeredBinding;
    private readonly bool _isPlus;
    private State _state = State.AwaitingFirst;
    private byte[] _expectedBinding = [];
    private byte[] _nonce = [];
    private byte[] _authMessageStart = [];

    /// <summary>
    /// Begins an exchange. <paramref name="mock"/> is asked for whether the user exists or not, so that both cost the same.
    /// </summary>
    /// <param name="known">The user's verifier, or null when there is no such user or it may not log in.</param>
    /// <param name="mock">From <see cref="ScramMock.For"/> for the same name.</param>
    /// <param name="offeredBinding">The connection's <c>tls-server-end-point</c>, if <see cref="PlusMechanism"/> was offered.</param>
    /// <param name="isPlus">The client chose <see cref="PlusMechanism"/>.</param>
    public ScramServer(ScramVerifier? known, ScramVerifier mock, byte[]? offeredBinding = null, bool isPlus = false)
        : this(known, mock, ScramMessage.NewNonce(), offeredBinding, isPlus)
    {
    }

    internal ScramServer(ScramVerifier? known, ScramVerifier mock, string serverNonce, byte[]? offeredBinding = null, bool isPlus = false)
    {
        _offeredBinding = offeredBinding;
        _isPlus = isPlus;
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

    /// <summary>What the client's proof has shown of its keys: enough to log in elsewhere against the same verifier. Null before that.</summary>
    public ScramProvenKeys? ProvenKeys { get; private set; }

    /// <summary>Takes the data of SASLInitialResponse.</summary>
    /// <param name="message">Only read during the call.</param>
    public ScramStep ReceiveClientFirst(ReadOnlySpan<byte> message)
    {
        if (_state != State.AwaitingFirst || CheckEnvelope(message) is not null)
        {
            return Fail(ScramFailure.Malformed, _state != State.AwaitingFirst ? "The message came out of turn." : CheckEnvelope(message));
        }

        if (!TryReadFlag(message, out var headerLength, out var refusal))
        {
            return refusal;
        }

        message = message[headerLength..];
        if (message.Length < 2 || message[0] != (byte)',')
        {
            return Fail(ScramFailure.Malformed, "Comma expected after the channel-binding flag.");
        }

        if (message[1] == (byte)'a')
        {
            return Fail(ScramFailure.Unsupported, "The client uses an authorization identity, which is not supported.");
        }

        if (message[1] != (byte)',')
        {
            return Fail(ScramFailure.Malformed, "Unexpected attribute in client-first-message.");
        }

        var bare = message[2..];
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
        if (!attributes.TryRead('c', out var binding) || !CryptographicOperations.FixedTimeEquals(binding, _expectedBinding))
        {
            return _isPlus
                ? Fail(ScramFailure.BindingMismatch, "The client is not at the other end of this TLS connection.")
                : Fail(ScramFailure.Malformed, "Unexpected SCRAM channel-binding attribute in client-final-message.");
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
        ProvenKeys = null;
        HMACSHA256.HashData(_verifier.StoredKey, authMessage, signature);
        ScramKeys.Xor(proof, signature, clientKey);
        SHA256.HashData(clientKey, storedKey);
        if (!CryptographicOperations.FixedTimeEquals(storedKey, _verifier.StoredKey))
        {
            return false;
        }

        ProvenKeys = new ScramProvenKeys(_verifier, new ScramKeys(clientKey.ToArray(), _verifier.ServerKey.ToArray()));
        return true;
    }

    /// <summary>The GS2 flag in front of the first message (RFC 5802 section 7): how many bytes it takes, and what "c=" has to repeat.</summary>
    private bool TryReadFlag(ReadOnlySpan<byte> message, out int length, out ScramStep refusal)
    {
        length = 1;
        refusal = default;
        switch (message[0])
        {
            case (byte)'p' when _isPlus:
                var comma = message.IndexOf((byte)',');
                if (comma < 0 || !message[..comma].SequenceEqual("p=tls-server-end-point"u8))
                {
                    refusal = Fail(ScramFailure.Malformed, "Unsupported SCRAM channel-binding type; tls-server-end-point is the one.");
                    return false;
                }

                length = comma;
                _expectedBinding = Encoding.ASCII.GetBytes(Convert.ToBase64String([.. message[..comma], .. ",,"u8, .. _offeredBinding!]));
                return true;
            case (byte)'p':
                refusal = Fail(ScramFailure.Malformed, "The client selected SCRAM-SHA-256 without channel binding, but the SCRAM message includes channel binding data.");
                return false;
            case (byte)'n' or (byte)'y' when _isPlus:
                refusal = Fail(ScramFailure.Malformed, "The client selected SCRAM-SHA-256-PLUS, but the SCRAM message does not include channel binding data.");
                return false;
            case (byte)'y' when _offeredBinding is not null:
                refusal = Fail(
                    ScramFailure.Downgraded, "The client supports SCRAM channel binding but thinks the server does not. However, this server does support channel binding.");
                return false;
            case (byte)'n':
                _expectedBinding = "biws"u8.ToArray();
                return true;
            case (byte)'y':
                _expectedBinding = "eSws"u8.ToArray();
                return true;
            default:
                refusal = Fail(ScramFailure.Malformed, "Unexpected channel-binding flag.");
                return false;
        }
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
