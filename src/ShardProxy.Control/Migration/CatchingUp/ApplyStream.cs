using Npgsql;
using ShardProxy.Control.Nodes;
using ShardProxy.Model.Topology;

namespace ShardProxy.Control.Migration.CatchingUp;

/// <summary>Publication, and the subscription by which PostgreSQL's own apply worker brings one node up to date with another's rows of the range.</summary>
internal static class ApplyStream
{
    /// <summary>Publishes the range's rows and the migration's markers. Not TRUNCATE: it passes row filters and would empty the other side, so the gate refuses it.</summary>
    public static async Task PublishAsync(MigrationContext context, NpgsqlConnection publisher, string stream, CancellationToken cancellationToken)
    {
        var tables = context.Tables.Select(t => $"TABLE ONLY {t.Sql} WHERE ({t.Predicate()})").Append($"TABLE shardproxy.marker WHERE (migration_id = {context.Id})");
        await publisher.RunAsync($"CREATE PUBLICATION {stream} FOR {string.Join(", ", tables)} WITH (publish = 'insert, update, delete')", cancellationToken);
    }

    /// <summary>Subscribes one node to the other by a slot that exists.</summary>
    /// <param name="context">The migration.</param>
    /// <param name="publisher">Where slot and publication are.</param>
    /// <param name="subscriber">Where the rows are applied.</param>
    /// <param name="stream">Name of all three.</param>
    /// <param name="isEnabled">Apply at once.</param>
    /// <param name="cancellationToken">Ends the call.</param>
    public static async Task SubscribeAsync(MigrationContext context, Node publisher, Node subscriber, string stream, bool isEnabled, CancellationToken cancellationToken)
    {
        await using var connection = await context.Connections.OpenAsync(subscriber, cancellationToken);

        // Applied is then not durable: the cutover makes it so by one synchronous commit.
        await connection.RunAsync(
            $"""
            CREATE SUBSCRIPTION {stream} CONNECTION {SqlIdentifier.Literal(context.Connections.SubscriptionString(publisher))} PUBLICATION {stream}
            WITH (copy_data = false, create_slot = false, slot_name = '{stream}', enabled = {(isEnabled ? "true" : "false")}, synchronous_commit = off)
            """,
            cancellationToken);
    }
}
