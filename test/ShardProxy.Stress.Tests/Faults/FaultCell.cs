namespace ShardProxy.Stress.Tests.Faults;

/// <summary>Whom a fault befalls.</summary>
internal enum Victim
{
    /// <summary>The node that the range is on.</summary>
    Source,

    /// <summary>The node that it goes to.</summary>
    Target,

    Catalog,

    /// <summary>The proxy that runs the migration.</summary>
    Leader,

    /// <summary>The other proxy.</summary>
    Follower,
}

/// <summary>What befalls it.</summary>
internal enum Fault
{
    /// <summary><c>kill -9</c>, started again a moment later.</summary>
    Kill,

    /// <summary>SIGSTOP, and SIGCONT a while later.</summary>
    Freeze,

    /// <summary>Its connections end and new ones are refused, for a moment.</summary>
    Cut,

    /// <summary>Everything to and from it takes longer, for the rest of the move.</summary>
    Delay,
}

/// <summary>Where in a move, as the journal has it.</summary>
/// <param name="IsRollback">While the range goes back again: the move is followed by ROLLBACK MIGRATION.</param>
/// <param name="Step">The journaled step.</param>
/// <param name="IsAfter">All of it is done and the next is not in the journal; else it is in the journal, and nothing of it is done.</param>
internal sealed record FaultPlace(bool IsRollback, string Step, bool IsAfter)
{
    public override string ToString() => $"{(IsAfter ? "after" : "before")} {Step}{(IsRollback && !Step.StartsWith("rollback", StringComparison.Ordinal) ? " of rollback" : "")}";
}

/// <summary>One thing to try: a fault at a place.</summary>
internal sealed record FaultCell(FaultPlace Place, Victim Victim, Fault Fault = Fault.Kill)
{
    /// <summary>Column of the table.</summary>
    public string What => $"{Fault.ToString().ToLowerInvariant()} {Victim.ToString().ToLowerInvariant()}";

    public override string ToString() => $"{What} {Place}";
}

/// <summary>What came of it.</summary>
/// <param name="Cell">What was tried.</param>
/// <param name="Outcome">How the migration ended, as SHOW MIGRATIONS has it; null when the step was not reached.</param>
/// <param name="Violations">What must never be.</param>
/// <param name="Errors">How many errors clients were told, all of them the fault's own.</param>
/// <param name="Duration">From the move's beginning until everything was checked.</param>
internal sealed record FaultResult(FaultCell Cell, string? Outcome, IReadOnlyList<string> Violations, int Errors, TimeSpan Duration);
