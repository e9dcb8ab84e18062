using Npgsql;
using NUnit.Framework;
using ShardProxy.Control.Transactions;

namespace ShardProxy.Cluster.Tests.Control;

/// <summary>
/// Protects two-phase commits whose coordinator is gone: committed everywhere when the decision was recorded, nowhere when it was not, and a
/// coordinator that decides right now is left alone.
/// </summary>
internal sealed class InDoubtResolverTests
{
    [Test]
    public async Task A_recorded_decision_is_carried_out_and_a_missing_one_is_an_abort_for_good()
    {
        await using var harness = await ControlHarness.StartAsync();
        var resolver = new InDoubtResolver(harness.Catalog, harness.Connections, TimeSpan.Zero);
        var (committed, aborted) = (Gid(harness, 1), Gid(harness, 2));
        await harness.ExecuteAsync(2, $"BEGIN; INSERT INTO account VALUES (1, 1, 'c'); PREPARE TRANSACTION '{committed}'");
        await harness.ExecuteAsync(2, $"BEGIN; INSERT INTO account VALUES (2, 2, 'a'); PREPARE TRANSACTION '{aborted}'");
        await harness.ExecuteAsync(1, $"SELECT shardproxy.record_commit('{committed}')");
        Assert.That(await resolver.ResolveAsync(CancellationToken.None), Is.EqualTo(2));
        Assert.That(await harness.ScalarAsync<string>(2, "SELECT string_agg(note, ',') FROM account"), Is.EqualTo("c"));
        var late = Assert.ThrowsAsync<PostgresException>(() => harness.ExecuteAsync(1, $"SELECT shardproxy.record_commit('{aborted}')"))!;
        Assert.That(late.SqlState, Is.EqualTo(PostgresErrorCodes.UniqueViolation), "the coordinator that wakes cannot commit any more");
    }

    [Test]
    public async Task A_decision_in_flight_and_young_transactions_are_left_alone()
    {
        await using var harness = await ControlHarness.StartAsync();
        var gid = Gid(harness, 3);
        await harness.ExecuteAsync(2, $"BEGIN; INSERT INTO account VALUES (1, 1, 'c'); PREPARE TRANSACTION '{gid}'");
        Assert.That(await new InDoubtResolver(harness.Catalog, harness.Connections, TimeSpan.FromHours(1)).ResolveAsync(CancellationToken.None), Is.Zero, "young");
        var resolver = new InDoubtResolver(harness.Catalog, harness.Connections, TimeSpan.Zero);
        await using (var coordinator = await harness.OpenAsync(1))
        await using (var transaction = await coordinator.BeginTransactionAsync())
        {
            await using var record = new NpgsqlCommand($"SELECT shardproxy.record_commit('{gid}')", coordinator, transaction);
            await record.ExecuteNonQueryAsync();
            Assert.That(await resolver.ResolveAsync(CancellationToken.None), Is.Zero, "in flight");
            await transaction.CommitAsync();
        }

        Assert.That(await resolver.ResolveAsync(CancellationToken.None), Is.EqualTo(1));
        Assert.That(await harness.ScalarAsync<long>(2, "SELECT count(*) FROM account"), Is.EqualTo(1));
    }

    // Prepared transactions' names are the server's, not the database's.
    private static string Gid(ControlHarness harness, int transaction) => $"shardproxy:{harness.Database}:1:{transaction}:1:1";
}
