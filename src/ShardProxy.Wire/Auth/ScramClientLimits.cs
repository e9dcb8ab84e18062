namespace ShardProxy.Wire.Auth;

/// <summary>
/// Iteration counts a client accepts. Below the lower bound a false server could guess the password cheaply from the proof it is given;
/// above the upper one it could keep the processor busy.
/// </summary>
public sealed record ScramClientLimits
{
    /// <summary>RFC 7677 asks for 4096; a server set to fewer (PostgreSQL 16's scram_iterations) needs a lower bound here.</summary>
    public int MinimumIterations { get; init; } = ScramVerifier.DefaultIterations;

    /// <summary>A million take about a third of a second.</summary>
    public int MaximumIterations { get; init; } = 1_000_000;
}
