namespace ShardProxy.Cli;

/// <summary>What the process ends with.</summary>
internal static class ExitCode
{
    public const int Success = 0;

    /// <summary>It started and something failed.</summary>
    public const int Failure = 1;

    /// <summary>The command line, the configuration or the machine's prerequisites are not right; nothing was started.</summary>
    public const int Usage = 2;
}
