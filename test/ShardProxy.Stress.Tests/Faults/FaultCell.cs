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

/// <summary>One thing to try: a fault at a journaled step, before or after it.</summary>
internal sealed record FaultCell(string Step, bool IsAfter, Victim Victim, Fault Fault = Fault.Kill)
{
    public override string ToString() => $"{Fault.ToString().ToLowerInvariant()} {Victim.ToString().ToLowerInvariant()} {(IsAfter ? "after" : "before")} {Step}";
}

/// <summary>What came of it.</summary>
/// <param name="Cell">What was tried.</param>
/// <param name="Outcome">How the migration ended, as SHOW MIGRATIONS has it; null when the step was not reached.</param>
/// <param name="Violations">What must never be.</param>
/// <param name="Errors">How many errors clients were told, all of them the fault's own.</param>
/// <param name="Duration">From the move's beginning until everything was checked.</param>
internal sealed record FaultResult(FaultCell Cell, string? Outcome, IReadOnlyList<string> Violations, int Errors, TimeSpan Duration);
