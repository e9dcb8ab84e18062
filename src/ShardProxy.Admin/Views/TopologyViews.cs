using System.Collections.Immutable;
using ShardProxy.Admin.Backend;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Topology;
using static ShardProxy.Admin.Views.ViewTable;

namespace ShardProxy.Admin.Views;

/// <summary>Nodes, tables, groups and ranges, each from one routing snapshot.</summary>
internal sealed class TopologyViews(AdminBackend backend)
{
    public ViewTable Nodes()
    {
        var routing = backend.Topology.Current;
        var load = LoadOf(LoadSubject.Node);
        return new ViewTable(
            [Integer("id"), Text("name"), Text("host"), Integer("port"), Flag("home"), Text("state"), Number("capacity"), Integer("ranges"), Number("load")],
            [.. routing.Nodes.OrderBy(n => n.Id).Select(node => Row(
                node.Id,
                node.Name,
                node.Host,
                node.Port,
                node.IsHome,
                Lower(backend.Topology.StateOf(node.Id).ToString()),
                node.Capacity > 0 ? node.Capacity : null,
                routing.Groups.Sum(g => g.Ranges.Count(r => r.NodeId == node.Id)),
                load.TryGetValue(node.Id, out var calls) ? calls : null))]);
    }

    public ViewTable Tables()
    {
        var routing = backend.Topology.Current;
        return new ViewTable(
            [Text("schema"), Text("table"), Text("placement"), Text("group"), Text("key"), Text("state")],
            [.. routing.Tables
                .Where(t => t.Parent is null)
                .OrderBy(t => t.Name.Schema, StringComparer.Ordinal)
                .ThenBy(t => t.Name.Name, StringComparer.Ordinal)
                .Select(table => Row(
                    table.Name.Schema,
                    table.Name.Name,
                    Lower(table.Placement.ToString()),
                    table.Placement == TablePlacement.Sharded ? GroupName(routing, table.GroupId) : null,
                    table.Placement == TablePlacement.Sharded ? string.Join(", ", table.KeyColumns.Select(i => table.Columns[i].Name)) : null,
                    table.IsChanging ? "changing" : "active"))]);
    }

    public ViewTable Groups()
    {
        var routing = backend.Topology.Current;
        return new ViewTable(
            [Integer("id"), Text("name"), Text("method"), Text("key_types"), Integer("tables"), Integer("ranges"), Integer("nodes")],
            [.. routing.Groups.OrderBy(g => g.Id).Select(group => Row(
                group.Id,
                group.Name,
                Lower(group.Method.ToString()),
                string.Join(", ", group.KeyTypes.Select(k => Lower(k.ToString()))),
                routing.Tables.Count(t => t.GroupId == group.Id && t.Placement == TablePlacement.Sharded && t.Parent is null),
                group.Ranges.Length,
                group.Ranges.Select(r => r.NodeId).Distinct().Count()))]);
    }

    public async ValueTask<ViewTable> RangesAsync(CancellationToken cancellationToken)
    {
        var sizes = await backend.RangeStatistics.SizesAsync(cancellationToken).ConfigureAwait(false);
        var routing = backend.Topology.Current;
        var load = LoadOf(LoadSubject.Range);
        return new ViewTable(
            [
                Integer("id"), Text("group"), Text("from"), Text("to"), Text("node"), Text("state"), Integer("rows"), Integer("bytes"),
                Number("load"),
            ],
            [.. routing.Groups.OrderBy(g => g.Id).SelectMany(group => group.Ranges.Select(range =>
            {
                RangeSize? size = sizes.TryGetValue(range.Id, out var known) ? known : null;
                return Row(
                    range.Id,
                    group.Name,
                    group.BoundText(range.From),
                    group.BoundText(range.To),
                    routing.Node(range.NodeId).Name,
                    RangeStates.Word(routing.MoveOf(range.Id)),
                    size?.Rows,
                    size?.Bytes,
                    load.TryGetValue(range.Id, out var calls) ? calls : null);
            }))]);
    }

    internal static string? GroupName(RoutingTable routing, int groupId) => routing.FindGroup(groupId)?.Name;

    internal static ImmutableArray<object?> Row(params ImmutableArray<object?> cells) => cells;

    private Dictionary<int, double> LoadOf(LoadSubject subject) =>
        backend.Planner.Load().Where(l => l.Subject == subject).ToDictionary(l => l.Id, l => l.CallsPerSecond);

    private static string Lower(string word) => word.ToLowerInvariant();
}
