using System.Collections.Immutable;
using Npgsql;
using ShardProxy.Catalog;
using ShardProxy.Catalog.Journal;
using ShardProxy.Control.Migration;
using ShardProxy.Control.Nodes;
using ShardProxy.Model.Errors;
using ShardProxy.Model.Fleet;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Topology;

namespace ShardProxy.Control.Tables;

/// <summary>
/// SHARD TABLE and REPLICATE TABLE, on an empty or a filled table. While it runs, statements on the table wait in the proxies, but for readers of a table that is
/// being replicated, and direct writers wait for a lock at home; a failure undoes everything, a crash is undone or ended by the next start from the journal.
/// </summary>
public sealed class TableDistributor : IDisposable
{
    private static readonly TimeSpan BarrierDeadline = TimeSpan.FromMinutes(1);
    private readonly RoutingCatalog _catalog;
    private readonly DistributionJournal _journal;
    private readonly NodeConnections _connections;
    private readonly IProxyFleet _fleet;
    private readonly SemaphoreSlim _oneAtATime = new(1, 1);
    private readonly OnlinePlacement _online;

    /// <param name="catalog">Where tables are.</param>
    /// <param name="journal">What was begun.</param>
    /// <param name="connections">To the nodes.</param>
    /// <param name="fleet">The data planes.</param>
    /// <param name="move">Moves a range to a node, with no rollback window, and waits for it.</param>
    /// <param name="closeWindows">Closes the rollback windows of a group.</param>
    internal TableDistributor(
        RoutingCatalog catalog, DistributionJournal journal, NodeConnections connections, IProxyFleet fleet,
        Func<int, string, CancellationToken, Task<MoveResult>> move, Func<int, CancellationToken, Task> closeWindows)
    {
        _online = new OnlinePlacement(catalog, journal, connections, fleet, new RangeSpreader(catalog, fleet, move, closeWindows));
        _catalog = catalog;
        _journal = journal;
        _connections = connections;
        _fleet = fleet;
    }

    /// <summary>Called between the steps; tests make it fail.</summary>
    internal Func<string, Task> BeforeStep { get; set; } = _ => Task.CompletedTask;

    /// <summary>
    /// From this size on a table is sharded by moving its ranges, one after another, while clients use it. A smaller one is copied while its statements wait, which takes them less
    /// than a move would.
    /// </summary>
    internal long OnlineFromBytes { get; set; } = 8 << 20;

    /// <summary>Shards a table by the hash or the order of its key columns, in a group of its own or beside another table.</summary>
    /// <param name="schema">Schema, or null to look the name up as PostgreSQL does.</param>
    /// <param name="name">Stored (case-folded) name.</param>
    /// <param name="keyColumns">Stored names of the key's columns, in key order.</param>
    /// <param name="method">How the keys are spread; with <paramref name="colocateWith"/> it has to be that group's.</param>
    /// <param name="colocateWith">A sharded table whose group it joins, or null.</param>
    /// <param name="cancellationToken">Undoes what was begun.</param>
    /// <exception cref="ShardProxyException">SHP-620 to 635.</exception>
    public Task<TableResult> ShardAsync(
        string? schema, string name, ImmutableArray<string> keyColumns, ShardingMethod method, QualifiedName? colocateWith, CancellationToken cancellationToken) =>
        OneAtATimeAsync(
            async home =>
            {
                var definition = await InspectAsync(home, schema, name, cancellationToken);
                var (key, types) = TableChecks.Key(definition, keyColumns, method);
                var nullable = await TableChecks.NullableAsync(home, definition, key, cancellationToken);
                var notices = nullable.Select(c => $"column \"{c.Name}\" of table {definition.Name} is NOT NULL now, as a shard key has to be").ToList();
                notices.AddRange(definition.Columns.Where(TableCreator.HasSequence).Select(c =>
                    $"numbers drawn for column \"{c.Name}\" are interleaved over the nodes: unique, but with gaps and not in order"));
                notices.AddRange(definition.Triggers.Select(t => $"trigger \"{t.Name}\" runs on each node for the rows there"));
                var placed = new PlacedTable
                {
                    Name = definition.Name,
                    Placement = TablePlacement.Sharded,
                    GroupId = 0,
                    KeyColumns = [.. key.Select(definition.Columns.IndexOf)],
                    Columns = [.. definition.Columns.Select(c => c.ToColumn() with { IsNotNull = c.IsNotNull || key.Contains(c) })],
                    IsChanging = true,
                    IsPartitioned = definition.PartitionKeySql is not null,
                };
                await RefuseOtherOrderAsync(method, definition, key, cancellationToken);
                var layout = method == ShardingMethod.Range && colocateWith is null ? await LayoutAsync(home, definition, key, types, cancellationToken) : null;
                var isLarge = await home.ScalarAsync<long>("SELECT pg_catalog.pg_table_size($1::regclass)", cancellationToken, definition.Name.ToString()) >= OnlineFromBytes
                    && (colocateWith is null || definition.References.IsEmpty);
                var waiting = await DistributeAsync(
                    definition, (s, plan) => WithSharded(s, placed, types, method, layout, colocateWith, isLarge ? plan : null), [.. nullable.Select(c => c.Name)], isLarge ? colocateWith : null, cancellationToken);
                notices.AddRange(waiting.Select(w => $"{w.Message}; until then writes that need the check are refused. {w.Hint}"));
                return new TableResult(definition.Name, [.. notices]);
            },
            cancellationToken);

