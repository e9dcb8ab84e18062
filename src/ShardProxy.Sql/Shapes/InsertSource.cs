namespace ShardProxy.Sql;

/// <summary>Where an INSERT's rows come from.</summary>
public enum InsertSource
{
    /// <summary>A plain VALUES list.</summary>
    Values,

    /// <summary>A query.</summary>
    Select,

    /// <summary>DEFAULT VALUES: one row.</summary>
    DefaultValues,
}
