using ShardProxy.Wire.Auth;

namespace ShardProxy.DataPath.Login;

/// <summary>
/// What is known of a user's password, in one of the forms in which PostgreSQL keeps it, or in clear. Immutable; never printed.
/// </summary>
internal sealed class LoginSecret
{
    private LoginSecret(ScramVerifier? verifier, string? md5Hash, string? password)
    {
        Verifier = verifier;
        Md5Hash = md5Hash;
        Password = password;
    }

    /// <summary>For SCRAM and cleartext logins; null when only an MD5 hash is known.</summary>
    public ScramVerifier? Verifier { get; }

    /// <summary><c>md5…</c>, for MD5 logins; null when only a verifier is known.</summary>
    public string? Md5Hash { get; }

    /// <summary>The password itself, where somebody wrote it down.</summary>
    public string? Password { get; }

    /// <summary>From a password in clear. Takes milliseconds: not during a login.</summary>
    public static LoginSecret FromPassword(string user, string password, ScramMock mock) =>
        new(mock.FromPassword(user, password), Md5Password.Hash(user, password), password);

    /// <summary>From the text that <c>pg_authid.rolpassword</c> or a user file has.</summary>
    public static LoginSecret FromStored(string user, string text, ScramMock mock) =>
        ScramVerifier.TryParse(text, out var verifier) ? new(verifier, null, null)
        : Md5Password.IsHash(text) ? new(null, text, null)
        : FromPassword(user, text, mock);
}
