using System.Collections.Immutable;

namespace ShardProxy.Model.Metrics;

/// <summary>
/// One metric, as it is exposed and documented. The instrument in code bears the same name; a histogram that is read from its
/// owner's own counters is three observable counters, see <see cref="BucketInstrument"/>.
/// </summary>
/// <param name="Name">Prometheus name: base unit in it, <c>_total</c> for counters.</param>
/// <param name="Type">Counter, gauge or histogram.</param>
/// <param name="Unit">UCUM-like word: seconds, bytes, ratio, or what is counted.</param>
/// <param name="Help">One sentence.</param>
/// <param name="Meter">The meter its instrument is on.</param>
/// <param name="Labels">Label names, in the order they are written.</param>
public sealed record MetricDefinition(string Name, MetricType Type, string Unit, string Help, string Meter, ImmutableArray<string> Labels)
{
    /// <summary>Upper bounds of a histogram's buckets, ascending, without +Inf.</summary>
    public ImmutableArray<double> Buckets { get; init; } = [];

    /// <summary>Most label sets at a time; those beyond are summed into one whose labels all are <c>other</c>.</summary>
    public int MaxSeries { get; init; } = 64;

    /// <summary>Observable counter with the cumulative count per bucket, label <c>le</c> last (<c>+Inf</c> for all).</summary>
    public string BucketInstrument => Name + "_bucket";

    /// <summary>Observable counter with the sum of all values.</summary>
    public string SumInstrument => Name + "_sum";

    /// <summary>Observable counter with the number of values.</summary>
    public string CountInstrument => Name + "_count";
}
