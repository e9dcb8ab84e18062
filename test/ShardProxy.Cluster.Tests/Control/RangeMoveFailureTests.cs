using NUnit.Framework;
using ShardProxy.Catalog.Journal;
using ShardProxy.Control.Migration;
using ShardProxy.Model.Errors;
using ShardProxy.TestKit.Clusters;

namespace ShardProxy.Cluster.Tests.Control;

/// <summary>
/// Protects the other half of the migrator's promise: before the commit point every failure, cancel or crash leaves the range where it was and
/// nothing behind; a copy that differs from its source in one row never becomes the owner.
/// </summary>
internal sealed class RangeMoveFailureTests
{
    private const int Accounts = 300;
    private static readonly string[] Steps = ["preflight", "ghost barrier", "gates", "leftovers", "slot", "copy", "target gate", "subscription", "checksums", "cutover"];

    [TestCaseSource(nameof(Steps))]
    [CancelAfter(60_000)]
    public async Task A_failure_at_any_step_leaves_nothing_and_the_next_move_succeeds(string failing, CancellationToken cancellationToken)
    {
        await using var harness = await ControlHarness.StartAsync();
        await harness.LoadAccountsAsync(Accounts);
        harness.Migrations.BeforeStep = (_, step) => step == failing ? throw new IOException("injected") : Task.CompletedTask;
        var failed = await harness.Migrations.MoveAsync(1, "node2", cancellationToken);
        Assert.That(failed.Error?.Code, Is.EqualTo("SHP-506"));
        Assert.That((await harness.StateAsync()).FindRange(1)!.NodeId, Is.EqualTo(1));
        await harness.AssertNothingLeftAsync();

        harness.Migrations.BeforeStep = (_, _) => Task.CompletedTask;
        Assert.That((await harness.Migrations.MoveAsync(1, "node2", cancellationToken)).Error, Is.Null);
        await harness.AssertNothingLeftAsync();
    }

    [TestCaseSource(nameof(Steps))]
    [CancelAfter(60_000)]
    public async Task A_cancel_at_any_step_leaves_nothing(string waiting, CancellationToken cancellationToken)
    {
        await using var harness = await ControlHarness.StartAsync();
        await harness.LoadAccountsAsync(Accounts);
        await using var writers = DirectWriters.Start(harness, 2, Accounts);
        var reached = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var release = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        harness.Migrations.BeforeStep = async (_, step) =>
        {
            if (step == waiting)
            {
                reached.SetResult();
                await release.Task;
            }
        };
        var begun = await harness.Migrations.BeginMoveAsync(1, "node2", cancellationToken);
        await reached.Task.WaitAsync(cancellationToken);
        var cancel = harness.Migrations.CancelAsync(begun.MigrationId!.Value, cancellationToken);
        release.SetResult();
        await cancel;
        var result = await harness.Migrations.WaitAsync(begun.MigrationId.Value, cancellationToken);
        Assert.That(result.Error?.Code, Is.EqualTo("SHP-507"));
        Assert.That((await harness.StateAsync()).FindRange(1)!.NodeId, Is.EqualTo(1));
        await writers.StopAsync();
        await harness.AssertNothingLeftAsync();
    }

    [TestCaseSource(nameof(Steps))]
    [CancelAfter(60_000)]
    public async Task What_a_stopped_control_plane_left_is_removed_and_the_move_begun_again_by_the_next(string stopping, CancellationToken cancellationToken)
    {
        await using var harness = await ControlHarness.StartAsync();
        await harness.LoadAccountsAsync(Accounts);
        var reached = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        harness.Migrations.BeforeStep = async (_, step) =>
        {
            if (step == stopping)
            {
                reached.SetResult();
                await Task.Delay(Timeout.Infinite, cancellationToken);
            }
        };
        var first = harness.Migrations;
        var begun = await first.BeginMoveAsync(1, "node2", cancellationToken);
        await reached.Task.WaitAsync(cancellationToken);

        // The first one sleeps for good at that step; a second control plane takes over with a higher token.
        harness.NewManager();
        await harness.Migrations.RecoverAsync(2, cancellationToken);
        await harness.Migrations.WaitAsync(begun.MigrationId!.Value, cancellationToken);
        Assert.That(harness.Migrations.List(harness.Nodes).Single().State, Is.EqualTo("done"));
        Assert.That((await harness.StateAsync()).FindRange(1)!.NodeId, Is.EqualTo(2));
        await harness.AssertNothingLeftAsync();
        Assert.That((await harness.Migrations.MoveAsync(1, "node1", cancellationToken)).Error, Is.Null);
        await harness.AssertNothingLeftAsync();
    }

    [TestCase("UPDATE account SET note = 'changed' WHERE id = {0}", TestName = "A_changed_row_on_the_target_is_found")]
    [TestCase("DELETE FROM account WHERE id = {0}", TestName = "A_missing_row_on_the_target_is_found")]
    [TestCase("INSERT INTO history (account_id, delta) VALUES ({0}, 1)", TestName = "An_extra_row_on_the_target_is_found")]
    [TestCase("INSERT INTO history SELECT * FROM history WHERE account_id = {0} LIMIT 1", TestName = "A_doubled_row_on_the_target_is_found")]
    [CancelAfter(60_000)]
    public async Task A_difference_is_found(string tamper, CancellationToken cancellationToken)
    {
        await using var harness = await ControlHarness.StartAsync();
        await harness.LoadAccountsAsync(Accounts);
        var key = harness.KeyIn(1);
        await harness.ExecuteAsync(1, $"INSERT INTO history (account_id, delta) VALUES ({key}, 5)");
        harness.Migrations.BeforeStep = async (id, step) =>
        {
            if (step == "checksums")
            {
                var sql = string.Format(System.Globalization.CultureInfo.InvariantCulture, tamper, key);
                Assert.That(
                    await harness.ExecuteAsync(2, $"SET session_replication_role = replica; SELECT set_config('shardproxy.pass', pg_backend_pid() || ':{id}', false); {sql}; RESET session_replication_role"),
                    Is.EqualTo(1));
            }
        };
        var result = await harness.Migrations.MoveAsync(1, "node2", cancellationToken);
        Assert.That(result.Error?.Detail, Does.Contain("SHP-509"));
        Assert.That((await harness.StateAsync()).FindRange(1)!.NodeId, Is.EqualTo(1));
        await harness.AssertNothingLeftAsync();
    }