    /// <summary>Puts every row of a table on every node.</summary>
    /// <exception cref="ShardProxyException">SHP-620 to 635.</exception>
    public Task<TableResult> ReplicateAsync(string? schema, string name, CancellationToken cancellationToken) =>
        OneAtATimeAsync(
            async home =>
            {
                var definition = await InspectAsync(home, schema, name, cancellationToken);
                var placed = new PlacedTable
                {
                    Name = definition.Name,
                    Placement = TablePlacement.Replicated,
                    GroupId = 0,
                    KeyColumns = [],
                    Columns = [.. definition.Columns.Select(c => c.ToColumn())],
                    IsChanging = true,
                    IsPartitioned = definition.PartitionKeySql is not null,
                };
                await DistributeAsync(definition, (s, _) => Fresh(s, placed.Name).WithTable(placed), [], null, cancellationToken);
                return new TableResult(definition.Name, []);
            },
            cancellationToken);

    /// <summary>Brings a sharded or replicated table back to the home node. Once begun it is ended, by the next control plane if need be.</summary>
    /// <exception cref="ShardProxyException">SHP-506, 620, 635, 642, 643.</exception>
    public Task<TableResult> UnshardAsync(string? schema, string name, CancellationToken cancellationToken) =>
        OneAtATimeAsync(
            async home =>
            {
                var found = await TableInspector.ResolveAsync(home, schema, name, cancellationToken)
                    ?? throw new ShardProxyException(ControlErrors.TableUnknown(schema is null ? name : $"{schema}.{name}"));
                var entry = await _online.BeginUnshardAsync(found, NewRun(), cancellationToken);
                await _online.GatherAsync(entry, cancellationToken);
                return new TableResult(found, []);
            },
            cancellationToken);

    public void Dispose() => _oneAtATime.Dispose();

    /// <summary>Undoes or ends what an earlier process left, but for what takes moves: that is for <see cref="ResumeAsync"/>.</summary>
    public async Task RecoverAsync(CancellationToken cancellationToken)
    {
        foreach (var entry in await _journal.ListAsync(cancellationToken))
        {
            // First of all it is this one's: a predecessor that sleeps must not decide any more.
            await entry.WriteAsync(entry.Record with { Run = NewRun() }, cancellationToken);
            await (entry.Record.Phase switch
            {
                DistributionPhase.Copying => UndoAsync(entry, cancellationToken),
                DistributionPhase.Switching => SwitchAsync(entry, cancellationToken),
                _ => Task.CompletedTask,
            });
        }
    }

