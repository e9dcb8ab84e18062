using System.Globalization;
using System.Text;

namespace ShardProxy.Stress.Tests.Faults;

/// <summary>What came of every cell, as a Markdown table: a row for each place in a move, a column for each fault.</summary>
internal static class FaultReport
{
    public static string Of(FaultCampaign campaign, int seed, CatalogKind catalog)
    {
        var text = new StringBuilder();
        text.AppendLine("# Faults at every step of a move").AppendLine();
        text.AppendLine(Invariant($"Seed {seed}, catalog {catalog}. {campaign.Results.Count} faults, {campaign.Violations.Count()} violations. A cell says how the migrations ended, and how often.")).AppendLine();
        var columns = campaign.Cells.Select(c => c.What).Distinct().ToList();
        text.AppendLine($"| step | {string.Join(" | ", columns)} |").AppendLine($"|---|{string.Concat(columns.Select(_ => "---|"))}");
        foreach (var place in campaign.Cells.Select(c => c.Place).Distinct())
        {
            var cells = columns.Select(column => Outcomes([.. campaign.Results.Where(r => r.Cell.Place == place && r.Cell.What == column)], campaign.Cells.Any(c => c.Place == place && c.What == column)));
            text.AppendLine($"| {place} | {string.Join(" | ", cells)} |");
        }

        foreach (var violation in campaign.Violations)
        {
            text.AppendLine().AppendLine("VIOLATION " + violation);
        }

        return text.ToString();
    }

    private static string Outcomes(List<FaultResult> results, bool isCell)
    {
        if (!isCell)
        {
            return "–";
        }

        var counts = results.GroupBy(r => r.Outcome ?? "not reached").OrderByDescending(g => g.Count()).Select(g => Invariant($"{g.Key} {g.Count()}"));
        var violations = results.Count(r => r.Violations.Count > 0);
        return string.Join(", ", counts) + (violations > 0 ? Invariant($" **{violations} VIOLATED**") : "");
    }

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
