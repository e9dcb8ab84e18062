namespace ShardProxy.Model.Views;

/// <summary>One statement that was held, read ahead or fenced because a range moved, for SHOW REDIRECTIONS. Holds no literal and no value.</summary>
/// <param name="At">When it went on, or was refused.</param>
/// <param name="RangeId">The range; null when the placement of a whole table changed.</param>
/// <param name="Shape">Normalised text: literals are parameters; cut at <see cref="RedirectionReasons.MaxShapeLength"/> characters.</param>
/// <param name="From">The node that the routing table named first.</param>
/// <param name="To">The node it went to; null when it was refused, or went to several with no range to name.</param>
/// <param name="Reason">One of <see cref="RedirectionReasons"/>.</param>
/// <param name="HeldMs">How long it waited for that, in milliseconds.</param>
public sealed record RedirectionSnapshot(DateTimeOffset At, int? RangeId, string Shape, string? From, string? To, string Reason, double HeldMs);
