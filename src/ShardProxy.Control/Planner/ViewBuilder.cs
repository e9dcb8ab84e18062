using System.Collections.Immutable;
using ShardProxy.Model.Routing;
using ShardProxy.Planning.Forecasting;
using ShardProxy.Planning.History;
using ShardProxy.Planning.Placement;

namespace ShardProxy.Control.Planner;

/// <summary>Builds snapshots, and keeps the last forecasts of nodes to show beside what then came.</summary>
internal sealed class ViewBuilder(PlannerOptions options)
{
    private readonly Dictionary<(int NodeId, long Bin), double> _expected = [];

    public PlannerView Build(
        DateTimeOffset now, RoutingTable table, PlacementInput input, ImmutableArray<Forecast> nodeForecasts, long? lastBin, ImmutableArray<NodeBinLoad> nodes, ObservedLoad load)
    {
        var first = input.Ranges.IsEmpty ? 0 : input.Ranges[0].Forecast.FirstBin;
        var rangeLoads = lastBin is { } bin
            ? load.Read(h => input.Ranges.Select(r => r.Forecast.Range).ToDictionary(r => r.Id, r => h.RangeDetailsAt(r.GroupId, r.From, r.To, bin)))
            : [];
        var nodeRows = ImmutableArray.CreateBuilder<NodeLoadRow>(input.Nodes.Length);
        for (var n = 0; n < input.Nodes.Length; n++)
        {
            var node = input.Nodes[n];
            var seen = nodes.FirstOrDefault(x => x.NodeId == node.NodeId);
            var forecast = nodeForecasts[n];
            nodeRows.Add(new NodeLoadRow(
                node.NodeId, node.Name, node.Capacity, seen.StatementsPerSecond, seen.RowsPerSecond, seen.BytesPerSecond, seen.BusySecondsPerSecond,
                seen.PoolWaitSecondsPerSecond, seen.P99Micros / 1000,
                lastBin is { } at && _expected.TryGetValue((node.NodeId, at), out var expected) ? expected : double.NaN,
                forecast.Horizon > 0 ? forecast.Point[0] : double.NaN,
                forecast.Horizon > 0 ? forecast.Upper[0] : double.NaN));
            if (forecast.Horizon > 0)
            {
                _expected.TryAdd((node.NodeId, first), forecast.Point[0]);
            }
        }

        Forget(first);
        return new PlannerView
        {
            MadeAt = now,
            BinEnd = lastBin is { } shown ? new DateTimeOffset((shown + 1) * options.History.BinLength.Ticks, TimeSpan.Zero) : null,
            Nodes = nodeRows.MoveToImmutable(),
            Ranges = [.. input.Ranges.Select(r => r.Forecast).Select(f => new RangeLoadRow(
                f.Range.Id, f.Range.GroupId, f.Range.NodeId, rangeLoads.GetValueOrDefault(f.Range.Id), f.Forecast.Point[0], f.Forecast.Upper[0], f.Model,
                f.Score))],
            Forecasts = [.. input.Ranges.SelectMany(r => Rows(r.Forecast))],
        };
    }

    private IEnumerable<ForecastRow> Rows(RangeForecast forecast)
    {
        for (var h = 0; h < forecast.Forecast.Horizon; h++)
        {
            var at = new DateTimeOffset((forecast.FirstBin + h) * options.History.BinLength.Ticks, TimeSpan.Zero);
            yield return new ForecastRow(forecast.Range.Id, h + 1, at, forecast.Forecast.Point[h], forecast.Forecast.Lower[h], forecast.Forecast.Upper[h], forecast.Model);
        }
    }

    private void Forget(long bin)
    {
        foreach (var key in _expected.Keys.Where(k => k.Bin < bin - 4).ToList())
        {
            _expected.Remove(key);
        }
    }
}
