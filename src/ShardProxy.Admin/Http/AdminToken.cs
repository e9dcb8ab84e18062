using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http;

namespace ShardProxy.Admin.Http;

/// <summary>The bearer token of the admin pages (RFC 6750), compared in constant time by its digest. Health checks need none: they say little.</summary>
internal static class AdminToken
{
    private const string Scheme = "Bearer ";

    public static byte[] Digest(string token) => SHA256.HashData(Encoding.UTF8.GetBytes(token));

    /// <summary>True for a request that names the token, and for those that need none.</summary>
    public static bool MayPass(HttpContext context, byte[] digest)
    {
        if (context.Request.Path.Value is "/healthz" or "/readyz")
        {
            return true;
        }

        return context.Request.Headers.Authorization is [{ } given]
            && given.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase)
            && CryptographicOperations.FixedTimeEquals(Digest(given[Scheme.Length..].Trim()), digest);
    }
}
