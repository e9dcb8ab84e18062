using ShardProxy.Control.Nodes;
using ShardProxy.Model.Topology;

namespace ShardProxy.Control.Migration.CatchingUp;

/// <summary>The subscription by which PostgreSQL's own apply worker brings the target up to date.</summary>
internal static class ApplyStream
{
    public static async Task StartAsync(MigrationContext context, CancellationToken cancellationToken)
    {
        var stream = MigrationNames.Stream(context.Id);
        await using var connection = await context.Connections.OpenAsync(context.Target, cancellationToken);

        // Applied is then not durable: the cutover makes it so by one synchronous commit.
        await connection.RunAsync(
            $"""
            CREATE SUBSCRIPTION {stream} CONNECTION {SqlIdentifier.Literal(context.Connections.SubscriptionString(context.Source))} PUBLICATION {stream}
            WITH (copy_data = false, create_slot = false, slot_name = '{stream}', enabled = true, synchronous_commit = off)
            """,
            cancellationToken);
    }
}
