namespace ShardProxy.DataPath.Servers;

/// <summary>What every pool of a proxy uses.</summary>
internal sealed record PoolContext(LiveOptions Live, ServerConnector Connector, TimeProvider Time, CoarseClock Clock, Random Random, Types.TypeTables Types);
