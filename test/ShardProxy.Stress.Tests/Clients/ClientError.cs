using System.Collections.Immutable;
using System.Globalization;

namespace ShardProxy.Stress.Tests.Clients;

/// <summary>What a client was told, or that its connection ended.</summary>
/// <param name="At">Time stamp of the system's time provider.</param>
/// <param name="Proxy">Index of the proxy it was connected to.</param>
/// <param name="Ranges">Ranges of the rows that it was about; empty: all.</param>
/// <param name="IsBlock">In an explicit transaction.</param>
/// <param name="SqlState">Of the error; null when the connection ended or could not be opened.</param>
/// <param name="Message">Its text.</param>
internal sealed record ClientError(long At, int Proxy, ImmutableArray<int> Ranges, bool IsBlock, string? SqlState, string Message)
{
    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture, $"proxy {Proxy + 1}, {(Ranges.IsEmpty ? "all ranges" : "range " + string.Join(" and ", Ranges))}{(IsBlock ? ", in a block" : "")}: {SqlState ?? "connection"} {Message}");
}
