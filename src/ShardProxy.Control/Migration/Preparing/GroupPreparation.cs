using System.Collections.Immutable;
using ShardProxy.Catalog.Journal;
using ShardProxy.Control.Migration.CleaningUp;
using ShardProxy.Control.Nodes;

namespace ShardProxy.Control.Migration.Preparing;

/// <summary>
/// DESIGN section 6, step 2. Preflight, list of objects, ghost barrier, both gates (the source's open, the target's closed), leftovers on the
/// target cleared behind its closed gate. All strong table locks of a migration fall here, but for the one behind the copy.
/// </summary>
internal static class GroupPreparation
{
    /// <summary>Looks only; refuses what would fail later.</summary>
    public static async Task<ImmutableArray<TableSurvey>> SurveyAsync(MigrationContext context, NodeAdmin admin, CancellationToken cancellationToken)
    {
        await MovePreflight.CheckNodesAsync(context.Connections, admin, context.Source, context.Target, context.Options, cancellationToken);
        await using var source = await context.Connections.OpenAsync(context.Source, cancellationToken);
        await using var target = await context.Connections.OpenAsync(context.Target, cancellationToken);
        var surveys = ImmutableArray.CreateBuilder<TableSurvey>();
        foreach (var table in context.Tables)
        {
            surveys.Add(await TableSurvey.TakeAsync(table, context.Source, source, context.Target, target, context.Options, cancellationToken));
        }

        return surveys.ToImmutable();
    }

    /// <summary>Everything the migration will put on a node, in one journal entry before the first of it exists.</summary>
    public static async Task ListObjectsAsync(MigrationContext context, ImmutableArray<TableSurvey> surveys, CancellationToken cancellationToken)
    {
        var (stream, reverse) = (context.Names.Stream, context.Names.ReverseStream);
        var (source, target) = (context.Source.Id, context.Target.Id);
        var objects = ImmutableArray.CreateBuilder<MigrationObject>();
        foreach (var node in new[] { source, target })
        {
            objects.Add(new MigrationObject(MigrationObjectKind.GateSequence, node, context.Names.GateSequence));
            objects.Add(new MigrationObject(MigrationObjectKind.Markers, node, stream));
            objects.AddRange(surveys.Select(s => new MigrationObject(
                MigrationObjectKind.GateTriggers, node, s.Table.Sql, s.RestoreIdentity(node == source))));
        }

        objects.Add(new MigrationObject(MigrationObjectKind.Publication, source, stream));
        objects.Add(new MigrationObject(MigrationObjectKind.ReplicationSlot, source, stream));
        objects.Add(new MigrationObject(MigrationObjectKind.Subscription, target, stream));
        objects.Add(new MigrationObject(MigrationObjectKind.GhostRows, target, stream));
        if (context.IsReversible)
        {
            objects.Add(new MigrationObject(MigrationObjectKind.Publication, target, reverse));
            objects.Add(new MigrationObject(MigrationObjectKind.ReplicationSlot, target, reverse));
            objects.Add(new MigrationObject(MigrationObjectKind.Subscription, source, reverse));
        }

        await context.Journal.WriteAsync(r => r with { Objects = objects.ToImmutable() }, cancellationToken);
    }

    public static async Task BuildAsync(MigrationContext context, ImmutableArray<TableSurvey> surveys, CancellationToken cancellationToken)
    {
        await RangeGate.CreateSequenceAsync(context, context.Target, isOpen: false, cancellationToken);
        await RangeGate.CreateSequenceAsync(context, context.Source, isOpen: true, cancellationToken);
        await Task.WhenAll(
            GateAsync(context, surveys, context.Target, GatePart.AllButInserts, cancellationToken),
            GateAsync(context, surveys, context.Source, GatePart.All, cancellationToken));
    }

    /// <summary>
    /// Completes the target's gate behind the copy. Up to here nobody has reason to insert rows of the range there, the range's owner being another; verification finds any.
    /// </summary>
    public static Task CompleteTargetAsync(MigrationContext context, ImmutableArray<TableSurvey> surveys, CancellationToken cancellationToken) =>
        GateAsync(context, surveys, context.Target, GatePart.Inserts, cancellationToken);

    /// <summary>Behind the closed gate: whatever lies on the target in this range is not the range's truth and goes.</summary>
    public static async Task ClearTargetAsync(MigrationContext context, CancellationToken cancellationToken)
    {
        var cleaner = new GhostCleaner(context, context.Target);
        await cleaner.PermitAsync(cancellationToken);
        await cleaner.CleanAsync(isThrottled: false, cancellationToken);
        await cleaner.ForbidAsync(cancellationToken);
    }

    private static async Task GateAsync(
        MigrationContext context, ImmutableArray<TableSurvey> surveys, Model.Topology.Node node, GatePart part, CancellationToken cancellationToken)
    {
        foreach (var survey in surveys)
        {
            await RangeGate.CreateTriggersAsync(context, node, survey, part, cancellationToken);
        }
    }
}
