using System.Collections.Immutable;
using NUnit.Framework;
using ShardProxy.Catalog.Journal;
using ShardProxy.Control.Schema;
using ShardProxy.Control.Tables;
using ShardProxy.Model.Errors;
using ShardProxy.Model.Topology;

namespace ShardProxy.Cluster.Tests.Control;

/// <summary>
/// Protects SHARD TABLE and REPLICATE TABLE: every row ends on the node that owns it, the definition is carried, a failure anywhere leaves the
/// table at home as it was, and what cannot be kept over several nodes is refused with the way out.
/// </summary>
internal sealed class TableDistributionTests
{
    private const string Filled = """
        CREATE TABLE item (id int, code varchar(20) COLLATE "C" DEFAULT 'x', price numeric(10,2) CHECK (price >= 0), n serial, twice int GENERATED ALWAYS AS (id * 2) STORED,
            PRIMARY KEY (id, code)) WITH (fillfactor = 80);
        CREATE INDEX item_price ON item (price) WHERE price > 10;
        GRANT SELECT ON item TO PUBLIC;
        INSERT INTO item (id, code, price) SELECT g, 'c' || g, g FROM generate_series(1, 500) g;
        """;

    [Test]
    public async Task A_filled_table_is_spread_over_the_nodes_with_its_definition_and_its_ranges_move()
    {
        await using var harness = await ControlHarness.StartAsync(withGroup: false);
        using var distributor = New(harness);
        await harness.ExecuteAsync(1, Filled);
        var result = await distributor.ShardAsync(null, "item", ["id"], null, CancellationToken.None);
        Assert.That(result.Table, Is.EqualTo(new QualifiedName("public", "item")));
        Assert.That(result.Notices, Has.Some.Contains("interleaved"));
        var state = await harness.StateAsync();
        Assert.That(state.Groups.Single().Ranges, Has.Length.EqualTo(12));
        Assert.That(state.Groups.Single().Ranges.GroupBy(r => r.NodeId).Select(g => g.Count()), Is.All.EqualTo(4));
        Assert.That(state.Tables.Single().IsChanging, Is.False);
        Assert.That(state.Tables.Single().Columns.Select(c => c.IsGenerated), Is.EqualTo(new[] { false, false, false, false, true }));
        await harness.AssertNothingLeftAsync();
        long rows = 0;
        foreach (var node in harness.Nodes)
        {
            rows += await harness.ScalarAsync<long>(node.Id, "SELECT count(*) FROM item");
            Assert.That(await harness.ScalarAsync<string>(node.Id, "SELECT reloptions::text FROM pg_class WHERE relname = 'item'"), Is.EqualTo("{fillfactor=80}"));
            Assert.That(await harness.ScalarAsync<long>(node.Id, "SELECT count(*) FROM pg_indexes WHERE tablename = 'item'"), Is.EqualTo(2));
            Assert.That(await harness.ScalarAsync<bool>(node.Id, "SELECT relacl::text LIKE '%=r/%' FROM pg_class WHERE relname = 'item'"), Is.True);
        }

        Assert.That(rows, Is.EqualTo(500));

        // Numbers drawn from now on are unique over all nodes.
        var drawn = new List<long>();
        foreach (var node in harness.Nodes)
        {
            for (var i = 0; i < 3; i++)
            {
                drawn.Add(await harness.ScalarAsync<long>(node.Id, "SELECT nextval(pg_get_serial_sequence('item', 'n'))"));
            }
        }

        Assert.That(drawn, Is.Unique);
        Assert.That(drawn, Is.All.GreaterThan(500));
        Assert.That((await harness.Migrations.MoveAsync(state.Groups[0].Ranges[0].Id, "node3", CancellationToken.None)).Error, Is.Null);
        await harness.AssertNothingLeftAsync();
    }

    [Test]
    public async Task A_replicated_table_has_every_row_on_every_node()
    {
        await using var harness = await ControlHarness.StartAsync(withGroup: false);
        using var distributor = New(harness);
        await harness.ExecuteAsync(1, "CREATE TABLE country (code text PRIMARY KEY, name text); INSERT INTO country SELECT 'c' || g, 'name' FROM generate_series(1, 100) g");
        await distributor.ReplicateAsync("public", "country", CancellationToken.None);
        foreach (var node in harness.Nodes)
        {
            Assert.That(await harness.ScalarAsync<long>(node.Id, "SELECT count(*) FROM country"), Is.EqualTo(100));
        }

        Assert.That(harness.Fleet.Table.Tables.Single().Placement, Is.EqualTo(TablePlacement.Replicated));
    }

