using NUnit.Framework;

namespace ShardProxy.Cluster.Tests.Control;

// Protects a target's secondary indexes, which are dropped while rows are copied to empty tables: whatever becomes of the move, they are there again as they were.
internal sealed class DeferredIndexTests
{
    private const int Accounts = 300;
    private const string Definitions = "SELECT string_agg(pg_get_indexdef(i.indexrelid), E'\\n' ORDER BY i.indexrelid::regclass::text) FROM pg_index i WHERE i.indrelid IN ('account'::regclass, 'history'::regclass)";

    [Test]
    [CancelAfter(60_000)]
    public async Task Indexes_of_an_empty_target_are_made_behind_the_copy(CancellationToken cancellationToken)
    {
        await using var harness = await ControlHarness.StartAsync();
        await harness.LoadAccountsAsync(Accounts);

        // What a constraint or a comment hangs on stays.
        for (var node = 1; node <= 3; node++)
        {
            await harness.ExecuteAsync(node, """
                ALTER TABLE account ADD CONSTRAINT account_twice UNIQUE (id, balance);
                CREATE INDEX account_told ON account (balance); COMMENT ON INDEX account_told IS 'told';
                CREATE UNIQUE INDEX "account Unique" ON account (id, note) INCLUDE (balance) WITH (fillfactor = 50);
                """);
        }

        var before = await harness.ScalarAsync<string>(3, Definitions);
        var target = 3;
        string? meanwhile = null;
        harness.Migrations.BeforeStep = async (_, step) => meanwhile = step == "copy" ? await harness.ScalarAsync<string>(target, Definitions) : meanwhile;
        Assert.That((await harness.Migrations.MoveAsync(1, "node3", cancellationToken)).Error, Is.Null);
        Assert.That(meanwhile!.Split('\n').Select(d => d.Split(" ON ")[0].Split(' ')[^1]), Is.EqualTo(new[] { "account_pkey", "account_told", "account_twice" }));
        Assert.That(await harness.ScalarAsync<string>(3, Definitions), Is.EqualTo(before));
        await harness.AssertNothingLeftAsync();

        // The target of this one has rows of the other range.
        target = 2;
        Assert.That((await harness.Migrations.MoveAsync(1, "node2", cancellationToken)).Error, Is.Null);
        Assert.That(meanwhile, Is.EqualTo(await harness.ScalarAsync<string>(2, Definitions)));
        await harness.AssertNothingLeftAsync();
    }

    [TestCase("slot")]
    [TestCase("copy")]
    [TestCase("indexes")]
    [CancelAfter(60_000)]
    public async Task They_come_back_when_the_move_fails(string failing, CancellationToken cancellationToken)
    {
        await using var harness = await ControlHarness.StartAsync();
        await harness.LoadAccountsAsync(Accounts);
        var before = await harness.ScalarAsync<string>(3, Definitions);
        harness.Migrations.BeforeStep = (_, step) => step == failing ? throw new IOException("injected") : Task.CompletedTask;
        Assert.That((await harness.Migrations.MoveAsync(1, "node3", cancellationToken)).Error?.Code, Is.EqualTo("SHP-506"));
        Assert.That(harness.Migrations.List(harness.Nodes).Single().Error, Does.Contain("injected"));
        Assert.That(await harness.ScalarAsync<string>(3, Definitions), Is.EqualTo(before));
        await harness.AssertNothingLeftAsync();
    }

    [Test]
    [CancelAfter(60_000)]
    public async Task A_successor_makes_what_a_stopped_control_plane_has_dropped(CancellationToken cancellationToken)
    {
        await using var harness = await ControlHarness.StartAsync();
        await harness.LoadAccountsAsync(Accounts);
        var before = await harness.ScalarAsync<string>(3, Definitions);
        var reached = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        harness.Migrations.BeforeStep = async (_, step) =>
        {
            if (step == "copy")
            {
                reached.SetResult();
                await Task.Delay(Timeout.Infinite, cancellationToken);
            }
        };
        var begun = await harness.Migrations.BeginMoveAsync(1, "node3", cancellationToken);
        await reached.Task.WaitAsync(cancellationToken);
        harness.NewManager();
        await harness.Migrations.RecoverAsync(2, cancellationToken);
        await harness.Migrations.WaitAsync(begun.MigrationId!.Value, cancellationToken);
        Assert.That((await harness.StateAsync()).FindRange(1)!.NodeId, Is.EqualTo(3));
        Assert.That(await harness.ScalarAsync<string>(3, Definitions), Is.EqualTo(before));
        await harness.AssertNothingLeftAsync();
    }
}