    /// <summary>Goes on with tables whose ranges were being moved to where they belong, or home. Waits until that is done.</summary>
    public Task ResumeAsync(CancellationToken cancellationToken) => OneAtATimeAsync(
        async _ =>
        {
            foreach (var entry in await _journal.ListAsync(cancellationToken))
            {
                await (entry.Record.Phase switch
                {
                    DistributionPhase.Spreading => _online.SpreadAsync(entry, cancellationToken),
                    DistributionPhase.Gathering => _online.GatherAsync(entry, cancellationToken),
                    _ => Task.CompletedTask,
                });
            }

            return new TableResult(default, []);
        },
        cancellationToken);

    private static string NewRun() => Guid.NewGuid().ToString("N");

    private static CatalogState Fresh(CatalogState state, QualifiedName name) =>
        state.FindTable(name) is null ? state : throw new ShardProxyException(ControlErrors.AlreadyPlaced(name.ToString()));

    private static CatalogState WithSharded(
        CatalogState state, PlacedTable table, ImmutableArray<KeyType> types, ShardingMethod method, RangeLayout? layout, QualifiedName? colocateWith,
        List<PlannedRange>? plan)
    {
        plan?.Clear();
        Fresh(state, table.Name);
        if (colocateWith is { } other)
        {
            var beside = state.FindTable(other) is { Placement: TablePlacement.Sharded } found ? found : throw new ShardProxyException(ControlErrors.NotSharded(other.ToString()));
            var group = state.Groups.Single(g => g.Id == beside.GroupId);
            if (group.Method != method)
            {
                throw new ShardProxyException(ControlErrors.ColocationMethod(table.Name.ToString(), other.ToString()));
            }

            if (!group.KeyTypes.Select(KeyTypes.Family).SequenceEqual(types.Select(KeyTypes.Family)))
            {
                throw new ShardProxyException(ControlErrors.ColocationMismatch(table.Name.ToString(), other.ToString()));
            }

            if (state.Moves.Any(m => m.GroupId == group.Id))
            {
                throw new ShardProxyException(ControlErrors.GroupIsMoving(other.ToString()));
            }

            return plan is null
                ? state.WithTable(table with { GroupId = group.Id })
                : WithGroup([.. group.Ranges.Select((r, i) => r with { Id = state.NextRangeId + i, GroupId = state.NextGroupId })], group.Scale);
        }

        return WithGroup(layout?.WithIds(state.NextGroupId, state.NextRangeId) ?? RangeLayout.EvenRanges(state.NextGroupId, state.NextRangeId, [.. state.Nodes.OrderBy(n => n.Id)]), layout?.Scale);

        CatalogState WithGroup(ImmutableArray<ShardRange> ranges, KeyScale? scale)
        {
            var id = state.NextGroupId;
            var home = state.Nodes.Single(n => n.IsHome).Id;
            plan?.AddRange(ranges.Select(r => new PlannedRange(r.Id, r.From, r.To, r.NodeId)));
            var first = plan is null ? ranges : [.. RangeSpreader.Coarse([.. plan]).Select(p => new ShardRange(p.Id, id, p.From, p.To, home))];
            return state.WithTable(table with { GroupId = id }) with
            {
                Groups = state.Groups.Add(new TableGroup(id, GroupName(table.Name), method, types, first, scale)),
                NextGroupId = id + 1,
                NextRangeId = state.NextRangeId + ranges.Length,
            };
        }
    }

    internal static string GroupName(QualifiedName table) => table.Schema == "public" ? table.Name : $"{table.Schema}.{table.Name}";

    private static async Task<TableDefinition> InspectAsync(NpgsqlConnection home, string? schema, string name, CancellationToken cancellationToken)
    {
        var found = await TableInspector.ResolveAsync(home, schema, name, cancellationToken)
            ?? throw new ShardProxyException(ControlErrors.TableUnknown(schema is null ? name : $"{schema}.{name}"));

        // With nothing else on the path pg_catalog's reconstructions come out fully qualified.
        await home.RunAsync("SET search_path = pg_catalog", cancellationToken);
        var definition = await TableInspector.InspectAsync(home, found, cancellationToken);
        TableChecks.Distributable(definition);
        return definition;
    }