    [Test]
    public async Task Colocated_tables_share_a_group_and_move_together()
    {
        await using var harness = await ControlHarness.StartAsync(withGroup: false);
        using var distributor = New(harness);
        await harness.ExecuteAsync(1, "CREATE TABLE a (k bigint PRIMARY KEY); CREATE TABLE b (k int NOT NULL, v text); CREATE TABLE c (k text PRIMARY KEY); INSERT INTO a SELECT generate_series(1, 200); INSERT INTO b SELECT g, 'v' FROM generate_series(1, 200) g");
        await distributor.ShardAsync(null, "a", ["k"], null, CancellationToken.None);
        await distributor.ShardAsync(null, "b", ["k"], new QualifiedName("public", "a"), CancellationToken.None);
        Assert.That((await harness.StateAsync()).Groups, Has.Length.EqualTo(1));
        Assert.That(
            async () => await distributor.ShardAsync(null, "c", ["k"], new QualifiedName("public", "a"), CancellationToken.None),
            Throws.TypeOf<ShardProxyException>().With.Message.Contains("SHP-629"));
        Assert.That((await harness.Migrations.MoveAsync(1, "node2", CancellationToken.None)).Error, Is.Null);
        foreach (var node in harness.Nodes)
        {
            Assert.That(await harness.ScalarAsync<long>(node.Id, "SELECT count(*) FROM a LEFT JOIN b USING (k) WHERE b.k IS NULL"), Is.Zero);
        }
    }

    [TestCase("announce")]
    [TestCase("copy")]
    [TestCase("verify")]
    [TestCase("decide")]
    public async Task A_failure_leaves_the_table_at_home_as_it_was(string failing)
    {
        await using var harness = await ControlHarness.StartAsync(withGroup: false);
        using var distributor = New(harness);
        await harness.ExecuteAsync(1, "CREATE TABLE t (k bigint, v text); INSERT INTO t SELECT g, 'v' FROM generate_series(1, 100) g");
        distributor.BeforeStep = step => step == failing ? throw new IOException("injected") : Task.CompletedTask;
        Assert.That(async () => await distributor.ShardAsync(null, "t", ["k"], null, CancellationToken.None), Throws.TypeOf<ShardProxyException>().With.Message.Contains("SHP-632"));
        Assert.That(await harness.ScalarAsync<long>(1, "SELECT count(*) FROM t"), Is.EqualTo(100));
        Assert.That(await harness.ScalarAsync<bool>(1, "SELECT attnotnull FROM pg_attribute WHERE attrelid = 't'::regclass AND attname = 'k'"), Is.False);
        Assert.That(await harness.ScalarAsync<bool>(2, "SELECT to_regclass('t') IS NULL"), Is.True);
        Assert.That((await harness.StateAsync()).Tables, Is.Empty);
        Assert.That((await harness.StateAsync()).Groups, Is.Empty);

        distributor.BeforeStep = _ => Task.CompletedTask;
        var result = await distributor.ShardAsync(null, "t", ["k"], null, CancellationToken.None);
        Assert.That(result.Notices, Has.Some.Contains("NOT NULL"));
        await harness.AssertNothingLeftAsync();
    }

    [TestCase(DistributionPhase.Copying)]
    [TestCase(DistributionPhase.Switching)]
    public async Task What_a_crash_left_is_undone_before_the_decision_and_ended_after_it(DistributionPhase phase)
    {
        await using var harness = await ControlHarness.StartAsync(withGroup: false);
        using var distributor = New(harness);
        await harness.ExecuteAsync(1, "CREATE TABLE t (k bigint NOT NULL, v text); INSERT INTO t SELECT g, 'v' FROM generate_series(1, 100) g");
        await distributor.ShardAsync(null, "t", ["k"], null, CancellationToken.None);

        // Back to the state of the crash: still changing, journaled, and home with every row.
        await harness.Catalog.TryUpdateAsync(s => s.WithTable(s.Tables[0] with { IsChanging = true }), CancellationToken.None);
        await new DistributionJournal(harness.Store).WriteAsync(new DistributionRecord("public", "t", phase, []), CancellationToken.None);
        await harness.ExecuteAsync(1, "DELETE FROM t; INSERT INTO t SELECT g, 'v' FROM generate_series(1, 100) g");
        await distributor.RecoverAsync(CancellationToken.None);
        var isEnded = phase == DistributionPhase.Switching;
        Assert.That((await harness.StateAsync()).Tables, Has.Length.EqualTo(isEnded ? 1 : 0));
        long rows = 0;
        foreach (var node in harness.Nodes)
        {
            rows += await harness.ScalarAsync<bool>(node.Id, "SELECT to_regclass('t') IS NULL") ? 0 : await harness.ScalarAsync<long>(node.Id, "SELECT count(*) FROM t");
        }

        Assert.That(rows, Is.EqualTo(100));
        Assert.That(await new DistributionJournal(harness.Store).ListAsync(CancellationToken.None), Is.Empty);
    }

