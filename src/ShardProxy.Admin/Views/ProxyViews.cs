using ShardProxy.Admin.Backend;
using static ShardProxy.Admin.Views.TopologyViews;
using static ShardProxy.Admin.Views.ViewTable;

namespace ShardProxy.Admin.Views;

/// <summary>This proxy itself: sessions, pools, statement shapes, configuration, version.</summary>
internal sealed class ProxyViews(AdminBackend backend)
{
    private const int MaxStatements = 500;

    public ViewTable Sessions() => new(
        [
            Integer("id"), Text("database"), Text("user"), Text("client"), Text("application"), Text("state"), Text("nodes"), Flag("pinned"),
            Text("pin_reason"), Time("connected_at"), Time("state_since"), Integer("statements"), Time("waiting_since"), Number("transaction_ms"),
            Number("query_ms"), Flag("tls"),
        ],
        [.. backend.DataPlane.Sessions().Select(s => Row(
            s.Id, s.Database, s.User, s.ClientAddress, s.ApplicationName, s.State, s.Nodes, s.IsPinned, s.PinReason, s.ConnectedAt, s.StateSince, s.Statements,
            s.WaitingSince, s.TransactionMs, s.QueryMs, s.IsEncrypted))]);

    public ViewTable Pools() => new(
        [
            Text("node"), Text("database"), Text("user"), Integer("idle"), Integer("leased"), Integer("opening"), Integer("waiting"), Integer("maximum"),
            Integer("waited_total"), Number("max_wait_ms"), Integer("minimum"), Integer("reserve"), Integer("reserve_in_use"), Number("longest_wait_ms"),
            Integer("opened"), Integer("closed"), Integer("errors"), Integer("timeouts"), Flag("paused"), Flag("workspace"),
        ],
        [.. backend.DataPlane.Pools().Select(p => Row(
            p.Node, p.Database, p.User, p.Idle, p.Leased, p.Opening, p.Waiting, p.Maximum, p.WaitedTotal, p.MaxWaitMs, p.Minimum, p.Reserve,
            p.ReserveInUse, p.LongestWaitMs, p.Opened, p.Closed, p.Errors, p.Timeouts, p.IsPaused, p.IsWorkspace))]);

    public ViewTable Redirections() => new(
        [Time("time"), Integer("range"), Text("shape"), Text("from"), Text("to"), Text("reason"), Number("held_ms")],
        [.. backend.DataPlane.Redirections().Select(r => Row(r.At, r.RangeId, r.Shape, r.From, r.To, r.Reason, Math.Round(r.HeldMs, 3)))]);

    public ViewTable Statements() => new(
        [
            Text("fingerprint"), Text("statement"), Text("route"), Integer("calls"), Integer("errors"), Integer("rows"), Number("total_ms"), Number("mean_ms"),
            Number("max_ms"),
        ],
        [.. backend.DataPlane.Statements(MaxStatements).Select(s => Row(
            s.Fingerprint, s.Text, s.Route, s.Calls, s.Errors, s.Rows, s.TotalMs, s.MeanMs, s.MaxMs))]);

    public ViewTable Config() => new(
        [Text("key"), Text("value"), Text("source")],
        [.. backend.Config.Settings().OrderBy(s => s.Key, StringComparer.Ordinal).Select(s => Row(s.Key, s.Value, s.Source))]);

    public ViewTable Version() => new(
        [Text("version"), Text("proxy_id"), Text("runtime"), Time("started_at"), Integer("epoch"), Integer("process_id"), Text("handover")],
        [Row(backend.Product.Version, backend.Product.ProxyId, backend.Product.Runtime, backend.Product.StartedAt, backend.Topology.Current.Epoch, backend.Product.ProcessId, backend.Product.Handover())]);
}
