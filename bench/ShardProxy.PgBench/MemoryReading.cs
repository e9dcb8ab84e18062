namespace ShardProxy.PgBench;

/// <summary>A process's memory right after a full collection, bytes.</summary>
internal readonly record struct MemoryReading(long ResidentBytes, long HeapBytes);
