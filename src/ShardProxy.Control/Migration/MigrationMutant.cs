namespace ShardProxy.Control.Migration;

/// <summary>
/// Mistakes of DESIGN section 6 that a fault harness has to find. Those that are made in a node's own SQL (the gate's function, the publication) the harness makes
/// there; these are the ones inside the process.
/// </summary>
internal enum MigrationMutant
{
    /// <summary>None.</summary>
    None,

    /// <summary>The marker is written before the writers of the range are locked out.</summary>
    PositionBeforeLock,

    /// <summary>A cutover whose commit is not known to have happened is taken for given up, without winning an abort.</summary>
    AbortWithoutCompareAndSet,

    /// <summary>Ghosts are deleted by whoever once was permitted to.</summary>
    CleanerWithoutToken,

    /// <summary>Statements go where their range was when they were planned first.</summary>
    CachedPlan,
}
