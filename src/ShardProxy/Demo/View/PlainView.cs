using System.Globalization;

namespace ShardProxy.Demo.View;

/// <summary>One line every few seconds, for logs and pipes.</summary>
internal sealed class PlainView(TextWriter output, TimeSpan pace) : IDemoView
{
    private TimeSpan _next;
    private string _phase = "";

    public void Say(string line)
    {
        output.WriteLine(line);
        output.Flush();
    }

    public Task ShowAsync(Func<Action<DemoFrame>, Task> workload) => workload(Show);

    private void Show(DemoFrame frame)
    {
        if (frame.Elapsed < _next && frame.Phase == _phase)
        {
            return;
        }

        _next = frame.Elapsed + pace;
        _phase = frame.Phase;
        var nodes = string.Join("  ", frame.Nodes.Select(n => string.Create(
            CultureInfo.InvariantCulture,
            $"{n.Name} {n.PerSecond:F0}/{n.Capacity:F0}{(n.Forecast is { } f ? $" (forecast {f:F0})" : "")}{(n.Waiting > 0 ? $" {n.Waiting} waiting" : "")}")));
        var running = frame.Migrations.LastOrDefault(m => !m.IsOver);
        var migration = running is null
            ? ""
            : string.Create(CultureInfo.InvariantCulture, $"  moving range {running.Range} {running.Source}->{running.Target}: {running.State}, {running.RowsDone:F0} of {running.RowsTotal:F0} rows");
        Say(string.Create(
            CultureInfo.InvariantCulture,
            $"[{frame.Elapsed.TotalSeconds,5:F1}s of {frame.Total.TotalSeconds:F0}s] {frame.Phase}, day {frame.Day}  {nodes}  p50 {frame.P50Ms:F0} ms, p99 {frame.P99Ms:F0} ms  errors {frame.Errors}  moves {frame.Migrations.Count(m => m.State == "done")}{migration}"));
    }
}
