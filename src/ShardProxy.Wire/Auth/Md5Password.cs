using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using System.Text;

namespace ShardProxy.Wire.Auth;

/// <summary>The answer to AuthenticationMD5Password (PostgreSQL documentation, section 55.2.1), for servers that still ask for it.</summary>
public static class Md5Password
{
    /// <summary><c>md5</c> followed by md5(md5(password || user) || salt) in hexadecimal: PasswordMessage's content without its NUL.</summary>
    /// <param name="user">The user name of the startup packet.</param>
    /// <param name="password">The password; its bytes are taken as they are.</param>
    /// <param name="salt">The four bytes of the request.</param>
    [SuppressMessage("Security", "CA5351:Do Not Use Broken Cryptographic Algorithms", Justification = "The protocol asks for MD5.")]
    public static string Respond(string user, string password, ReadOnlySpan<byte> salt)
    {
        var inner = Convert.ToHexStringLower(MD5.HashData(Encoding.UTF8.GetBytes(password + user)));
        return "md5" + Convert.ToHexStringLower(MD5.HashData([.. Encoding.ASCII.GetBytes(inner), .. salt]));
    }
}
