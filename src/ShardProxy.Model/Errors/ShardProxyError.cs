namespace ShardProxy.Model.Errors;

/// <summary>
/// An error of ShardProxy itself, as a client sees it: PostgreSQL's SQLSTATE, a stable code, and what to do next. Never
/// holds a parameter value, a literal or a secret.
/// </summary>
/// <param name="SqlState">Five characters (PostgreSQL documentation, Appendix A).</param>
/// <param name="Code">Stable code <c>SHP-nnn</c>, listed in docs/errors.md.</param>
/// <param name="Message">One sentence, lower-case start, no full stop, as PostgreSQL's style guide has it.</param>
/// <param name="Hint">What to do next, full sentences.</param>
/// <param name="Detail">Facts about this occurrence, full sentences.</param>
public sealed record ShardProxyError(string SqlState, string Code, string Message, string? Hint = null, string? Detail = null)
{
    /// <summary>
    /// Where in the statement's text the error was found: one-based, in characters, as the protocol's error field <c>P</c>; null when
    /// there is no such place.
    /// </summary>
    public int? Position { get; init; }
}
