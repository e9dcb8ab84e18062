namespace ShardProxy.Model.Keys;

/// <summary>What became of turning one key value into its hash.</summary>
public enum KeyHashOutcome
{
    /// <summary>The hash is the one PostgreSQL computes for the value.</summary>
    Ok = 0,

    /// <summary>
    /// PostgreSQL itself rejects the value (22P02, 22003, 22001, 22021, 22P03 or 08P01, by type and cause): the statement fails on
    /// every node alike, so any node may be asked for the error.
    /// </summary>
    Invalid = 1,

    /// <summary>It cannot be proven which value PostgreSQL would see: the statement must not be routed by this key.</summary>
    Unsupported = 2,
}
