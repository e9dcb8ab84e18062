using System.Collections.Immutable;
using ShardProxy.Admin.Backend;
using ShardProxy.Control;
using ShardProxy.Control.Tables;
using ShardProxy.Model.Errors;
using ShardProxy.Model.Topology;

namespace ShardProxy.Composition;

/// <summary>The console's operations on the control plane.</summary>
internal sealed class ShardingOperations(ControlPlane control) : IShardingOperations
{
    public async ValueTask<OperationOutcome> ShardTableAsync(ShardTableRequest request, CancellationToken cancellationToken)
    {
        return await PlaceAsync(
            control.ShardTableAsync(request.Table.Schema, request.Table.Name, request.KeyColumns, request.Method, request.ColocateWith, request.Wait ? cancellationToken : CancellationToken.None),
            request.Table,
            request.Wait,
            cancellationToken);
    }

    public ValueTask<OperationOutcome> UnshardTableAsync(QualifiedName table, bool wait, CancellationToken cancellationToken) =>
        PlaceAsync(control.UnshardTableAsync(table.Schema, table.Name, wait ? cancellationToken : CancellationToken.None), table, wait, cancellationToken);

    public async ValueTask<OperationOutcome> ReplicateTableAsync(QualifiedName table, bool wait, CancellationToken cancellationToken)
    {
        var result = await control.ReplicateTableAsync(table.Schema, table.Name, cancellationToken);
        return new OperationOutcome(null, result.Notices);
    }

    public async ValueTask<OperationOutcome> SplitRangeAsync(int rangeId, long at, CancellationToken cancellationToken)
    {
        var upper = await control.SplitAsync(rangeId, at, cancellationToken);
        return new OperationOutcome(null, [$"the upper half is range {upper}"]);
    }

    public async ValueTask<OperationOutcome> SplitRangeAtKeyAsync(int rangeId, ImmutableArray<string> key, CancellationToken cancellationToken)
    {
        var upper = await control.SplitAtKeyAsync(rangeId, key, cancellationToken);
        return new OperationOutcome(null, [$"the upper half is range {upper}"]);
    }

    public async ValueTask<OperationOutcome> MergeRangesAsync(int firstId, int secondId, CancellationToken cancellationToken)
    {
        var merged = await control.MergeAsync(firstId, secondId, cancellationToken);
        return new OperationOutcome(null, [$"the merged range is range {merged}"]);
    }

    public async ValueTask<OperationOutcome> MoveRangeAsync(int rangeId, string nodeName, bool wait, CancellationToken cancellationToken)
    {
        var result = await control.MoveAsync(rangeId, nodeName, wait, cancellationToken);
        if (result.Error is not null)
        {
            throw new ShardProxyException(result.Error);
        }

        return new OperationOutcome(result.MigrationId, result.Notice is null ? [] : [result.Notice]);
    }

    public async ValueTask<OperationOutcome> CancelMigrationAsync(int migrationId, CancellationToken cancellationToken)
    {
        await control.CancelMigrationAsync(migrationId, cancellationToken);
        return OperationOutcome.Done;
    }

    private async ValueTask<OperationOutcome> PlaceAsync(Task<TableResult> placement, QualifiedName table, bool wait, CancellationToken cancellationToken) =>
        !wait && await control.FirstMoveAsync(placement, table, cancellationToken) is { } migration
            ? new OperationOutcome(migration, [])
            : new OperationOutcome(null, (await placement).Notices);

    public async ValueTask<OperationOutcome> RollbackMigrationAsync(int migrationId, bool wait, CancellationToken cancellationToken)
    {
        var result = await control.RollbackMigrationAsync(migrationId, wait, cancellationToken);
        return result.Error is null ? new OperationOutcome(result.MigrationId, result.Notice is null ? [] : [result.Notice]) : throw new ShardProxyException(result.Error);
    }
}