    [TestCase("CREATE TABLE t (k bigint, v int UNIQUE)", "SHP-626")]
    [TestCase("CREATE TABLE t (k bigint); INSERT INTO t VALUES (NULL)", "SHP-625")]
    [TestCase("CREATE TABLE t (k numeric)", "SHP-624")]
    [TestCase("CREATE TABLE t (v int)", "SHP-623")]
    [TestCase("CREATE TABLE p (k bigint PRIMARY KEY); CREATE TABLE t (k bigint REFERENCES p)", "SHP-627")]
    [TestCase("CREATE TABLE t (k bigint) PARTITION BY HASH (k)", "SHP-628")]
    [TestCase("CREATE VIEW t AS SELECT 1::bigint AS k", "SHP-621")]
    [TestCase("CREATE UNLOGGED TABLE t (k bigint)", "SHP-634")]
    [TestCase("SELECT 1", "SHP-620")]
    public async Task What_cannot_be_sharded_is_refused(string setup, string code)
    {
        await using var harness = await ControlHarness.StartAsync(withGroup: false);
        using var distributor = New(harness);
        await harness.ExecuteAsync(1, setup);
        Assert.That(async () => await distributor.ShardAsync(null, "t", ["k"], null, CancellationToken.None), Throws.TypeOf<ShardProxyException>().With.Message.Contains(code));
        Assert.That((await harness.StateAsync()).Tables, Is.Empty);
    }

    [Test]
    public async Task Columns_views_and_functions_are_read_again_after_ddl_and_dropped_tables_go()
    {
        await using var harness = await ControlHarness.StartAsync();
        var refresher = new SchemaRefresher(harness.Catalog, harness.Connections, harness.Fleet);
        var before = await harness.StateAsync();
        Assert.That(await refresher.RefreshAsync(CancellationToken.None), Is.False, "nothing has changed");
        await harness.ExecuteAsync(1, """
            ALTER TABLE account DROP COLUMN note, ADD COLUMN extra int;
            DROP TABLE history;
            CREATE VIEW rich AS SELECT id FROM account WHERE balance > 1000;
            CREATE VIEW richest AS SELECT max(id) FROM rich;
            CREATE FUNCTION total() RETURNS numeric LANGUAGE sql AS 'SELECT sum(balance) FROM account';
            CREATE FUNCTION caller() RETURNS numeric LANGUAGE plpgsql AS $$BEGIN RETURN total(); END$$;
            CREATE FUNCTION innocent() RETURNS int LANGUAGE sql AS 'SELECT 1';
            """);
        Assert.That(await refresher.RefreshAsync(CancellationToken.None), Is.True);
        var table = harness.Fleet.Table;
        Assert.That(table.Tables.Select(t => t.Name.Name), Is.EqualTo(new[] { "account" }));
        Assert.That(table.Tables[0].Columns.Select(c => c.Name), Is.EqualTo(new[] { "id", "balance", "extra" }));
        Assert.That(table.OpaqueRelations.Select(r => r.Name), Is.EquivalentTo(new[] { "rich", "richest" }));
        Assert.That(table.OpaqueFunctions, Is.EquivalentTo(new[] { "total", "caller" }));
        Assert.That(table.PlacementVersion, Is.GreaterThan(before.PlacementVersion));
    }

    private static TableDistributor New(ControlHarness harness) =>
        new(harness.Catalog, new DistributionJournal(harness.Store), harness.Connections, harness.Fleet);
}
