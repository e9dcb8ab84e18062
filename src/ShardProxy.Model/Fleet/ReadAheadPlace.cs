namespace ShardProxy.Model.Fleet;

/// <summary>What is known of one moving range's copy.</summary>
/// <param name="migrationId">The migration.</param>
/// <param name="rangeId">The range.</param>
/// <param name="sourceNodeId">Its owner.</param>
/// <param name="targetNodeId">The node with the copy.</param>
public sealed class ReadAheadPlace(int migrationId, int rangeId, int sourceNodeId, int targetNodeId)
{
    private long _asOf;
    private long _wantedAt;

    public int MigrationId { get; } = migrationId;

    public int RangeId { get; } = rangeId;

    public int SourceNodeId { get; } = sourceNodeId;

    public int TargetNodeId { get; } = targetNodeId;

    /// <summary>Timestamp of a moment at which everything committed on the source is on the target now; 0 when none is known.</summary>
    public long AsOf
    {
        get => Volatile.Read(ref _asOf);
        set => Volatile.Write(ref _asOf, value);
    }

    /// <summary>Timestamp at which somebody asked last.</summary>
    public long WantedAt
    {
        get => Volatile.Read(ref _wantedAt);
        set => Volatile.Write(ref _wantedAt, value);
    }
}
