namespace ShardProxy.Wire.Auth;

/// <summary>
/// The keys of a user who has proven its password against a verifier. They open every server that keeps that same verifier (same salt
/// and iteration count), and no other. Secret; never printed.
/// </summary>
public sealed class ScramProvenKeys
{
    private readonly byte[] _salt;
    private readonly int _iterations;

    internal ScramProvenKeys(ScramVerifier verifier, ScramKeys keys)
    {
        _salt = verifier.Salt.ToArray();
        _iterations = verifier.Iterations;
        Keys = keys;
    }

    internal ScramKeys Keys { get; }

    /// <summary>True when both come from the same salt and iteration count, so that the newer replaces the older.</summary>
    public bool IsOfSameVerifierAs(ScramProvenKeys other) => Fits(other._salt, other._iterations);

    internal bool Fits(ReadOnlySpan<byte> salt, int iterations) => iterations == _iterations && salt.SequenceEqual(_salt);
}
