using System.Collections.Immutable;
using System.Globalization;
using Npgsql;
using NUnit.Framework;
using ShardProxy.Catalog;
using ShardProxy.Catalog.Journal;
using ShardProxy.Catalog.Stores;
using ShardProxy.Control.Migration;
using ShardProxy.Control.Nodes;
using ShardProxy.Model.Fleet;
using ShardProxy.Model.Keys;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Topology;
using ShardProxy.TestKit.Clusters;

namespace ShardProxy.Cluster.Tests.Control;

/// <summary>
/// A control plane over the shared cluster in a database of its own: one HASH group on <c>bigint</c> with an account table (primary key) and
/// a history table (no key at all), two ranges of which the first is moved about.
/// </summary>
internal sealed class ControlHarness : IAsyncDisposable
{
    public const string Tables = """
        CREATE TABLE account (id bigint PRIMARY KEY, balance bigint NOT NULL, note text);
        CREATE TABLE history (account_id bigint NOT NULL, delta bigint NOT NULL, at timestamptz DEFAULT now(), token text);
        CREATE INDEX account_note ON account (lower(note)) WHERE id > 0;
        CREATE INDEX history_account ON history (account_id);
        """;

    /// <summary>Clean-up follows the cutover at once.</summary>
    public static readonly MigrationOptions Plain = new() { RollbackWindow = TimeSpan.Zero, DeferredIndexesFromRows = 0 };

    private readonly NpgsqlDataSource[] _sources;

    private ControlHarness(TestCluster cluster, string database)
    {
        Cluster = cluster;
        Database = database;
        _sources = [.. cluster.Nodes.Select((_, i) => NpgsqlDataSource.Create(new NpgsqlConnectionStringBuilder(cluster.ConnectionString(i, database)) { MaxPoolSize = 40 }))];
        Nodes = [.. cluster.Nodes.Select((n, i) => new Node(i + 1, n.Name, n.Host, n.Port, 0, i == 0))];
        Connections = new NodeConnections("test", _ => new NodeLogin(TestCluster.User, TestCluster.Password, database), TimeProvider.System);
        Store = new PostgresCatalogStore(_sources[0], TimeProvider.System);
        Catalog = new RoutingCatalog(Store);
        Admin = new NodeAdmin(Connections);
    }

    public TestCluster Cluster { get; }

    public string Database { get; }

    public ImmutableArray<Node> Nodes { get; }

    public NodeConnections Connections { get; }

    public PostgresCatalogStore Store { get; }

    public RoutingCatalog Catalog { get; }

    public NodeAdmin Admin { get; }

    public FakeFleet Fleet { get; } = new();

    public MigrationManager Migrations { get; private set; } = null!;

    /// <param name="options">Limits of the migrations.</param>
    /// <param name="withGroup">Make the two tables and their group; else only nodes.</param>
    /// <param name="splitKey">Not null: the group is a RANGE group whose second range begins at this id.</param>
    public static async Task<ControlHarness> StartAsync(MigrationOptions? options = null, bool withGroup = true, int? splitKey = null)
    {
        var cluster = await SharedCluster.GetAsync();
        var database = "control_" + Guid.NewGuid().ToString("N")[..12];
        await cluster.CreateDatabaseAsync(database);
        var harness = new ControlHarness(cluster, database);
        await harness.Store.InitializeAsync(CancellationToken.None);
        foreach (var node in harness.Nodes)
        {
            await harness.Admin.BootstrapAsync(node, CancellationToken.None);
        }

        var state = await harness.Catalog.TryUpdateAsync(_ => CatalogState.Empty with { Nodes = harness.Nodes, NextNodeId = harness.Nodes.Length + 1 }, CancellationToken.None);
        if (withGroup)
        {
            for (var i = 0; i < cluster.Nodes.Count; i++)
            {
                await harness.ExecuteAsync(i + 1, Tables);
            }

            state = await harness.Catalog.TryUpdateAsync(s => WithGroup(s, splitKey), CancellationToken.None);
        }

        await harness.Fleet.PublishAsync(state!.ToRoutingTable(), DrainScope.None, TimeSpan.FromSeconds(5), CancellationToken.None);
        harness.NewManager(options);
        await harness.Migrations.RecoverAsync(1, CancellationToken.None);
        return harness;
    }

    /// <summary>Another control plane over the same catalog, as after a restart.</summary>
    public void NewManager(MigrationOptions? options = null) =>
        Migrations = new MigrationManager(Catalog, new MigrationJournal(Store), Connections, Admin, Fleet, options ?? Plain);

    public async Task<int> ExecuteAsync(int nodeId, string sql)
    {
        await using var command = _sources[nodeId - 1].CreateCommand(sql);
        return await command.ExecuteNonQueryAsync();
    }

    public async Task<T?> ScalarAsync<T>(int nodeId, string sql)
    {
        await using var command = _sources[nodeId - 1].CreateCommand(sql);
        return await command.ExecuteScalarAsync() is T value ? value : default;
    }

    public async Task<NpgsqlConnection> OpenAsync(int nodeId) => await _sources[nodeId - 1].OpenConnectionAsync();

    /// <summary>Account rows 1 to <paramref name="count"/> on the nodes that own them.</summary>
    public async Task LoadAccountsAsync(int count)
    {
        var key = ImmutableArray.Create(new KeyColumn("g.id", KeyType.Int8));
        foreach (var range in Fleet.Table.Groups[0].Ranges)
        {
            await ExecuteAsync(
                range.NodeId,
                $"INSERT INTO account SELECT g.id, 0, 'note ' || g.id FROM generate_series(1, {count}::bigint) AS g(id) WHERE {KeySpaceSql.OwnedPredicate(Fleet.Table.Groups[0], key, [range])}");
        }
    }

