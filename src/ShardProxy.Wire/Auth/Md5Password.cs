using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using System.Text;

namespace ShardProxy.Wire.Auth;

/// <summary>The answer to AuthenticationMD5Password (PostgreSQL documentation, section 55.2.1), for servers and clients that know nothing better.</summary>
public static class Md5Password
{
    private const string Prefix = "md5";

    /// <summary><c>md5</c> followed by md5(md5(password || user) || salt) in hexadecimal: PasswordMessage's content without its NUL.</summary>
    /// <param name="user">The user name of the startup packet.</param>
    /// <param name="password">The password; its bytes are taken as they are.</param>
    /// <param name="salt">The four bytes of the request.</param>
    public static string Respond(string user, string password, ReadOnlySpan<byte> salt) => RespondHash(Hash(user, password), salt);

    /// <summary>The same from the hash that <c>pg_authid.rolpassword</c> keeps: it is as good as the password.</summary>
    [SuppressMessage("Security", "CA5351:Do Not Use Broken Cryptographic Algorithms", Justification = "The protocol asks for MD5.")]
    public static string RespondHash(string hash, ReadOnlySpan<byte> salt) =>
        Prefix + Convert.ToHexStringLower(MD5.HashData([.. Encoding.ASCII.GetBytes(hash[Prefix.Length..]), .. salt]));

    /// <summary>What <c>pg_authid.rolpassword</c> keeps of a password under <c>password_encryption = md5</c>.</summary>
    [SuppressMessage("Security", "CA5351:Do Not Use Broken Cryptographic Algorithms", Justification = "The protocol asks for MD5.")]
    public static string Hash(string user, string password) => Prefix + Convert.ToHexStringLower(MD5.HashData(Encoding.UTF8.GetBytes(password + user)));

    /// <summary>True for text of the form <c>md5</c> and 32 hexadecimal digits.</summary>
    public static bool IsHash(string text) =>
        text.Length == Prefix.Length + 32 && text.StartsWith(Prefix, StringComparison.Ordinal) && text.Skip(Prefix.Length).All(char.IsAsciiHexDigitLower);
}
