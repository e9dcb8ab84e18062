namespace ShardProxy.Demo.Workload;

/// <summary>What one client statement does.</summary>
internal enum StatementKind : byte
{
    /// <summary>Reads one account.</summary>
    Read,

    /// <summary>Adds an amount to one account.</summary>
    Update,

    /// <summary>Inserts one entry of an account.</summary>
    Insert,
}
