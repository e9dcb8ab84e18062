namespace ShardProxy.Sql;

/// <summary>COPY's data formats.</summary>
public enum CopyFormat
{
    Text,
    Csv,
    Binary,
}
