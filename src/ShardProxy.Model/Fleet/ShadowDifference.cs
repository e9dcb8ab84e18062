namespace ShardProxy.Model.Fleet;

/// <summary>A live read that gave other rows on the node a range is moving to than on its owner, again and again. Holds no value.</summary>
/// <param name="MigrationId">The migration.</param>
/// <param name="Shape">The statement, with literals left out.</param>
/// <param name="KeyHash">Where the key lies in the key space; null when the statement has none.</param>
public sealed record ShadowDifference(int MigrationId, string Shape, long? KeyHash);
