using System.Collections.Immutable;

namespace ShardProxy.Model.Fleet;

/// <summary>What has to be over before a proxy acknowledges an epoch.</summary>
/// <param name="RangeIds">Transactions that touched one of these ranges must have ended.</param>
/// <param name="AllEarlierStatements">Every statement begun on an earlier epoch must have ended (the ghost barrier).</param>
public sealed record DrainScope(ImmutableArray<int> RangeIds, bool AllEarlierStatements)
{
    /// <summary>Nothing to wait for: acknowledged once new statements use the new table.</summary>
    public static readonly DrainScope None = new([], false);

    /// <summary>The ghost barrier of DESIGN section 5.</summary>
    public static readonly DrainScope EarlierStatements = new([], true);

    /// <summary>
    /// The cutover's barrier of DESIGN section 6. A statement registers its ranges before it is sent, so the range alone is enough: a
    /// long statement on another range must not hold a cutover up.
    /// </summary>
    public static DrainScope Range(int rangeId) => new([rangeId], false);
}
