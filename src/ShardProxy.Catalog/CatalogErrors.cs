using ShardProxy.Model.Errors;

namespace ShardProxy.Catalog;

/// <summary>Errors of the catalog: 61x.</summary>
internal static class CatalogErrors
{
    public static ShardProxyError Unreadable() => new(
        "XX001", "SHP-610", "the catalog's placement document cannot be read", "Restore schema shardproxy_catalog from a backup.");

    public static ShardProxyError FromLaterVersion(int format) => new(
        "0A000", "SHP-611", $"the catalog was written by a later version of ShardProxy (format {format})", "Upgrade this proxy.");

    public static ShardProxyError TooContended() => new(
        "40001", "SHP-612", "the catalog changed too often to change it", "Try again; if it persists, look for a second control plane.");
}
