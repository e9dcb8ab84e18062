using System.Collections.Immutable;

namespace ShardProxy.Catalog.Journal;

/// <summary>One migration as its journal tells it. Times are UTC.</summary>
public sealed record MigrationRecord
{
    public required int Id { get; init; }

    public required int GroupId { get; init; }

    public required string GroupName { get; init; }

    public required int RangeId { get; init; }

    public required int SourceNodeId { get; init; }

    public required int TargetNodeId { get; init; }

    public required MigrationState State { get; init; }

    /// <summary>The step being done inside the state, for people.</summary>
    public string Step { get; init; } = "";

    /// <summary>Counts from 1: a control plane that finds a migration unfinished takes everything back and begins it again, under other names.</summary>
    public int Attempt { get; init; } = 1;

    /// <summary>The source is cleaned at once, whatever rollback window is configured: it is a step of something larger.</summary>
    public bool WithoutWindow { get; init; }

    /// <summary>The range is on its way back to the source.</summary>
    public bool IsBackward { get; init; }

    /// <summary>Written before the clean-up: the target owns the range, so that clean-up is of the source.</summary>
    public bool HasArrived { get; init; }

    /// <summary>Fencing token of the control plane that runs it.</summary>
    public long FencingToken { get; init; }

    public long RowsDone { get; init; }

    /// <summary>Estimate until the copy has ended.</summary>
    public long RowsTotal { get; init; }

    public long RowsVerified { get; init; }

    /// <summary>From publishing the hold to publishing the new owner, in milliseconds; null before.</summary>
    public double? StallMs { get; init; }

    /// <summary>Cutovers announced and given up so far.</summary>
    public int CutoverAborts { get; init; }

    /// <summary>WAL position of the target (hexadecimal, as PostgreSQL prints it) behind which every row of the range is durable there.</summary>
    public string? TargetLsn { get; init; }

    public DateTimeOffset CreatedAt { get; init; }

    public DateTimeOffset UpdatedAt { get; init; }

    public string? Error { get; init; }

    /// <summary>Everything the migration may have put on a node and not yet removed.</summary>
    public ImmutableArray<MigrationObject> Objects { get; init; } = [];

    /// <summary>True when nothing is left to do.</summary>
    public bool IsOver => State is MigrationState.Done or MigrationState.RolledBack or MigrationState.Failed or MigrationState.Cancelled;
}
