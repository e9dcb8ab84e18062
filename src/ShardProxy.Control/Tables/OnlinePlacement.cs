using System.Collections.Immutable;
using Npgsql;
using ShardProxy.Catalog;
using ShardProxy.Catalog.Journal;
using ShardProxy.Control.Nodes;
using ShardProxy.Model.Errors;
using ShardProxy.Model.Fleet;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Topology;

namespace ShardProxy.Control.Tables;

/// <summary>
/// SHARD TABLE of a large table and UNSHARD TABLE, while clients read and write it: the table is placed with all its rows on the home node, which changes nothing for anybody, and ranges
/// are moved to where they belong; or the other way round. A crash goes on from the journal.
/// </summary>
internal sealed class OnlinePlacement(RoutingCatalog catalog, DistributionJournal journal, NodeConnections connections, IProxyFleet fleet, RangeSpreader spreader)
{
    private static readonly TimeSpan BarrierDeadline = TimeSpan.FromMinutes(1);

    /// <summary>Goes on with a table that is sharded and whose rows are not yet where they belong.</summary>
    public async Task SpreadAsync(DistributionEntry entry, CancellationToken cancellationToken)
    {
        var name = NameOf(entry);
        await spreader.SpreadAsync(name, s => PlanOf(s, entry.Record), cancellationToken);
        while (await spreader.UpdateAsync(s => Finished(s, name, entry.Record), cancellationToken) is null)
        {
            // The group it joins, or its own, has been changed meanwhile.
            if (RangeSpreader.GroupOf(await catalog.LoadAsync(cancellationToken), name) is not { } group || IsFinished(entry.Record, group, await catalog.LoadAsync(cancellationToken)))
            {
                break;
            }

            await spreader.SpreadAsync(name, s => PlanOf(s, entry.Record), cancellationToken);
            await Task.Delay(TimeSpan.FromMilliseconds(100), cancellationToken);
        }

        await entry.RemoveAsync(CancellationToken.None);
    }

    /// <summary>Begins to unshard a table. The rows stay where they are.</summary>
    /// <exception cref="ShardProxyException">SHP-635, 642, 643.</exception>
    public async Task<DistributionEntry> BeginUnshardAsync(QualifiedName name, string run, CancellationToken cancellationToken)
    {
        var state = await catalog.LoadAsync(cancellationToken);
        Refuse(state, name);
        var entry = await journal.BeginAsync(new DistributionRecord(name.Schema, name.Name, DistributionPhase.Gathering, []) { Run = run }, cancellationToken);
        try
        {
            await spreader.UpdateAsync(s => InOwnGroup(s, name), cancellationToken);
        }
        catch
        {
            await entry.RemoveAsync(CancellationToken.None);
            throw;
        }

        return entry;
    }

    /// <summary>Brings a table's rows to the home node and takes it out of the catalog.</summary>
    public async Task GatherAsync(DistributionEntry entry, CancellationToken cancellationToken)
    {
        var name = NameOf(entry);
        var state = await catalog.LoadAsync(cancellationToken);
        if (state.FindTable(name) is null)
        {
            await DropElsewhereAsync(name, state, CancellationToken.None);
            await entry.RemoveAsync(CancellationToken.None);
            return;
        }

        if (state.FindTable(name) is { Placement: TablePlacement.Sharded })
        {
            await spreader.SpreadAsync(name, AllAtHome, cancellationToken);
        }

        // Nobody draws from the other nodes' sequences, nor writes their copies, from here on.
        state = (await catalog.TryUpdateAsync(s => Leaving(s, name), cancellationToken))!;
        await BarrierAsync(state, cancellationToken);
        await GiveSequencesBackAsync(name, state, cancellationToken);
        state = (await catalog.TryUpdateAsync(s => s.WithoutTable(name), CancellationToken.None))!;
        await fleet.PublishAsync(state.ToRoutingTable(), DrainScope.None, BarrierDeadline, CancellationToken.None);
        await BarrierAsync(state, CancellationToken.None);
        await DropElsewhereAsync(name, state, CancellationToken.None);
        await entry.RemoveAsync(CancellationToken.None);
    }

    private static QualifiedName NameOf(DistributionEntry entry) => new(entry.Record.Schema, entry.Record.Name);

    private static ImmutableArray<PlannedRange> AllAtHome(CatalogState state) => [new(0, long.MinValue, null, state.Nodes.Single(n => n.IsHome).Id)];

    private static ImmutableArray<PlannedRange> PlanOf(CatalogState state, DistributionRecord record) =>
        record.Beside is [var schema, var table] && RangeSpreader.GroupOf(state, new QualifiedName(schema, table)) is { } group
            ? [.. group.Ranges.Select(r => new PlannedRange(r.Id, r.From, r.To, r.NodeId))]
            : record.Plan;

    /// <summary>The last step: the ranges as planned, or the group of the other table. Null when it cannot be done now.</summary>
    private static CatalogState? Finished(CatalogState state, QualifiedName name, DistributionRecord record)
    {
        if (RangeSpreader.GroupOf(state, name) is not { } group || state.Moves.Any(m => m.GroupId == group.Id))
        {
            return null;
        }

        var plan = PlanOf(state, record);
        if (!group.Ranges.All(r => plan.Where(p => RangeSpreader.Overlap(p, r)).All(p => p.NodeId == r.NodeId)))
        {
            return null;
        }

        if (record.Beside is [var schema, var table] && RangeSpreader.GroupOf(state, new QualifiedName(schema, table)) is { } other)
        {
            return other.Id == group.Id || state.Moves.Any(m => m.GroupId == other.Id)
                ? null
                : state.WithTable(state.FindTable(name)! with { GroupId = other.Id }) with { Groups = state.Groups.Remove(group) };
        }

        return state with { Groups = state.Groups.Replace(group, group.WithRanges([.. plan.Select(p => new ShardRange(p.Id, group.Id, p.From, p.To, p.NodeId))])) };
    }

