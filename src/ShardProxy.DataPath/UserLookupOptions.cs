namespace ShardProxy.DataPath;

/// <summary>How the home node is asked for what it keeps of a role's password.</summary>
/// <param name="User">A role that may see it.</param>
/// <param name="Password">Its password; null where the node trusts the proxy. Never logged.</param>
/// <param name="Database">Where the query runs.</param>
public sealed record UserLookupOptions(string User, string? Password, string Database)
{
    /// <summary>Roles that may log in, without the passwords that have expired.</summary>
    public const string DefaultQuery =
        "SELECT rolname, CASE WHEN rolvaliduntil < pg_catalog.now() THEN NULL ELSE rolpassword END, rolsuper FROM pg_catalog.pg_authid WHERE rolname = $1 AND rolcanlogin";

    /// <summary>Gets the name as $1; returns a row of name, password and, for admins of the console, whether it is a superuser; or none.</summary>
    public string Query { get; init; } = DefaultQuery;

    /// <summary>Every role of the home node may log in, not only the users that are written down.</summary>
    public bool ServesUnwrittenUsers { get; init; }

    /// <summary>How long an answer is believed.</summary>
    public TimeSpan CacheTime { get; init; } = TimeSpan.FromSeconds(1);

    public override string ToString() => $"{nameof(UserLookupOptions)} {{ User = {User}, Database = {Database} }}";
}
