using System.Collections.Immutable;

namespace ShardProxy.Admin.Backend;

/// <summary>What the console may do to this proxy itself. Expected failures are a <see cref="Model.Errors.ShardProxyException"/>.</summary>
public interface IProxyControl
{
    /// <summary>Holds what begins anew on a database, or on all in use; returns when nothing is under way there.</summary>
    ValueTask PauseAsync(string? database, CancellationToken cancellationToken);

    /// <summary>Lets a database, or all that are paused, go on; returns their names.</summary>
    IReadOnlyList<string> Resume(string? database);

    /// <summary>Reads the configuration again. Returns what has to be said about it: what did not change, what could not be read.</summary>
    ValueTask<ImmutableArray<string>> ReloadAsync(CancellationToken cancellationToken);

    /// <summary>Ends a session; false when there is none of that id.</summary>
    bool Kill(long sessionId);
}
