using System.Collections.Immutable;
using System.Globalization;
using ShardProxy.Admin.Backend;
using ShardProxy.Admin.Views;
using ShardProxy.Model.Console;

namespace ShardProxy.Admin.Console.Commands;

/// <summary>EXPLAIN ROUTE and EXPLAIN PLAN: lines in one column, as PostgreSQL's EXPLAIN answers.</summary>
internal sealed class ExplainCommands(AdminBackend backend)
{
    public ConsoleReply Route(string sql) => Lines("ROUTE", backend.DataPlane.ExplainRoute(sql));

    public ConsoleReply Plan(int planId)
    {
        var plan = backend.Planner.Plans().FirstOrDefault(p => p.Id == planId)
            ?? throw ConsoleErrors.Undefined(string.Create(CultureInfo.InvariantCulture, $"plan {planId}"), "SHOW PLANS lists the plans that are kept.");
        return Lines("PLAN", [plan.Reason, .. plan.Steps.Select((step, i) => string.Create(CultureInfo.InvariantCulture, $"{i + 1}. {step}")), .. plan.Explanation]);
    }

    private static ConsoleReply Lines(string column, ImmutableArray<string> lines) =>
        ViewText.Reply(new ViewTable([ViewTable.Text(column)], [.. lines.Select(line => TopologyViews.Row(line))])) with { CommandTag = "EXPLAIN" };
}
