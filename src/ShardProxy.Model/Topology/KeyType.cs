namespace ShardProxy.Model.Topology;

/// <summary>Types a shard-key column may have (DESIGN section 1). Values are stored in the catalog: do not renumber.</summary>
public enum KeyType
{
    Int2 = 1,
    Int4 = 2,
    Int8 = 3,
    Text = 4,
    Varchar = 5,
    Uuid = 6,
    Date = 7,
    Timestamp = 8,
    TimestampTz = 9,
    Numeric = 10,
}
