namespace ShardProxy.Wire.Auth;

/// <summary>Why a SCRAM exchange ended.</summary>
public enum ScramFailure
{
    /// <summary>It did not.</summary>
    None = 0,

    /// <summary>A message does not follow RFC 5802 or came out of turn (08P01).</summary>
    Malformed,

    /// <summary>The peer asks for something neither PostgreSQL nor this side supports (0A000).</summary>
    Unsupported,

    /// <summary>The nonce is not the one of this exchange (08P01).</summary>
    NonceMismatch,

    /// <summary>The client's proof is wrong or there is no such user; the two are never told apart (28P01).</summary>
    Rejected,

    /// <summary>The server asks for an iteration count outside the accepted bounds (28000).</summary>
    IterationsRefused,

    /// <summary>The server sent an error instead of its signature (28P01).</summary>
    ServerRefused,

    /// <summary>The server does not know the password's verifier: it is not the server it claims to be (28000).</summary>
    ServerNotAuthentic,

    /// <summary>The client says that it was not offered channel binding, and it was: somebody is in between (28000).</summary>
    Downgraded,

    /// <summary>The client's channel binding is that of another TLS connection: somebody is in between (28000).</summary>
    BindingMismatch,

    /// <summary>No password is known, and no keys that fit the server's verifier (28000).</summary>
    NoFittingKeys,
}
