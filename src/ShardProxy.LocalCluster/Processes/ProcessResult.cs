namespace ShardProxy.LocalCluster.Processes;

/// <summary>How a finished command ended and what it wrote.</summary>
internal sealed record ProcessResult(int ExitCode, string Output, string ErrorOutput);
