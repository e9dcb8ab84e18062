using System.Collections.Immutable;

namespace ShardProxy.Demo.Accounting;

/// <summary>What a <see cref="RowAudit"/> found.</summary>
/// <param name="Expected">Rows that must exist.</param>
/// <param name="Read">Account rows read, and accounts with entries.</param>
/// <param name="Findings">Everything that differs.</param>
/// <param name="Examples">The first few of them.</param>
internal sealed record RowAuditReport(long Expected, long Read, int Findings, ImmutableArray<string> Examples)
{
    public bool IsClean => Findings == 0;
}
