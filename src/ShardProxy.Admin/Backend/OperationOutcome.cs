using System.Collections.Immutable;

namespace ShardProxy.Admin.Backend;

/// <summary>What an operation has to say when it worked.</summary>
/// <param name="MigrationId">The migration that does or did the work; null when none was needed.</param>
/// <param name="Notices">Sent to the client with severity NOTICE.</param>
public sealed record OperationOutcome(int? MigrationId, ImmutableArray<string> Notices)
{
    /// <summary>Done, nothing to add.</summary>
    public static readonly OperationOutcome Done = new(null, []);
}