    /// <summary>Distributes. The foreign keys that wait for another table.</summary>
    private async Task<ImmutableArray<ShardProxyError>> DistributeAsync(
        TableDefinition definition, Func<CatalogState, List<PlannedRange>, CatalogState> placeTable, ImmutableArray<string> makeNotNull, QualifiedName? beside, CancellationToken cancellationToken)
    {
        var plan = new List<PlannedRange>();
        var before = await _catalog.LoadAsync(cancellationToken);
        var waiting = TableChecks.ForeignKeys(definition, Place(before));
        foreach (var part in definition.Tree)
        {
            await RefuseElsewhereAsync(part.Name, before.Nodes, cancellationToken);
        }

        var record = new DistributionRecord(definition.Name.Schema, definition.Name.Name, DistributionPhase.Copying, makeNotNull) { Run = NewRun() };
        var entry = await _journal.BeginAsync(record, cancellationToken);
        try
        {
            await BeforeStep("announce");
            var state = (await _catalog.TryUpdateAsync(Place, cancellationToken))!;
            await entry.WriteAsync(entry.Record with { Plan = [.. plan], Beside = beside is { } other ? [other.Schema, other.Name] : null }, cancellationToken);
            await _online.BarrierAsync(state, cancellationToken);
            await CopyAsync(definition, state, makeNotNull, entry, cancellationToken);
        }
        catch (Exception e)
        {
            // The journal says which way; past the switch there is only forward. What another control plane has taken over is not this one's to end.
            if (await _journal.FindAsync(record, CancellationToken.None) is not { } now || now.Record.Run != record.Run)
            {
                throw;
            }

            if (now.Record.Phase == DistributionPhase.Copying)
            {
                await UndoAsync(now, CancellationToken.None);
                throw e switch
                {
                    ShardProxyException or OperationCanceledException => e,
                    PostgresException p => new ShardProxyException(ControlErrors.DistributionFailed(definition.Name.ToString(), $"{p.SqlState}: {p.MessageText}."), e),
                    _ => new ShardProxyException(ControlErrors.DistributionFailed(definition.Name.ToString(), $"{e.Message}."), e),
                };
            }

            entry = now;
        }

        await SwitchAsync(entry, CancellationToken.None);
        if (plan.Count > 0)
        {
            await SpreadOrUndoAsync(entry, cancellationToken);
        }

        return waiting;

        // The proxies hear of the foreign keys no later than of the table's new place: what has to wait for them waits from the first statement on.
        CatalogState Place(CatalogState state)
        {
            var placed = placeTable(state, plan);
            placed = definition.PlacedPartitions(placed.FindTable(definition.Name)!).Aggregate(placed, (s, p) => s.WithTable(p));
            TableChecks.ForeignKeys(definition, placed);
            return placed with { Schema = placed.Schema.WithForeignKeys(placed.Schema.ForeignKeys.Concat(definition.AllReferences)) };
        }
    }

    // Rows that have been moved come home again when it is given up.
    private async Task SpreadOrUndoAsync(DistributionEntry entry, CancellationToken cancellationToken)
    {
        try
        {
            await _online.SpreadAsync(entry, cancellationToken);
        }
        catch (Exception e) when (e is not ShardProxyException { Error.Code: CatalogErrors.JournalTakenCode })
        {
            await entry.WriteAsync(entry.Record with { Phase = DistributionPhase.Gathering, Plan = [], Beside = null }, CancellationToken.None);
            await _online.GatherAsync(entry, CancellationToken.None);
            throw e is OperationCanceledException ? e : new ShardProxyException(
                ControlErrors.DistributionFailed(new QualifiedName(entry.Record.Schema, entry.Record.Name).ToString(), MigrationEnd.Describe(e)), e);
        }
    }

