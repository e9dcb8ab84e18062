namespace ShardProxy.Control.Planner;

/// <summary>How a move ended.</summary>
/// <param name="IsDone">True when the target owns the range now.</param>
/// <param name="Message">What happened, for <c>SHOW PLANS</c>.</param>
public sealed record MoveOutcome(bool IsDone, string Message);
