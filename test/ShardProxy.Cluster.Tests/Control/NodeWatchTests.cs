using NUnit.Framework;
using ShardProxy.Control.Migration;
using ShardProxy.Control.Watching;

namespace ShardProxy.Cluster.Tests.Control;

/// <summary>
/// Protects the figures that alerts are made of: a slot of a migration is seen with the WAL it keeps back and whether it is read, a prepared transaction with its
/// age, a running migration with its step, and what is gone is gone from the figures too.
/// </summary>
internal sealed class NodeWatchTests
{
    [Test]
    [CancelAfter(60_000)]
    public async Task Slots_prepared_transactions_and_migrations_are_seen_while_they_are_there(CancellationToken cancellationToken)
    {
        await using var harness = await ControlHarness.StartAsync(new MigrationOptions { RollbackWindow = TimeSpan.Zero });
        var watch = new NodeWatch(harness.Catalog, harness.Connections, harness.Migrations.List, TimeProvider.System);
        await harness.LoadAccountsAsync(100);
        Assert.That(await watch.RoundAsync(cancellationToken), Is.EqualTo(harness.Nodes.Length));
        Assert.That((watch.LastSlots.Length, watch.LastMigrations.Length, watch.LastNodes.Sum(n => n.Prepared)), Is.EqualTo((0, 0, 0)));

        // As a migration is about to copy: its slot is there, and nobody reads it yet.
        harness.Migrations.BeforeStep = async (_, step) =>
        {
            if (step == "copy")
            {
                await harness.ExecuteAsync(1, "UPDATE account SET balance = balance + 1");
                await using (var connection = await harness.OpenAsync(1))
                {
                    await using var command = new Npgsql.NpgsqlCommand("BEGIN; INSERT INTO history VALUES (0, 0); PREPARE TRANSACTION 'shardproxy:watched:1:1:1:1'", connection);
                    await command.ExecuteNonQueryAsync(cancellationToken);
                }

                await watch.RoundAsync(cancellationToken);
                await harness.ExecuteAsync(1, "ROLLBACK PREPARED 'shardproxy:watched:1:1:1:1'");
            }
        };
        var moved = await harness.Migrations.MoveAsync(1, "node2", cancellationToken);
        Assert.That(moved.Error, Is.Null, moved.Error?.Detail);
        var slot = watch.LastSlots.Single();
        Assert.That((slot.Node, slot.Slot, slot.IsActive), Is.EqualTo(("node1", slot.Slot, false)));
        Assert.That(slot.Slot, Does.Match($"^shardproxy_.*{moved.MigrationId}$"));
        Assert.That(slot.RetainedBytes, Is.GreaterThan(0));
        Assert.That(slot.LagBytes, Is.GreaterThan(0));
        var move = watch.LastMigrations.Single();
        Assert.That((move.Id, move.RangeId, move.State), Is.EqualTo((moved.MigrationId!.Value, 1, "copying")));
        Assert.That(move.IdleSeconds, Is.InRange(0, 60));
        var home = watch.LastNodes.Single(n => n.Node == "node1");
        Assert.That((home.Prepared, home.Replicas), Is.EqualTo((1, 0)));
        Assert.That(home.OldestPreparedSeconds, Is.InRange(0, 60).And.GreaterThan(0));
        await watch.RoundAsync(cancellationToken);
        Assert.That((watch.LastSlots.Length, watch.LastNodes.Sum(n => n.Prepared)), Is.EqualTo((0, 0)));
    }
}
