using ShardProxy.Model.Errors;

namespace ShardProxy.Admin.Console;

/// <summary>The console's own errors, SHP-601 to SHP-609 (docs/errors.md).</summary>
internal static class ConsoleErrors
{
    /// <param name="message">What is wrong.</param>
    /// <param name="offset">Zero-based offset of the place in the statement.</param>
    /// <param name="hint">What to write instead.</param>
    public static ShardProxyException Syntax(string message, int offset, string hint) =>
        new(new ShardProxyError("42601", "SHP-601", message, hint) { Position = offset + 1 });

    public static ShardProxyException NotInThisVersion(string statement) =>
        new(new ShardProxyError("0A000", "SHP-602", $"{statement} is not available in this version", "HELP lists the statements that are."));

    public static ShardProxyException Undefined(string what, string hint) => new(new ShardProxyError("42704", "SHP-603", $"{what} does not exist", hint));

    public static ShardProxyException ReadOnly(string user) => new(new ShardProxyError(
        "42501", "SHP-128", $"user \"{user}\" may look at the console, not change anything", "Connect as a user with admin: true in the configuration."));

    public static ShardProxyException InvalidValue(string message, string hint, int? position = null) =>
        new(new ShardProxyError("22023", "SHP-604", message, hint) { Position = position });

    public static ShardProxyException NotAnswered() => new(new ShardProxyError(
        "0A000",
        "SHP-605",
        "the admin console does not run SQL",
        "HELP lists what it answers. For SQL, connect to your own database instead of shardproxy."));

    public static ShardProxyError Cancelled() => new(
        "57014",
        "SHP-606",
        "canceling the wait due to user request",
        "Work that was under way goes on; see SHOW MIGRATIONS.");

    public static ShardProxyError Internal() => new(
        "XX000", "SHP-607", "the console statement failed because of an internal error", "The log of this proxy has the details.");

    public static ShardProxyError TooLong(int maximum) => new(
        "54000", "SHP-608", $"console statement is longer than {maximum} characters", "Send it in parts.");
}
