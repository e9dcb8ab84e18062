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
        _ => null,
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
