namespace ShardProxy.DataPath;

/// <summary>What an administrator may do to sessions and pools while they work.</summary>
public interface IDataPlaneControl
{
    /// <summary>
    /// Holds what begins anew on a database, or on all that are in use, and returns when nothing is under way there any more. Where that takes
    /// too long it lets everything go on again.
    /// </summary>
    /// <exception cref="Model.Errors.ShardProxyException">SHP-640.</exception>
    ValueTask PauseAsync(string? database, CancellationToken cancellationToken);

    /// <summary>Lets a paused database, or all of them, go on. Returns their names.</summary>
    IReadOnlyList<string> Resume(string? database);

    /// <summary>Ends a session. False when there is none of that id.</summary>
    bool Kill(long sessionId);
}
