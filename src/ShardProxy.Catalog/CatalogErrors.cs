using ShardProxy.Model.Errors;

namespace ShardProxy.Catalog;

/// <summary>Errors of the catalog: 61x.</summary>
public static class CatalogErrors
{
    /// <summary>Code of <see cref="JournalTaken"/>: whoever meets it stops.</summary>
    public const string JournalTakenCode = "SHP-613";

    internal static ShardProxyError JournalTaken() => new(
        "55006", JournalTakenCode, "another control plane has taken the migration over", "See SHOW MIGRATIONS there.");

    internal static ShardProxyError Unreadable() => new(
        "XX001", "SHP-610", "the catalog's placement document cannot be read", "Restore schema shardproxy_catalog from a backup.");

    internal static ShardProxyError FromLaterVersion(int format) => new(
        "0A000", "SHP-611", $"the catalog was written by a later version of ShardProxy (format {format})", "Upgrade this proxy.");

    internal static ShardProxyError TooContended() => new(
        "40001", "SHP-612", "the catalog changed too often to change it", "Try again; if it persists, look for a second control plane.");
}
