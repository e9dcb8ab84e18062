namespace ShardProxy.Demo;

/// <summary>One PostgreSQL server of the demo.</summary>
/// <param name="Name">node1, node2, ….</param>
/// <param name="DirectConnectionString">Past gate and proxy, to count rows where they lie.</param>
internal sealed record DemoNode(string Name, string DirectConnectionString);
