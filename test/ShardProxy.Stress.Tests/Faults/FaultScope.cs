using ShardProxy.Stress.Tests.Clients;

namespace ShardProxy.Stress.Tests.Faults;

/// <summary>Whom a fault befell, and so which errors clients may have been told: those of what was killed, and no others.</summary>
/// <param name="Victim">Its role in the move.</param>
/// <param name="Leader">Index of the proxy that ran the move.</param>
/// <param name="RangeId">The range moved.</param>
/// <param name="Source">Index of the node it was on.</param>
/// <param name="Target">Index of the node it was to go to.</param>
/// <param name="Since">Time stamp of the fault.</param>
internal sealed record FaultScope(Victim Victim, int Leader, int RangeId, int Source, int Target, long Since)
{
    public int NodeOf(Victim victim) => victim == Victim.Source ? Source : Target;

    /// <summary>Whether the fault can have caused an error. An error of before it never is.</summary>
    /// <param name="error">What a client was told.</param>
    /// <param name="before">Owners before the move.</param>
    /// <param name="after">Owners after it.</param>
    public bool Explains(ClientError error, RangeMap before, RangeMap after)
    {
        if (error.At < Since || error.Message.Contains("Timeout during reading", StringComparison.Ordinal))
        {
            return false;
        }

        // A block that has touched another node already cannot be held for long (DESIGN section 6).
        if (error is { IsBlock: true, SqlState: "40001" } && error.Ranges.Contains(RangeId))
        {
            return true;
        }

        return Victim switch
        {
            Victim.Catalog => false,
            Victim.Leader => error.Proxy == Leader && IsConnection(error.SqlState),
            Victim.Follower => error.Proxy == 1 - Leader && IsConnection(error.SqlState),
            _ => IsConnection(error.SqlState) && Touches(error, NodeOf(Victim), before, after),
        };
    }

    private static bool Touches(ClientError error, int node, RangeMap before, RangeMap after) =>
        error.Ranges.IsEmpty || error.Ranges.Any(r => before.Of(r).Node == node || after.Of(r).Node == node);

    /// <summary>Of class 08 or an ending server's own words, or no words at all.</summary>
    private static bool IsConnection(string? sqlState) => sqlState is null or "57P01" or "57P02" or "57P03" || sqlState.StartsWith("08", StringComparison.Ordinal);
}
