using System.Collections.Immutable;
using ShardProxy.Model.Topology;

namespace ShardProxy.Admin.Backend;

/// <summary>
/// What the console may ask the control plane to do. Expected failures are a <see cref="Model.Errors.ShardProxyException"/>
/// whose error goes to the client as it is. Cancelling a call ends only the wait, never the work half-done.
/// </summary>
public interface IShardingOperations
{
    /// <summary>Shards a table, empty or filled. Returns when done unless <see cref="ShardTableRequest.Wait"/> is false.</summary>
    ValueTask<OperationOutcome> ShardTableAsync(ShardTableRequest request, CancellationToken cancellationToken);

    /// <summary>Brings a sharded or replicated table back to the home node. Returns when done unless <paramref name="wait"/> is false.</summary>
    ValueTask<OperationOutcome> UnshardTableAsync(QualifiedName table, bool wait, CancellationToken cancellationToken);

    /// <summary>Copies a table to every node and keeps it there.</summary>
    ValueTask<OperationOutcome> ReplicateTableAsync(QualifiedName table, bool wait, CancellationToken cancellationToken);

    /// <summary>Cuts a range in two at <paramref name="at"/>, the first hash of the upper part. Moves no row.</summary>
    ValueTask<OperationOutcome> SplitRangeAsync(int rangeId, long at, CancellationToken cancellationToken);

    /// <summary>Cuts a range of a RANGE group in two at a key, given as text for its columns or the first of them. Moves no row.</summary>
    ValueTask<OperationOutcome> SplitRangeAtKeyAsync(int rangeId, ImmutableArray<string> key, CancellationToken cancellationToken);

    /// <summary>Makes one range of two neighbours on one node; the lower one's id stays. Moves no row.</summary>
    ValueTask<OperationOutcome> MergeRangesAsync(int firstId, int secondId, CancellationToken cancellationToken);

    /// <summary>Moves a range to a node, online. Returns when done unless <paramref name="wait"/> is false.</summary>
    ValueTask<OperationOutcome> MoveRangeAsync(int rangeId, string nodeName, bool wait, CancellationToken cancellationToken);

    /// <summary>Asks a migration to stop and undo what it did; returns when it has.</summary>
    ValueTask<OperationOutcome> CancelMigrationAsync(int migrationId, CancellationToken cancellationToken);

    /// <summary>Brings the range of a migration that is done back to where it was. Returns when done unless <paramref name="wait"/> is false.</summary>
    ValueTask<OperationOutcome> RollbackMigrationAsync(int migrationId, bool wait, CancellationToken cancellationToken);
}
