using System.Collections.Immutable;

namespace ShardProxy.Demo;

/// <summary>Servers and proxy that the demo drives from outside, as any client and any operator would. Disposing ends all of it.</summary>
internal interface IDemoCluster : IAsyncDisposable
{
    /// <summary>Through the proxy, to the demo's database.</summary>
    string ClientConnectionString { get; }

    /// <summary>The admin console.</summary>
    string ConsoleConnectionString { get; }

    /// <summary>In order; the first is the home node.</summary>
    ImmutableArray<DemoNode> Nodes { get; }

    /// <summary>
    /// Tells the proxy what each node can do, as an operator would: by the configuration, with which the proxy starts again. Connections
    /// through it end and connection strings may change.
    /// </summary>
    ValueTask SetCapacityAsync(double statementsPerSecond, CancellationToken cancellationToken);
}