    private async Task CopyAsync(
        TableDefinition definition, CatalogState state, ImmutableArray<string> makeNotNull, DistributionEntry entry, CancellationToken cancellationToken)
    {
        var table = state.FindTable(definition.Name)!;
        var spreads = TableSpread.Of(state, definition.Name);
        var homeNode = state.Nodes.Single(n => n.IsHome);
        await using var home = await _connections.OpenAsync(homeNode, cancellationToken);
        await home.RunAsync("BEGIN", cancellationToken);

        // A transaction that wrote to the table may itself wait for this statement to end: one of the two has to give way.
        await home.RunAsync("SET LOCAL lock_timeout = '10s'", cancellationToken);
        await home.RunAsync($"LOCK TABLE {definition.Name} IN SHARE MODE", cancellationToken);
        var start = await TableCreator.TakeSequencesAsync(home, definition, table.Placement == TablePlacement.Sharded && state.Nodes.Length > 1 ? state.Nodes.Length : 1, cancellationToken);
        var others = state.Nodes.Where(n => !n.IsHome).OrderBy(n => n.Id).ToList();
        await home.RunAsync("SET LOCAL search_path = pg_catalog", cancellationToken);
        var dependencies = others.Count == 0 ? [] : await DependencyReader.ReadAsync(home, definition, cancellationToken);
        await home.RunAsync("SET LOCAL search_path TO DEFAULT", cancellationToken);
        var notNull = definition.WithNotNull(makeNotNull);
        for (var i = 0; i < others.Count; i++)
        {
            await BeforeStep("copy");
            await using var target = await _connections.OpenAsync(others[i], cancellationToken);
            await TableCreator.CreateAsync(target, others[i].Name, notNull, dependencies, table.Placement == TablePlacement.Sharded, (i + 1, state.Nodes.Length, start), cancellationToken);
            foreach (var spread in spreads)
            {
                await spread.CopyAsync(home, target, others[i], cancellationToken);
            }

            await TableCreator.AddForeignKeysAsync(target, definition, cancellationToken);
            await BeforeStep("verify");
            foreach (var spread in spreads)
            {
                await spread.VerifyAsync(home, target, others[i], cancellationToken);
            }

            await target.RunAsync($"ANALYZE {definition.Name}", cancellationToken);
        }

        foreach (var column in makeNotNull)
        {
            await home.RunAsync($"ALTER TABLE {definition.Name} ALTER COLUMN {SqlIdentifier.Quote(column)} SET NOT NULL", cancellationToken);
        }

        if (table.Placement == TablePlacement.Sharded && state.Nodes.Length > 1)
        {
            foreach (var sql in TableCreator.HomeSequenceStatements(definition, state.Nodes.Length, start))
            {
                await home.RunAsync(sql, cancellationToken);
            }
        }

        // Decided under the lock, while nothing can have changed since the copies were shown equal.
        await BeforeStep("decide");
        await entry.WriteAsync(entry.Record with { Phase = DistributionPhase.Switching }, cancellationToken);
        await home.RunAsync("SET session_replication_role = replica", CancellationToken.None);
        foreach (var spread in spreads)
        {
            await spread.DeleteForeignAsync(home, homeNode, CancellationToken.None);
        }

        await home.RunAsync("COMMIT", CancellationToken.None);
    }

    /// <summary>Ends a distribution whose copies are complete: foreign rows at home go, then statements may go on.</summary>
    private async Task SwitchAsync(DistributionEntry entry, CancellationToken cancellationToken)
    {
        var name = new QualifiedName(entry.Record.Schema, entry.Record.Name);
        var state = await _catalog.LoadAsync(cancellationToken);
        if (state.FindTable(name) is { IsChanging: true })
        {
            var homeNode = state.Nodes.Single(n => n.IsHome);
            await using (var home = await _connections.OpenAsync(homeNode, cancellationToken))
            {
                await home.RunAsync("SET session_replication_role = replica", cancellationToken);
                foreach (var spread in TableSpread.Of(state, name))
                {
                    await spread.DeleteForeignAsync(home, homeNode, cancellationToken);
                }
            }

            state = (await _catalog.TryUpdateAsync(s => s.FindTree(name).Aggregate(s, (next, t) => next.WithTable(t with { IsChanging = false })), cancellationToken))!;
            await _fleet.PublishAsync(state.ToRoutingTable(), DrainScope.None, BarrierDeadline, cancellationToken);
        }

        if (entry.Record.Plan.IsEmpty)
        {
            await entry.RemoveAsync(cancellationToken);
        }
        else
        {
            await entry.WriteAsync(entry.Record with { Phase = DistributionPhase.Spreading }, cancellationToken);
        }
    }

