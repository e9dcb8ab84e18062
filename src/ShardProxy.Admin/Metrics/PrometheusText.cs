using System.Globalization;
using System.Text;
using ShardProxy.Model.Metrics;

namespace ShardProxy.Admin.Metrics;

/// <summary>
/// Prometheus' text exposition format 0.0.4 (Prometheus documentation, "Exposition formats"). A family without a series is left out.
/// </summary>
internal static class PrometheusText
{
    public const string ContentType = "text/plain; version=0.0.4; charset=utf-8";

    public static void Write(TextWriter writer, MetricFamily family)
    {
        var definition = family.Definition;
        if (definition.Type == MetricType.Histogram)
        {
            WriteHistograms(writer, family);
            return;
        }

        var isFirst = true;
        foreach (var (key, value) in family.Values())
        {
            if (isFirst)
            {
                WriteHead(writer, definition);
                isFirst = false;
            }

            WriteSample(writer, definition.Name, definition, key, le: null, value);
        }
    }

    /// <summary>HELP text escapes backslash and line feed, label values the double quote too.</summary>
    public static string Escape(string text, bool isLabel)
    {
        if (text.AsSpan().IndexOfAny("\\\n\"") < 0)
        {
            return text;
        }

        var escaped = new StringBuilder(text.Length + 8);
        foreach (var c in text)
        {
            escaped.Append(c switch
            {
                '\\' => "\\\\",
                '\n' => "\\n",
                '"' when isLabel => "\\\"",
                _ => c.ToString(),
            });
        }

        return escaped.ToString();
    }

    /// <summary>A number as Go's parser reads it.</summary>
    public static string Number(double value) => value switch
    {
        double.PositiveInfinity => "+Inf",
        double.NegativeInfinity => "-Inf",
        double.NaN => "NaN",
        _ => value.ToString("R", CultureInfo.InvariantCulture),
    };

    private static void WriteHistograms(TextWriter writer, MetricFamily family)
    {
        var definition = family.Definition;
        var isFirst = true;
        foreach (var (key, point) in family.Histograms())
        {
            if (isFirst)
            {
                WriteHead(writer, definition);
                isFirst = false;
            }

            var counts = point.Cumulative;
            for (var i = 0; i < counts.Length; i++)
            {
                var bound = i < point.Bounds.Length ? Number(point.Bounds[i]) : "+Inf";
                WriteSample(writer, definition.BucketInstrument, definition, key, bound, counts[i]);
            }

            WriteSample(writer, definition.SumInstrument, definition, key, le: null, point.Sum);
            WriteSample(writer, definition.CountInstrument, definition, key, le: null, point.Count);
        }
    }

    private static void WriteHead(TextWriter writer, MetricDefinition definition)
    {
        writer.Write($"# HELP {definition.Name} {Escape(definition.Help, isLabel: false)}\n");
        writer.Write($"# TYPE {definition.Name} {definition.Type.ToString().ToLowerInvariant()}\n");
    }

    private static void WriteSample(TextWriter writer, string name, MetricDefinition definition, SeriesKey key, string? le, double value)
    {
        writer.Write(name);
        var separator = '{';
        for (var i = 0; i < definition.Labels.Length; i++)
        {
            writer.Write($"{separator}{definition.Labels[i]}=\"{Escape(key.Values[i], isLabel: true)}\"");
            separator = ',';
        }

        if (le is not null)
        {
            writer.Write($"{separator}le=\"{le}\"");
            separator = ',';
        }

        writer.Write(separator == '{' ? " " : "} ");
        writer.Write(Number(value));
        writer.Write('\n');
    }
}
