namespace ShardProxy.DataPath.Sessions;

/// <summary>
/// Collecting replies brought the server's error: the request at hand came behind it, so it is skipped like everything else up to the
/// client's Sync, also if another node was to get it.
/// </summary>
internal sealed class PipelineSkippedException : Exception;
