using System.Collections.Immutable;
using ShardProxy.Admin.Backend;
using ShardProxy.DataPath;

namespace ShardProxy.Composition;

/// <summary>The console's hand on this proxy.</summary>
internal sealed class ProxyControl(IDataPlaneControl plane, ConfigReloader reloader) : IProxyControl
{
    public ValueTask PauseAsync(string? database, CancellationToken cancellationToken) => plane.PauseAsync(database, cancellationToken);

    public IReadOnlyList<string> Resume(string? database) => plane.Resume(database);

    // Reading files and hashing passwords is no work for the thread that polls the console's socket.
    public async ValueTask<ImmutableArray<string>> ReloadAsync(CancellationToken cancellationToken) => await Task.Run(reloader.Reload, cancellationToken);

    public bool Kill(long sessionId) => plane.Kill(sessionId);
}