    private static bool IsFinished(DistributionRecord record, TableGroup group, CatalogState state) => record.Beside is [var schema, var table]
        ? RangeSpreader.GroupOf(state, new QualifiedName(schema, table))?.Id == group.Id
        : group.Ranges.Select(r => (r.From, r.To, r.NodeId)).SequenceEqual(record.Plan.Select(p => (p.From, p.To, p.NodeId)));

    private static void Refuse(CatalogState state, QualifiedName name)
    {
        if (state.FindTable(name) is not { IsChanging: false })
        {
            throw new ShardProxyException(ControlErrors.NotPlaced(name.ToString()));
        }

        if (state.FindTable(name) is { IsPartitioned: true } or { Parent: not null })
        {
            throw new ShardProxyException(ControlErrors.UnsupportedTableFeature(name.ToString(), "is partitioned or a partition, which cannot be unsharded", "Copy its rows into another table."));
        }

        // What references it from other nodes could not be checked any more.
        if (state.Schema.ForeignKeys.FirstOrDefault(k => k.Parent == name && k.Child != name && state.FindTable(k.Child) is not null) is { } key)
        {
            throw new ShardProxyException(ControlErrors.StillReferenced(name.ToString(), key.Child.ToString()));
        }
    }

    /// <summary>A group of several tables moves as one: the table leaves it first, with the same ranges under new ids.</summary>
    private static CatalogState? InOwnGroup(CatalogState state, QualifiedName name)
    {
        if (RangeSpreader.GroupOf(state, name) is not { } group || state.Tables.Count(t => t.GroupId == group.Id && t.Placement == TablePlacement.Sharded) == 1)
        {
            return null;
        }

        if (state.Moves.Any(m => m.GroupId == group.Id))
        {
            throw new ShardProxyException(ControlErrors.GroupIsMoving(name.ToString()));
        }

        var id = state.NextGroupId;
        var own = new TableGroup(
            id, TableDistributor.GroupName(name), group.Method, group.KeyTypes, [.. group.Ranges.Select((r, i) => r with { Id = state.NextRangeId + i, GroupId = id })], group.Scale);
        return state.WithTable(state.FindTable(name)! with { GroupId = id }) with
        {
            Groups = state.Groups.Add(own),
            NextGroupId = id + 1,
            NextRangeId = state.NextRangeId + own.Ranges.Length,
        };
    }

    private static CatalogState Leaving(CatalogState state, QualifiedName name)
    {
        var home = state.Nodes.Single(n => n.IsHome).Id;
        return RangeSpreader.GroupOf(state, name) is { } group && (group.Ranges.Any(r => r.NodeId != home) || state.Moves.Any(m => m.GroupId == group.Id))
            ? throw new ShardProxyException(ControlErrors.GroupIsMoving(name.ToString()))
            : state.WithTable(state.FindTable(name)! with { IsChanging = true });
    }

    /// <summary>Returns when what was begun by an earlier placement has ended in every proxy.</summary>
    /// <exception cref="ShardProxyException">SHP-510.</exception>
    public async Task BarrierAsync(CatalogState state, CancellationToken cancellationToken)
    {
        var reports = await fleet.PublishAsync(state.ToRoutingTable(), DrainScope.EarlierStatements, BarrierDeadline, cancellationToken);
        if (!reports.All(r => r.IsDrained))
        {
            throw new ShardProxyException(ControlErrors.StepTimedOut("wait for earlier statements", BarrierDeadline));
        }
    }

    /// <summary>The home node's sequences count by one again, behind what any node has drawn.</summary>
    private async Task GiveSequencesBackAsync(QualifiedName name, CatalogState state, CancellationToken cancellationToken)
    {
        await using var home = await connections.OpenAsync(state.Nodes.Single(n => n.IsHome), cancellationToken);
        var definition = await TableInspector.InspectAsync(home, name, cancellationToken);
        foreach (var column in definition.Columns.Where(TableCreator.HasSequence))
        {
            // Nobody draws from it until the transaction ends.
            await home.RunAsync("BEGIN", cancellationToken);
            await home.RunAsync("SET LOCAL lock_timeout = '10s'", cancellationToken);
            await home.RunAsync(TableCreator.SequenceStatement(name, column, 1), cancellationToken);
            var highest = await TableCreator.HighestNumberAsync(home, name, column, cancellationToken);
            foreach (var node in state.Nodes.Where(n => !n.IsHome))
            {
                await using var connection = await connections.OpenAsync(node, cancellationToken);
                highest = Math.Max(highest, await TableCreator.HighestNumberAsync(connection, name, column, cancellationToken));
            }

            await home.RunAsync(TableCreator.SequenceStatement(name, column, 1, highest + 1), cancellationToken);
            await home.RunAsync("COMMIT", cancellationToken);
        }
    }

    private async Task DropElsewhereAsync(QualifiedName name, CatalogState state, CancellationToken cancellationToken)
    {
        foreach (var node in state.Nodes.Where(n => !n.IsHome))
        {
            await using var connection = await connections.OpenAsync(node, cancellationToken);
            await connection.RunAsync($"SET client_min_messages = warning; DROP TABLE IF EXISTS {name}", cancellationToken);
        }
    }
}
