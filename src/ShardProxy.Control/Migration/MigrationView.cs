namespace ShardProxy.Control.Migration;

/// <summary>One line of SHOW MIGRATIONS.</summary>
/// <param name="Id">Migration id.</param>
/// <param name="Group">Name of the table group.</param>
/// <param name="RangeId">The range.</param>
/// <param name="Source">Name of the node it moves from.</param>
/// <param name="Target">Name of the node it moves to.</param>
/// <param name="State">As DESIGN section 10 lists them.</param>
/// <param name="RowsDone">Rows copied.</param>
/// <param name="RowsTotal">Estimate until the copy has ended.</param>
/// <param name="EtaSeconds">Of the copy; null when it cannot be told.</param>
/// <param name="RowsVerified">Rows shown equal on both sides.</param>
/// <param name="StallMs">How long new work on the range was held by the cutover; null before it.</param>
/// <param name="Error">Why it failed, or what its clean-up is waiting for.</param>
/// <param name="IsOver">Nothing is left to do.</param>
/// <param name="CreatedAt">When it was asked for.</param>
/// <param name="UpdatedAt">Last entry in the journal.</param>
public sealed record MigrationView(
    int Id, string Group, int RangeId, string Source, string Target, string State, long RowsDone, long RowsTotal, double? EtaSeconds,
    long RowsVerified, double? StallMs, string? Error, bool IsOver, DateTimeOffset CreatedAt, DateTimeOffset UpdatedAt);