    /// <summary>Takes a distribution back: home has every row, so the copies go.</summary>
    private async Task UndoAsync(DistributionEntry entry, CancellationToken cancellationToken)
    {
        var name = new QualifiedName(entry.Record.Schema, entry.Record.Name);
        var state = await _catalog.LoadAsync(cancellationToken);
        foreach (var node in state.Nodes.Where(n => !n.IsHome))
        {
            await using var connection = await _connections.OpenAsync(node, cancellationToken);
            await connection.RunAsync($"SET client_min_messages = warning; DROP TABLE IF EXISTS {name}", cancellationToken);
        }

        if (state.FindTable(name) is { IsChanging: true })
        {
            state = (await _catalog.TryUpdateAsync(s => s.WithoutTable(name), cancellationToken))!;
            await _fleet.PublishAsync(state.ToRoutingTable(), DrainScope.None, BarrierDeadline, cancellationToken);
        }

        await entry.RemoveAsync(cancellationToken);
    }

    /// <summary>The first ranges: by the keys there are, or by a guess.</summary>
    private async Task<RangeLayout> LayoutAsync(
        NpgsqlConnection home, TableDefinition definition, ImmutableArray<ColumnDefinition> key, ImmutableArray<KeyType> types, CancellationToken cancellationToken)
    {
        var nodes = (await _catalog.LoadAsync(cancellationToken)).Nodes.OrderBy(n => n.Id).ToList();
        var quantiles = await KeySample.ReadAsync(home, definition.Name, [.. key.Select((c, i) => (c.Name, types[i]))], cancellationToken);
        return RangeLayout.ForKeys(types, nodes, quantiles)
            ?? RangeLayout.ForUnknownKeys(types, nodes, DateOnly.FromDateTime(_connections.Time.GetUtcNow().UtcDateTime));
    }

    /// <summary>Text of the default collation is ordered by each node's database.</summary>
    private async Task RefuseOtherOrderAsync(ShardingMethod method, TableDefinition definition, ImmutableArray<ColumnDefinition> key, CancellationToken cancellationToken)
    {
        const string IsByteOrdered =
            "SELECT datlocprovider = 'c' AND datcollate IN ('C', 'POSIX', 'C.UTF-8', 'C.utf8') FROM pg_database WHERE datname = current_database()";
        if (method != ShardingMethod.Range || !key.Any(c => c.CollationSql is null && KeyTypes.FromOid(c.TypeOid) is KeyType.Text or KeyType.Varchar))
        {
            return;
        }

        foreach (var node in (await _catalog.LoadAsync(cancellationToken)).Nodes)
        {
            await using var connection = await _connections.OpenAsync(node, cancellationToken);
            if (!await connection.ScalarAsync<bool>(IsByteOrdered, cancellationToken))
            {
                throw new ShardProxyException(ControlErrors.RangeKeyOrderElsewhere(node.Name));
            }
        }
    }

    private async Task RefuseElsewhereAsync(QualifiedName name, ImmutableArray<Node> nodes, CancellationToken cancellationToken)
    {
        foreach (var node in nodes.Where(n => !n.IsHome))
        {
            await using var connection = await _connections.OpenAsync(node, cancellationToken);
            if (await TableInspector.ResolveAsync(connection, name.Schema, name.Name, cancellationToken) is not null)
            {
                throw new ShardProxyException(ControlErrors.ExistsElsewhere(name.ToString(), node.Name));
            }
        }
    }

    private async Task<TableResult> OneAtATimeAsync(Func<NpgsqlConnection, Task<TableResult>> run, CancellationToken cancellationToken)
    {
        await _oneAtATime.WaitAsync(cancellationToken);
        try
        {
            var state = await _catalog.LoadAsync(cancellationToken);
            await using var home = await _connections.OpenAsync(state.Nodes.Single(n => n.IsHome), cancellationToken);
            return await run(home);
        }
        finally
        {
            _oneAtATime.Release();
        }
    }
}
