namespace ShardProxy.Model.Routing;

/// <summary>What a running migration means for the data path.</summary>
public enum MovePhase
{
    /// <summary>
    /// Rows of the range may lie on a node that does not own it (a copy under way or a source not yet cleaned):
    /// scatters take each node's owned rows only, and TRUNCATE and DDL of the group wait.
    /// </summary>
    Ghosts = 1,

    /// <summary>A cutover is announced: new work on the range is held. Implies <see cref="Ghosts"/>.</summary>
    Holding = 2,

    /// <summary>
    /// It is decided who owns the range, and the owner's gate is being opened: work is held until that is done, so that nobody is sent to a closed gate. Implies
    /// <see cref="Ghosts"/>.
    /// </summary>
    Releasing = 3,

    /// <summary>
    /// The range has moved, and its way back is open: the source's rows are kept up to date by a reverse stream until the rollback window closes. For the data path
    /// like <see cref="Ghosts"/>, with which it shares that they are no truth; but it counts neither as work of a node nor as a reason to wait for long.
    /// </summary>
    Reversible = 4,
}

/// <summary>One running migration as routing sees it.</summary>
/// <param name="MigrationId">Id as in <c>SHOW MIGRATIONS</c>.</param>
/// <param name="GroupId">The table group.</param>
/// <param name="RangeId">The range; its owner is in <see cref="ShardRange.NodeId"/>.</param>
/// <param name="SourceNodeId">Where the rows came from.</param>
/// <param name="TargetNodeId">Where they go.</param>
/// <param name="Phase">What the data path has to do about it.</param>
public sealed record RangeMove(int MigrationId, int GroupId, int RangeId, int SourceNodeId, int TargetNodeId, MovePhase Phase)
{
    /// <summary>New work on the range is held.</summary>
    public bool IsHeld => Phase is MovePhase.Holding or MovePhase.Releasing;

    /// <summary>The epoch of the announcement by which work is held, or was last; 0 before the first. Whoever decides a cutover decides this very one.</summary>
    public long HeldSince { get; init; }

    /// <summary>
    /// The target has caught up: plain reads of clients that accept staleness may go there. Taken back, with the barrier of statements, before rows are taken from the target or
    /// its stream ends.
    /// </summary>
    public bool AllowsReadAhead { get; init; }

    /// <summary>Rows are under way, or will be; false while only the way back is kept open.</summary>
    public bool IsUnderWay => Phase != MovePhase.Reversible;
}
