using System.Globalization;
using System.Text;
using ShardProxy.Model.Metrics;

namespace ShardProxy.Unit.Tests.Admin.Metrics;

/// <summary>docs/metrics.md, written from the catalog.</summary>
internal static class MetricsDocument
{
    public static string Render()
    {
        var text = new StringBuilder();
        text.Append(
            """
            # Metrics

            The admin port serves these at `/metrics` in Prometheus' text format. This page is written from `MetricCatalog`
            (src/ShardProxy.Model/Metrics/MetricCatalog.cs) and checked against it by a test; nothing else is served.

            - Labels hold node names, range ids and words of this project, never query text or a user's value.
            - Each metric has a bound on its label sets. Those beyond it are summed into one series whose labels all are `other`;
              `shardproxy_metrics_overflow` says how many there are. A label set in that sum stays in it until the process ends, so that
              no counter goes down.
            - The instrument in code (`System.Diagnostics.Metrics`) bears the metric's name. Hot-path histograms are three observable
              counters, `…_bucket` (label `le`), `…_sum` and `…_count`: `DurationHistogram.Publish` makes them.
            - A metric appears once something has been measured for it.

            """);
        foreach (var meter in MetricCatalog.All.GroupBy(m => m.Meter))
        {
            text.Append(CultureInfo.InvariantCulture, $"\n## {Title(meter.Key)}\n\nMeter `{meter.Key}`.\n\n");
            text.Append("| name | type | unit | labels | at most | help |\n|---|---|---|---|---|---|\n");
            foreach (var metric in meter)
            {
                var labels = metric.Labels.IsEmpty ? "" : string.Join(", ", metric.Labels.Select(l => $"`{l}`"));
                var most = metric.Labels.IsEmpty ? "1" : metric.MaxSeries.ToString(CultureInfo.InvariantCulture);
                text.Append(CultureInfo.InvariantCulture, $"| `{metric.Name}` | {metric.Type.ToString().ToLowerInvariant()} | {metric.Unit} | {labels} | {most} | {metric.Help} |\n");
            }
        }

        text.Append("\n## Buckets\n\nUpper bounds in seconds; `+Inf` follows.\n\n");
        foreach (var metric in MetricCatalog.All.Where(m => m.Type == MetricType.Histogram))
        {
            text.Append(CultureInfo.InvariantCulture, $"- `{metric.Name}`: {string.Join(", ", metric.Buckets.Select(b => b.ToString("R", CultureInfo.InvariantCulture)))}\n");
        }

        return text.ToString();
    }

    private static string Title(string meter) => meter switch
    {
        MetricMeters.DataPath => "The data path",
        MetricMeters.Admin => "Sessions, pools, load, forecasts, migrations",
        MetricMeters.Process => "The process",
        _ => throw new ArgumentOutOfRangeException(nameof(meter)),
    };
}
