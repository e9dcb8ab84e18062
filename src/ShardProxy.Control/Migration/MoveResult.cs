using ShardProxy.Model.Errors;

namespace ShardProxy.Control.Migration;

/// <summary>What a move came to.</summary>
/// <param name="MigrationId">Its migration, or null when the range was there already.</param>
/// <param name="Notice">For the client, or null.</param>
/// <param name="Error">Set when it ended without the range on its target.</param>
public sealed record MoveResult(int? MigrationId, string? Notice, ShardProxyError? Error);
