namespace ShardProxy.Sql;

/// <summary>The kind of object a utility statement is about.</summary>
public enum UtilityObject
{
    Table,
    Index,
    View,
    MaterializedView,
    Schema,
    Type,
    Function,
    Extension,
    Sequence,
    Database,
    Role,

    /// <summary>
    /// What expressions of tables and statements may use besides functions and types: operators and their classes, casts, collations, text search
    /// objects, languages, conversions, transforms, access methods; extended statistics, which plans use.
    /// </summary>
    Code,

    /// <summary>Rights on all objects of a kind, or what a role owns: GRANT ON ALL TABLES, ALTER DEFAULT PRIVILEGES, REASSIGN OWNED, DROP OWNED.</summary>
    Privileges,
    Other,
}
