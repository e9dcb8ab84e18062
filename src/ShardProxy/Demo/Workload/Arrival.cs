namespace ShardProxy.Demo.Workload;

/// <summary>One statement that some client wants at some time.</summary>
/// <param name="At">Since the phase began.</param>
/// <param name="Account">The account.</param>
/// <param name="Kind">What to do.</param>
/// <param name="Amount">Amount of an update or an entry.</param>
internal readonly record struct Arrival(TimeSpan At, int Account, StatementKind Kind, int Amount);
