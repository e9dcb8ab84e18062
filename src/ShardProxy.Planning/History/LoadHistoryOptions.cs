namespace ShardProxy.Planning.History;

/// <summary>Resolution and bounds of a <see cref="LoadHistory"/>.</summary>
public sealed record LoadHistoryOptions
{
    /// <summary>Length of one bin; five minutes in production, fractions of a second in fast time.</summary>
    public TimeSpan BinLength { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>Bins kept; 8,640 bins of five minutes are 30 days.</summary>
    public int MaxBins { get; init; } = 8640;

    /// <summary>
    /// Bound of the memory held by bucket loads, in bytes. When it is reached the oldest bins go first, whatever
    /// <see cref="MaxBins"/> says. One group with load in every bucket takes 8 KiB a bin, 68 MiB for 30 days.
    /// </summary>
    public long MaxBytes { get; init; } = 512L << 20;

    /// <summary>A bin counts as observed when at least this share of it was recorded; else it is a gap.</summary>
    public double MinimumCoverage { get; init; } = 0.5;
}
