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
    Other,
}
