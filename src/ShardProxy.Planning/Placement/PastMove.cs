namespace ShardProxy.Planning.Placement;

/// <summary>A move that was done, for cool-down and against going back and forth.</summary>
public sealed record PastMove(int GroupId, long From, long? To, int SourceNodeId, int TargetNodeId, DateTimeOffset At, long Bytes = 0)
{
    /// <summary>True when the move touched any part of the interval.</summary>
    public bool Overlaps(int groupId, long from, long? to) =>
        groupId == GroupId && (to is not { } end || From < end) && (To is not { } own || from < own);
}
