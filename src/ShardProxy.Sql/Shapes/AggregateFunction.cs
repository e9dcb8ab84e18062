namespace ShardProxy.Sql;

/// <summary>Aggregates whose value over several nodes follows from the values of each.</summary>
public enum AggregateFunction
{
    CountStar,
    Count,
    Sum,
    Min,
    Max,
}
