namespace ShardProxy.Control.Migration;

/// <summary>
/// Mistakes of DESIGN section 6 that a fault harness has to find. Those that are made in a node's own SQL (the gate's function, the publication) the harness makes
/// there; these are the ones inside the process.
/// </summary>
internal enum MigrationMutant
{
    /// <summary>None.</summary>
    None,
}
