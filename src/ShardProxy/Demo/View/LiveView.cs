using System.Globalization;
using Spectre.Console;

namespace ShardProxy.Demo.View;

/// <summary>The terminal view, drawn in place: nodes and ranges with their forecasts, migrations, latency.</summary>
internal sealed class LiveView(IAnsiConsole console) : IDemoView
{
    private const int BarWidth = 24;
    private const int SmallBarWidth = 12;
    private const int MostRanges = 24;
    private const int MostMigrations = 6;

    public void Say(string line) => console.MarkupLine(Markup.Escape(line));

    public Task ShowAsync(Func<Action<DemoFrame>, Task> workload) => console.Live(new Text(""))
        .AutoClear(true)
        .Overflow(VerticalOverflow.Crop)
        .StartAsync(context => workload(frame => context.UpdateTarget(Draw(frame))));

    /// <summary>A bar with a mark where the forecast was.</summary>
    internal static string Bar(double value, double full, double? mark, int width)
    {
        var filled = full > 0 ? (int)Math.Round(Math.Clamp(value / full, 0, 1) * width) : 0;
        var at = mark is { } m && full > 0 ? (int)Math.Round(Math.Clamp(m / full, 0, 1) * (width - 1)) : -1;
        return string.Create(width, (filled, at), (text, state) =>
        {
            for (var i = 0; i < text.Length; i++)
            {
                text[i] = i == state.at ? '|' : i < state.filled ? '█' : '·';
            }
        });
    }

    private static Rows Draw(DemoFrame frame) => new Rows(
        new Markup($"[bold]ShardProxy demo[/]  {Markup.Escape(frame.Phase)}, day {frame.Day}  {Fixed(frame.Elapsed.TotalSeconds)} of {Fixed(frame.Total.TotalSeconds)} s  (bar: load, | forecast)"),
        new Markup(
            $"latency from due time  p50 {Fixed(frame.P50Ms)} ms  [bold]p99 {Fixed(frame.P99Ms)} ms[/]" +
            (frame.OffP99Ms is { } off ? $"  (planner off: p99 {Fixed(off)} ms)" : "") +
            $"  open {frame.Open}  errors {(frame.Errors == 0 ? "[green]0[/]" : $"[red]{frame.Errors}[/]")}"),
        Nodes(frame),
        Migrations(frame),
        new Markup(frame.Plan.Length == 0 ? "" : $"[grey]plan: {Markup.Escape(frame.Plan)}[/]"),
        Ranges(frame));

    private static Table Nodes(DemoFrame frame)
    {
        var table = new Table().Border(TableBorder.Minimal).AddColumns("node", "load", "statements/s", "forecast", "waiting");
        foreach (var node in frame.Nodes)
        {
            var colour = node.PerSecond > 0.95 * node.Capacity ? "red" : node.PerSecond > 0.75 * node.Capacity ? "yellow" : "green";
            table.AddRow(
                Markup.Escape(node.Name), $"[{colour}]{Bar(node.PerSecond, node.Capacity, node.Forecast, BarWidth)}[/]",
                $"{Fixed(node.PerSecond)} of {Fixed(node.Capacity)}", node.Forecast is { } f ? Fixed(f) : "", node.Waiting == 0 ? "" : Fixed(node.Waiting));
        }

        return table;
    }

    private static Table Migrations(DemoFrame frame)
    {
        var table = new Table().Border(TableBorder.Minimal).AddColumns("migration", "move", "progress", "state", "left");
        foreach (var m in frame.Migrations.TakeLast(MostMigrations))
        {
            var share = m.State == "done" ? 1 : m.RowsTotal > 0 ? m.RowsDone / m.RowsTotal : 0;
            table.AddRow(
                Fixed(m.Id), Markup.Escape($"range {m.Range} {m.Source} → {m.Target}"), Bar(share, 1, null, SmallBarWidth), Markup.Escape(m.State),
                m.State == "done" ? $"stall {Fixed(m.StallMs ?? 0)} ms" : m.EtaSeconds is { } eta ? $"{Fixed(eta)} s" : "");
        }

        return table;
    }

    private static Table Ranges(DemoFrame frame)
    {
        var full = Math.Max(1, frame.Ranges.Select(r => Math.Max(r.PerSecond, r.Forecast ?? 0)).DefaultIfEmpty(0).Max());
        var table = new Table().Border(TableBorder.Minimal).AddColumns("range", "node", "load", "statements/s", "forecast", "state");
        foreach (var range in frame.Ranges.Take(MostRanges))
        {
            table.AddRow(
                Fixed(range.Id), Markup.Escape(range.Node), Bar(range.PerSecond, full, range.Forecast, BarWidth), Fixed(range.PerSecond),
                range.Forecast is { } f ? Fixed(f) : "", Markup.Escape(range.State));
        }

        if (frame.Ranges.Length > MostRanges)
        {
            table.AddRow("…", $"{frame.Ranges.Length - MostRanges} more");
        }

        return table;
    }

    private static string Fixed(double value) => value.ToString("F0", CultureInfo.InvariantCulture);
}
