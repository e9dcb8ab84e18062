namespace ShardProxy.Sql;

/// <summary>What a scan of one statement came to.</summary>
public enum ScanOutcome
{
    /// <summary>The shape is in the cache.</summary>
    Found,

    /// <summary>Only white space, comments and semicolons are left.</summary>
    Empty,

    /// <summary>The shape is not cached: call <see cref="StatementAnalyzer.AnalyzeAsync"/>.</summary>
    Missing,

    /// <summary>The text cannot or will not be analysed; the result carries the error.</summary>
    Refused,
}
