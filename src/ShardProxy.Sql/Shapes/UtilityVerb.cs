namespace ShardProxy.Sql;

/// <summary>What a utility statement does to its objects.</summary>
public enum UtilityVerb
{
    /// <summary>Anything else: VACUUM, TRUNCATE, REINDEX and the like.</summary>
    Other,

    /// <summary>CREATE, CREATE OR REPLACE.</summary>
    Create,
    Alter,
    Drop,

    /// <summary>RENAME TO, SET SCHEMA: afterwards it has another full name.</summary>
    Rename,

    /// <summary>GRANT, REVOKE.</summary>
    Grant,

    /// <summary>COMMENT, SECURITY LABEL: no answer depends on it.</summary>
    Comment,
}
