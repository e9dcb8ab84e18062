namespace ShardProxy.Stress.Tests.Mutants;

/// <summary>The mistakes of DESIGN section 6, each of which the harness has to find.</summary>
internal enum Mistake
{
    PositionReadBeforeWritersAreLockedOut,
    NoLock,
    LagTakenBeforeItWasComputed,
    AdvisoryLockThenRow,
    RowReadingTrigger,
    PreparedTransactionsIgnored,
    CachedPlanOfTheOldSide,
    AbortWithoutCompareAndSet,
    AppliedTakenForDurable,
    SleepingProxyNotExpelled,
    CleanerWithoutToken,
    TruncatePublished,
}
