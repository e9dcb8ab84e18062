namespace ShardProxy.Planning.Placement;

/// <summary>Whether a step may be done.</summary>
/// <param name="IsAllowed">True when nothing speaks against it.</param>
/// <param name="IsTemporary">When refused: the same step may be allowed later.</param>
/// <param name="Reason">Why not; empty when allowed.</param>
public sealed record GuardVerdict(bool IsAllowed, bool IsTemporary, string Reason)
{
    internal static readonly GuardVerdict Allowed = new(true, false, "");

    internal static GuardVerdict Never(string reason) => new(false, false, reason);

    internal static GuardVerdict NotNow(string reason) => new(false, true, reason);
}
