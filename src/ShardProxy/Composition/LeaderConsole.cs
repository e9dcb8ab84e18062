using ShardProxy.Admin.Backend;
using ShardProxy.Control;
using ShardProxy.Control.Fleet;
using ShardProxy.Handover;
using ShardProxy.Model.Console;

namespace ShardProxy.Composition;

/// <summary>What a proxy that follows cannot do itself it passes on; not in a hand-over, whose two processes are one proxy.</summary>
internal sealed class LeaderConsole(ControlPlane control, ConsoleRelay relay, ProcessHandover handover) : ILeaderConsole
{
    public bool IsElsewhere => !control.IsLeading && !handover.IsOlderThere && relay.Leader is not null;

    public ValueTask<ConsoleReply> AskAsync(string statement, string user, CancellationToken cancellationToken) => relay.AskAsync(statement, user, cancellationToken);
}
