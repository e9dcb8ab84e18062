using System.Collections.Immutable;
using System.Globalization;
using ShardProxy.Demo.Accounting;

namespace ShardProxy.Demo;

/// <summary>What the demo showed, and whether it holds.</summary>
internal sealed record DemoSummary
{
    public required double OffImbalance { get; init; }

    public required double OnImbalance { get; init; }

    public required double OffP99Ms { get; init; }

    public required double OnP99Ms { get; init; }

    public required double OffP50Ms { get; init; }

    public required double OnP50Ms { get; init; }

    public required long StatementsEachPhase { get; init; }

    public required ImmutableArray<DemoConsole.MigrationRow> Migrations { get; init; }

    public required long ClientErrors { get; init; }

    public required IReadOnlyList<string> ErrorExamples { get; init; }

    public required bool AreAllAnswered { get; init; }

    public required RowAuditReport Audit { get; init; }

    public required double UncappedPerSecond { get; init; }

    public required double CapPerNode { get; init; }

    public required int Nodes { get; init; }

    /// <summary>No client error, every statement answered, every row accounted for, nothing left half-moved.</summary>
    public bool Holds => ClientErrors == 0 && AreAllAnswered && Audit.IsClean && Migrations.All(m => m.IsOver);

    public IEnumerable<string> Lines()
    {
        var done = Migrations.Where(m => m.State == "done" && m.Range.Length > 0).ToList();
        yield return "";
        yield return "                        planner off   planner on";
        yield return Text($"imbalance (max/mean)    {OffImbalance,11:F2}   {OnImbalance,10:F2}");
        yield return Text($"latency p50, ms         {OffP50Ms,11:F1}   {OnP50Ms,10:F1}");
        yield return Text($"latency p99, ms         {OffP99Ms,11:F1}   {OnP99Ms,10:F1}");
        yield return Text($"statements              {StatementsEachPhase,11}   {StatementsEachPhase,10}   (the same arrivals)");
        yield return "";
        yield return Text($"caps                    {Nodes} x {CapPerNode:F0} = {Nodes * CapPerNode:F0} statements/s, {100 * Nodes * CapPerNode / UncappedPerSecond:F0} % of the {UncappedPerSecond:F0} measured uncapped");
        yield return Text($"moves made              {done.Count}");
        yield return Text($"longest client stall    {done.Select(m => m.StallMs ?? 0).DefaultIfEmpty(0).Max():F0} ms");
        yield return Text($"client errors           {ClientErrors}");
        foreach (var example in ErrorExamples)
        {
            yield return $"  {example}";
        }

        yield return Text($"rows verified           {done.Sum(m => m.RowsVerified):F0} while moving");
        foreach (var failed in Migrations.Where(m => m.State is not "done"))
        {
            yield return Text($"  migration {failed.Id} ended as {failed.State}: {failed.Error}");
        }

        if (!AreAllAnswered)
        {
            yield return "some statements were never answered";
        }

        yield return Audit.IsClean
            ? Text($"all rows accounted for  ({Audit.Expected} rows, each on one node, as its clients were told)")
            : Text($"rows NOT accounted for: {Audit.Findings} differences");
        foreach (var example in Audit.Examples)
        {
            yield return $"  {example}";
        }
    }

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
