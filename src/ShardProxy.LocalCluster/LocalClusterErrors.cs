using ShardProxy.Model.Errors;

namespace ShardProxy.LocalCluster;

/// <summary>The errors of this assembly: SHP-701 to SHP-709.</summary>
internal static class LocalClusterErrors
{
    // PostgreSQL documentation, Appendix A: system_error, object_not_in_prerequisite_state, insufficient_privilege.
    private const string SystemError = "58000";
    private const string NotReady = "55000";
    private const string NoPrivilege = "42501";

    public static ShardProxyException PrerequisitesMissing(string what, string hint) =>
        new(new ShardProxyError(NotReady, "SHP-701", $"missing on this machine: {what}", hint));

    public static ShardProxyException InstallFailed(string command, string lastLines) =>
        new(new ShardProxyError(
            SystemError,
            "SHP-702",
            $"installing the missing packages failed: {command}",
            "Run that command by hand to see the whole reason; the package source may be out of reach.",
            lastLines));

    public static ShardProxyException StartFailed(string node, string logPath, string reason) =>
        new(new ShardProxyError(SystemError, "SHP-703", $"local server \"{node}\" did not start", $"Its log is {logPath}.", reason));

    public static ShardProxyException DirectoryNotUsable(string directory, string account) =>
        new(new ShardProxyError(
            NoPrivilege,
            "SHP-704",
            $"directory \"{directory}\" cannot be used by the account \"{account}\" that runs the servers",
            "PostgreSQL refuses to run as root. Choose a directory whose parents that account may enter, for example under /tmp."));

    public static ShardProxyException WrongVersion(string directory, string found, int expected) =>
        new(new ShardProxyError(
            NotReady,
            "SHP-705",
            $"data directory \"{directory}\" belongs to PostgreSQL {found}, the server found is PostgreSQL {expected}",
            "Point SHARDPROXY_PG_BIN at that version's binaries, or use an empty directory."));

    public static ShardProxyException DirectoryInUse(string directory) =>
        new(new ShardProxyError(
            NotReady, "SHP-706", $"data directory \"{directory}\" is in use by another process", "Stop that process or use another directory."));

    public static ShardProxyException NoAccount() =>
        new(new ShardProxyError(
            NoPrivilege,
            "SHP-707",
            "cannot find an ordinary account to run PostgreSQL as",
            "PostgreSQL refuses to run as root. Run this command as an ordinary user, or create the account \"postgres\"."));

    public static ShardProxyException BadServerDirectory(string directory, string why) =>
        new(new ShardProxyError(
            NotReady,
            "SHP-708",
            $"SHARDPROXY_PG_BIN is \"{directory}\", where no usable PostgreSQL server is: {why}",
            "Set it to the directory that holds initdb and postgres of version 15 or newer, or unset it."));
}
