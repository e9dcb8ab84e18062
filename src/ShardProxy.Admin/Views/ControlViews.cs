using System.Globalization;
using ShardProxy.Admin.Backend;
using static ShardProxy.Admin.Views.TopologyViews;
using static ShardProxy.Admin.Views.ViewTable;

namespace ShardProxy.Admin.Views;

/// <summary>Load, forecasts, plans and migrations.</summary>
internal sealed class ControlViews(AdminBackend backend)
{
    public ViewTable Load()
    {
        var routing = backend.Topology.Current;
        return new ViewTable(
            [
                Text("kind"), Integer("id"), Text("name"), Number("calls_s"), Number("write_share"), Number("rows_s"), Number("bytes_s"),
                Number("busy"), Time("window_end"),
            ],
            [.. backend.Planner.Load().Select(load => Row(
                load.Subject == LoadSubject.Node ? "node" : "range",
                load.Id,
                load.Subject == LoadSubject.Node
                    ? NodeName(load.Id)
                    : routing.FindRange(load.Id) is { } range ? GroupName(routing, range.GroupId) : null,
                load.CallsPerSecond,
                load.WriteShare,
                load.RowsPerSecond,
                load.BytesPerSecond,
                load.BusyShare,
                load.WindowEnd))]);
    }

    public ViewTable Forecasts() => new(
        [Integer("range"), Integer("step"), Time("at"), Number("forecast"), Number("lower"), Number("upper"), Text("model")],
        [.. backend.Planner.Forecasts()
            .OrderBy(f => f.RangeId)
            .ThenBy(f => f.Step)
            .Select(f => Row(f.RangeId, f.Step, f.At, f.Forecast, f.Lower, f.Upper, f.Model))]);

    public ViewTable Plans() => new(
        [Integer("id"), Time("made_at"), Text("mode"), Text("state"), Integer("steps"), Text("summary"), Text("reason")],
        [.. backend.Planner.Plans().Select(plan => Row(
            plan.Id,
            plan.MadeAt,
            plan.Mode.ToString().ToLowerInvariant(),
            plan.State,
            plan.Steps.Length,
            string.Join("; ", plan.Steps),
            plan.Reason))]);

    public ViewTable Migrations()
    {
        var routing = backend.Topology.Current;
        return new ViewTable(
            [
                Integer("id"), Text("group"), Integer("range"), Text("source"), Text("target"), Text("state"), Integer("rows_done"),
                Integer("rows_total"), Number("eta_s"), Integer("rows_verified"), Number("stall_ms"), Text("error"),
            ],
            [.. backend.Migrations.Migrations().OrderBy(m => m.Id).Select(m => Row(
                m.Id,
                m.Group,
                m.RangeId,
                NodeName(m.SourceNodeId),
                m.TargetNodeId is { } target ? NodeName(target) : null,
                MigrationStates.Word(m.State),
                m.RowsDone,
                m.RowsTotal,
                m.RemainingSeconds,
                m.RowsVerified,
                m.StallMs,
                m.Error))]);
    }

    public ViewTable Drift() => new(
        [Text("schema"), Text("table"), Text("node"), Text("difference")],
        [.. backend.Drift.Drift().Select(d => Row(d.Table.Schema, d.Table.Name, d.Node, d.Difference))]);

    public ViewTable Proxies() => new(
        [Text("proxy"), Text("address"), Text("role"), Text("state"), Integer("epoch"), Number("silent_s")],
        [.. backend.Fleet.Proxies().Select(p => Row(p.Id, p.Address, (p.IsLeading ? "leads" : "follows") + (p.IsThis ? ", this one" : ""), p.State, p.Epoch, Math.Round(p.SilentSeconds, 1)))]);

    /// <summary>A node's name; its number when it has been removed since.</summary>
    private string NodeName(int nodeId) =>
        backend.Topology.Current.Nodes.FirstOrDefault(n => n.Id == nodeId)?.Name ?? nodeId.ToString(CultureInfo.InvariantCulture);
}
