namespace ShardProxy.Admin.Backend;

/// <summary>What <c>SHOW VERSION</c> and <c>/api/version</c> tell about this process.</summary>
/// <param name="Version">The product's version, such as <c>0.1.0</c>.</param>
/// <param name="ProxyId">This proxy, as in <c>application_name = shardproxy/&lt;id&gt;</c>.</param>
/// <param name="Runtime">The .NET runtime.</param>
/// <param name="StartedAt">When the process began to serve.</param>
public sealed record ProductInfo(string Version, string ProxyId, string Runtime, DateTimeOffset StartedAt)
{
    /// <summary>This process.</summary>
    public int ProcessId { get; init; }

    /// <summary>What a hand-over from an older to a newer process is at, in words; null when none is under way.</summary>
    public Func<string?> Handover { get; init; } = static () => null;
}
