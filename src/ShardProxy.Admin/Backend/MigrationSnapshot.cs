namespace ShardProxy.Admin.Backend;

/// <summary>One migration, for <c>SHOW MIGRATIONS</c>.</summary>
/// <param name="Id">As returned by <c>… NOWAIT</c>.</param>
/// <param name="Group">Name of the table group, as it was then.</param>
/// <param name="RangeId">The range; null when a whole table is distributed.</param>
/// <param name="SourceNodeId">Where the rows come from.</param>
/// <param name="TargetNodeId">Where they go; null when a table is spread over all nodes.</param>
/// <param name="State">The step it is in.</param>
/// <param name="RowsDone">Rows copied so far.</param>
/// <param name="RowsTotal">Estimated rows to copy.</param>
/// <param name="RemainingSeconds">Estimated time to the end in seconds; null when it cannot be told or it has ended.</param>
/// <param name="RowsVerified">Rows shown equal on both sides.</param>
/// <param name="StallMs">How long the cutover held work, in milliseconds; null before it.</param>
/// <param name="Error">Why it failed or was rolled back.</param>
public sealed record MigrationSnapshot(
    int Id, string Group, int? RangeId, int SourceNodeId, int? TargetNodeId, MigrationState State, long RowsDone, long RowsTotal,
    double? RemainingSeconds, long RowsVerified, double? StallMs, string? Error);