    [Test]
    [CancelAfter(60_000)]
    public async Task Equal_pairs_of_rows_do_not_cancel_out(CancellationToken cancellationToken)
    {
        // Two equal rows more on the target: a XOR of row hashes would not see them.
        await using var harness = await ControlHarness.StartAsync();
        var key = harness.KeyIn(1);
        await harness.ExecuteAsync(1, $"INSERT INTO history VALUES ({key}, 5, 'epoch')");
        harness.Migrations.BeforeStep = async (id, step) =>
        {
            if (step == "checksums")
            {
                await harness.ExecuteAsync(
                    2,
                    $"SET session_replication_role = replica; SELECT set_config('shardproxy.pass', pg_backend_pid() || ':{id}', false); DELETE FROM history; INSERT INTO history VALUES ({key}, 7, 'epoch'); RESET session_replication_role");
            }
        };
        Assert.That((await harness.Migrations.MoveAsync(1, "node2", cancellationToken)).Error?.Detail, Does.Contain("1 row(s) only on the source and 1 only on the target"));
    }

    [Test]
    [CancelAfter(60_000)]
    public async Task A_crash_after_the_commit_point_is_rolled_forward(CancellationToken cancellationToken)
    {
        await using var harness = await ControlHarness.StartAsync();
        await harness.LoadAccountsAsync(Accounts);

        // The state just after step d: the catalog says node 2, and everything the migration made is still there.
        var reached = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        harness.Migrations.BeforeStep = async (_, step) =>
        {
            if (step == "cutover")
            {
                reached.SetResult();
                await Task.Delay(Timeout.Infinite, cancellationToken);
            }
        };
        var begun = await harness.Migrations.BeginMoveAsync(1, "node2", cancellationToken);
        await reached.Task.WaitAsync(cancellationToken);
        await harness.ExecuteAsync(1, $"SELECT setval('shardproxy.gate_{begun.MigrationId}', 2)");
        await harness.Catalog.TryUpdateAsync(s => s.WithRange(1, s.FindRange(1)! with { NodeId = 2 }), cancellationToken);

        harness.NewManager();
        await harness.Migrations.RecoverAsync(2, cancellationToken);
        await harness.Migrations.WaitAsync(begun.MigrationId!.Value, cancellationToken);
        Assert.That(harness.Migrations.List(harness.Nodes).Single().State, Is.EqualTo("done"));
        Assert.That((await harness.StateAsync()).FindRange(1)!.NodeId, Is.EqualTo(2));
        await harness.AssertNothingLeftAsync();
        Assert.That(
            await harness.ScalarAsync<long>(1, "SELECT count(*) FROM account") + await harness.ScalarAsync<long>(2, "SELECT count(*) FROM account"), Is.EqualTo(Accounts));
    }

    [TestCase(2, "ALTER TABLE account ADD COLUMN extra int", "column extra is missing on node node1")]
    [TestCase(1, "ALTER TABLE account ALTER COLUMN note TYPE varchar(20)", "column note is another one on node node2 than on node node1")]
    [TestCase(2, "ALTER TABLE account ALTER COLUMN note SET DEFAULT 'x'", "default of column note is missing on node node1")]
    [TestCase(1, "ALTER TABLE account ADD CONSTRAINT rich CHECK (balance > -5)", "constraint rich is missing on node node2")]
    [TestCase(1, "CREATE INDEX by_note ON account (note)", "index by_note is missing on node node2")]
    [TestCase(2, "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; CREATE TRIGGER t BEFORE INSERT ON history FOR EACH ROW EXECUTE FUNCTION f()", "trigger t is missing on node node1")]
    public async Task A_table_that_is_not_the_same_on_both_nodes_is_not_moved(int node, string ddl, string difference)
    {
        await using var harness = await ControlHarness.StartAsync();
        await harness.ExecuteAsync(node, ddl);
        var error = (await harness.Migrations.MoveAsync(1, "node2", CancellationToken.None)).Error;
        Assert.That(error?.Detail, Does.Contain("not the same on both nodes").And.Contain(difference));
        await harness.ExecuteAsync(3 - node, ddl);
        Assert.That((await harness.Migrations.MoveAsync(1, "node2", CancellationToken.None)).Error, Is.Null);
    }

    [Test]
    public async Task Unknown_ranges_nodes_and_migrations_are_refused()
    {
        await using var harness = await ControlHarness.StartAsync();
        Assert.That(async () => await harness.Migrations.MoveAsync(99, "node2", CancellationToken.None), Throws.TypeOf<ShardProxyException>().With.Message.Contains("SHP-501"));
        Assert.That(async () => await harness.Migrations.MoveAsync(1, "nowhere", CancellationToken.None), Throws.TypeOf<ShardProxyException>().With.Message.Contains("SHP-502"));
        Assert.That(async () => await harness.Migrations.CancelAsync(99, CancellationToken.None), Throws.TypeOf<ShardProxyException>().With.Message.Contains("SHP-504"));
    }
}
