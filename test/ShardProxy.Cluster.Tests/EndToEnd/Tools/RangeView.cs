namespace ShardProxy.Cluster.Tests.EndToEnd.Tools;

/// <summary>A row of SHOW RANGES.</summary>
internal sealed record RangeView(int Id, string Group, long From, long? To, string Node, string State);
