namespace ShardProxy.Model.Topology;

/// <summary>The mapping between key types and PostgreSQL's type OIDs (pg_type.dat).</summary>
public static class KeyTypes
{
    /// <summary>The key type of a column of type <paramref name="typeOid"/>, or null when that type cannot be a key.</summary>
    public static KeyType? FromOid(uint typeOid) => typeOid switch
    {
        21 => KeyType.Int2,
        23 => KeyType.Int4,
        20 => KeyType.Int8,
        25 => KeyType.Text,
        1043 => KeyType.Varchar,
        2950 => KeyType.Uuid,
        1082 => KeyType.Date,
        1114 => KeyType.Timestamp,
        1184 => KeyType.TimestampTz,
        1700 => KeyType.Numeric,
        _ => null,
    };

    /// <summary>True for types that the key of a HASH group may have; those of RANGE groups may have all.</summary>
    public static bool CanHash(KeyType type) => type <= KeyType.Uuid;

    /// <summary>The type whose order, and bytes of <see cref="Keys.KeyOrder"/>, the type shares: joins between two of one family stay on one node.</summary>
    public static KeyType Family(KeyType type) => type switch
    {
        KeyType.Int2 or KeyType.Int4 => KeyType.Int8,
        KeyType.Varchar => KeyType.Text,
        _ => type,
    };

    /// <summary>The name of the family in SQL, qualified.</summary>
    public static string FamilySql(KeyType type) => Family(type) switch
    {
        KeyType.Int8 => "pg_catalog.int8",
        KeyType.Text => "pg_catalog.text",
        KeyType.Uuid => "pg_catalog.uuid",
        KeyType.Date => "pg_catalog.date",
        KeyType.Timestamp => "pg_catalog.timestamp",
        KeyType.TimestampTz => "pg_catalog.timestamptz",
        KeyType.Numeric => "pg_catalog.numeric",
        _ => throw new ArgumentOutOfRangeException(nameof(type)),
    };

    /// <summary>PostgreSQL's extended hash function for the type; its signature is (value, seed bigint) → bigint.</summary>
    /// <remarks>int2 has its own function but the same value as int8's for equal numbers; all integer keys use int8's.</remarks>
    public static string HashFunction(KeyType type) => type switch
    {
        KeyType.Int2 or KeyType.Int4 or KeyType.Int8 => "pg_catalog.hashint8extended",
        KeyType.Text or KeyType.Varchar => "pg_catalog.hashtextextended",
        KeyType.Uuid => "pg_catalog.uuid_hash_extended",
        _ => throw new ArgumentOutOfRangeException(nameof(type)),
    };
}