    /// <summary>Where an id lies in the key space of the group.</summary>
    public long PlaceOf(long id)
    {
        if (Fleet.Table.Groups[0].Scale is not { } scale)
        {
            return KeyHash.Int64(id, 0);
        }

        var ordered = new System.Buffers.ArrayBufferWriter<byte>();
        KeyOrder.Integer(id, ordered);
        return scale.PositionOf(ordered.WrittenSpan);
    }

    /// <summary>The smallest positive key whose hash lies in the range, greater than <paramref name="after"/>.</summary>
    public long KeyIn(int rangeId, long after = 0)
    {
        var range = Fleet.Table.FindRange(rangeId)!;
        var key = after + 1;
        while (!range.Contains(PlaceOf(key)))
        {
            key++;
        }

        return key;
    }

    public async Task<CatalogState> StateAsync() => await Catalog.LoadAsync(CancellationToken.None);

    /// <summary>Nothing of any migration is left on any node, and no move in the catalog.</summary>
    public async Task AssertNothingLeftAsync()
    {
        Assert.That((await StateAsync()).Moves, Is.Empty, "moves in the catalog");
        foreach (var node in Nodes)
        {
            const string Left = """
                SELECT string_agg(what, ', ') FROM (
                    SELECT 'slot ' || slot_name FROM pg_replication_slots WHERE database = current_database()
                    UNION ALL SELECT 'publication ' || pubname FROM pg_publication
                    UNION ALL SELECT 'subscription ' || subname FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid WHERE d.datname = current_database()
                    UNION ALL SELECT 'trigger ' || tgname FROM pg_trigger WHERE tgname LIKE '~~%'
                    UNION ALL SELECT 'sequence ' || relname FROM pg_class WHERE relkind = 'S' AND relname LIKE 'gate\_%'
                    UNION ALL SELECT 'marker ' || count(*) FROM shardproxy.marker HAVING count(*) > 0
                    UNION ALL SELECT 'identity of ' || relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relreplident <> 'd'
                    UNION ALL SELECT 'origin ' || roname FROM pg_replication_origin o
                        WHERE NOT EXISTS (SELECT FROM pg_subscription s WHERE o.roname = 'pg_' || s.oid) AND roname LIKE 'pg\_%') t(what)
                """;
            Assert.That(await ScalarAsync<string>(node.Id, Left), Is.Null, $"left on {node.Name}");
            const string LostIndexes = """
                SELECT string_agg(x.name, ', ') FROM (VALUES ('account', 'account_note'), ('history', 'history_account')) AS x(tab, name)
                WHERE to_regclass(x.tab) IS NOT NULL AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indexrelid = to_regclass(x.name) AND i.indisvalid)
                """;
            Assert.That(await ScalarAsync<string>(node.Id, LostIndexes), Is.Null, $"indexes lost on {node.Name}");
            var table = Fleet.Table;
            foreach (var placed in table.Tables.Where(t => t.Placement == TablePlacement.Sharded))
            {
                var group = table.Group(placed.GroupId);
                var key = placed.KeyColumns.Select((c, i) => new KeyColumn(SqlIdentifier.Quote(placed.Columns[c].Name), group.KeyTypes[i])).ToImmutableArray();
                var owned = KeySpaceSql.OwnedPredicate(group, key, [.. group.Ranges.Where(r => r.NodeId == node.Id)]);
                Assert.That(await ScalarAsync<long>(node.Id, $"SELECT count(*) FROM {placed.Name} WHERE NOT {owned}"), Is.Zero, $"ghosts of {placed.Name} on {node.Name}");
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        await Migrations.CloseWindowsAsync(_ => true, CancellationToken.None);
        await Migrations.DisposeAsync();
        await Connections.DisposeAsync();
        await Store.DisposeAsync();
        foreach (var source in _sources)
        {
            await source.DisposeAsync();
        }

        await Cluster.ExecuteOnAllAsync(string.Create(CultureInfo.InvariantCulture, $"DROP DATABASE \"{Database}\" WITH (FORCE)"));
    }

    private static CatalogState WithGroup(CatalogState state, int? splitKey)
    {
        var scale = splitKey is { } key ? new KeyScale([new KeyMark(0, KeyBound.TryParse([KeyType.Int8], [key.ToString(CultureInfo.InvariantCulture)])!)]) : null;
        var group = new TableGroup(
            1, "account", scale is null ? ShardingMethod.Hash : ShardingMethod.Range, [KeyType.Int8],
            [new ShardRange(1, 1, long.MinValue, 0, 1), new ShardRange(2, 1, 0, null, 2)], scale);
        var account = new PlacedTable
        {
            Name = new QualifiedName("public", "account"),
            Placement = TablePlacement.Sharded,
            GroupId = 1,
            KeyColumns = [0],
            Columns = [new TableColumn("id", 20, -1, true, false), new TableColumn("balance", 20, -1, true, false), new TableColumn("note", 25, -1, false, false)],
        };
        var history = account with
        {
            Name = new QualifiedName("public", "history"),
            Columns = [new TableColumn("account_id", 20, -1, true, false), new TableColumn("delta", 20, -1, true, false), new TableColumn("at", 1184, -1, false, false) { Default = new ColumnDefault(ColumnDefaultKind.Expression, "now()") }, new TableColumn("token", 25, -1, false, false)],
        };
        return state with { Groups = [group], Tables = [account, history], NextGroupId = 2, NextRangeId = 3 };
    }
}
