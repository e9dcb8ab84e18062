using ShardProxy.Model.Fleet;

namespace ShardProxy.DataPath.Servers;

/// <summary>
/// A new server connection makes itself known to the node as this proxy's, and is refused where the proxy is barred (DESIGN section 6): a proxy that slept while a
/// range was moved must not reach rows by a routing table of before.
/// </summary>
internal static class NodeEntry
{
    private const string BarredConstraint = "shardproxy_expelled";

    /// <summary>Enters. A barred proxy waits until it has joined the others again, which takes the truth over, and enters under its new name.</summary>
    /// <exception cref="ServerUnavailableException">The node refuses for another reason.</exception>
    /// <exception cref="OperationCanceledException">It has not joined in time.</exception>
    public static async ValueTask EnterAsync(ServerConnection server, DataPathOptions options, CancellationToken cancellationToken)
    {
        // Other databases hold nothing that is sharded.
        if (options.Identity is not { } identity || !string.Equals(server.Key.Database, options.Database, StringComparison.Ordinal))
        {
            return;
        }

        // A node that says nothing any more is given up with its connection.
        await using var deadline = cancellationToken.Register(static s => ((ServerConnection)s!).Abort(), server);
        while (true)
        {
            var instance = identity.Instance;

            // Under an older snapshot a bar that is there already would not be seen.
            var entered = await SideDialog.RunAsync(server, $"BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SELECT shardproxy.enter('{instance}'); COMMIT").ConfigureAwait(false);
            if (entered.IsOk)
            {
                return;
            }

            var isBarred = entered.Error is { SqlState: GateMarker.SqlState } error && string.Equals(error.Constraint, BarredConstraint, StringComparison.Ordinal);
            if (!isBarred)
            {
                server.Abort();
                throw new ServerUnavailableException(entered.ErrorPayload!);
            }

            await SideDialog.RunAsync(server, "ROLLBACK").ConfigureAwait(false);
            await identity.RenewedAsync(instance).WaitAsync(cancellationToken).ConfigureAwait(false);
        }
    }
}
