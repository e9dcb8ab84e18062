using System.Net;

namespace ShardProxy.DataPath;

/// <summary>Which connections a rule is about.</summary>
public enum RuleKind
{
    /// <summary>Every connection.</summary>
    Host,

    /// <summary>Encrypted ones.</summary>
    HostSsl,

    /// <summary>Those in clear.</summary>
    HostNoSsl,
}

/// <summary>
/// One line of the rules by which clients log in, as in <c>pg_hba.conf</c> (PostgreSQL documentation, section 21.1). The first rule that
/// matches a connection decides; without one it is refused.
/// </summary>
/// <param name="Kind">Encrypted or not.</param>
/// <param name="Databases">Names, <c>all</c>, or <c>sameuser</c>; the console's name is one.</param>
/// <param name="Users">Names or <c>all</c>.</param>
/// <param name="Addresses">Client addresses; null for all.</param>
/// <param name="Method">How the client proves who it is.</param>
public sealed record AuthenticationRule(
    RuleKind Kind, IReadOnlyList<string> Databases, IReadOnlyList<string> Users, IPNetwork? Addresses, ClientAuthentication Method)
{
    /// <summary>For certificates: which user a certificate's common name stands for. Empty: the name itself.</summary>
    public IReadOnlyDictionary<string, string> CertificateNames { get; init; } = new Dictionary<string, string>();

    /// <summary>Everybody, by one method.</summary>
    public static AuthenticationRule ForAll(ClientAuthentication method) => new(RuleKind.Host, ["all"], ["all"], null, method);

    /// <summary>True when the rule is about this connection.</summary>
    public bool Matches(bool isEncrypted, string database, string user, IPAddress? address) =>
        (Kind == RuleKind.Host || (Kind == RuleKind.HostSsl) == isEncrypted)
        && (Addresses is not { } network || (address is not null && network.Contains(address)))
        && (Names(Databases, database) || (string.Equals(database, user, StringComparison.Ordinal) && Databases.Contains("sameuser")))
        && Names(Users, user);

    private static bool Names(IReadOnlyList<string> names, string name)
    {
        foreach (var each in names)
        {
            if (each == "all" || string.Equals(each, name, StringComparison.Ordinal))
            {
                return true;
            }
        }

        return false;
    }
}
