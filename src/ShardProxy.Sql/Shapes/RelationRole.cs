namespace ShardProxy.Sql;

/// <summary>What a statement does with a relation it names.</summary>
public enum RelationRole
{
    Read,
    Insert,
    Update,
    Delete,
    Merge,

    /// <summary>Named by a utility statement: DDL, TRUNCATE, VACUUM, LOCK, COPY.</summary>
    Utility,

    /// <summary>Named after REFERENCES.</summary>
    Referenced,
}
