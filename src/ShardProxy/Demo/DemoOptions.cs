namespace ShardProxy.Demo;

/// <summary>What <c>shardproxy demo</c> was asked for.</summary>
/// <param name="Seconds">Roughly how long it runs in all, start and verification included.</param>
/// <param name="Nodes">PostgreSQL servers.</param>
/// <param name="Seed">Seed of the workload.</param>
/// <param name="InstallMissing">Install what is missing from the system's packages.</param>
internal sealed record DemoOptions(int Seconds, int Nodes, int Seed, bool InstallMissing = false)
{
    public const int DefaultSeconds = 120;
    public const int DefaultNodes = 3;
    public const int DefaultSeed = 1;

    /// <summary>Below this there is no time for a season to be seen and used.</summary>
    public const int MinimumSeconds = 45;
}
