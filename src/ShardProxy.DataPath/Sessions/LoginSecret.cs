using ShardProxy.Wire.Auth;

namespace ShardProxy.DataPath.Sessions;

/// <summary>What a user's proof is checked against.</summary>
internal sealed record LoginSecret(ScramVerifier? Verifier, bool IsAdmin);
