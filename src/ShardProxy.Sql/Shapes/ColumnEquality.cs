namespace ShardProxy.Sql;

/// <summary>
/// If every row of <paramref name="FromRelation"/> that can influence the statement has <paramref name="FromColumn"/> = v, then every such
/// row of <paramref name="ToRelation"/> has <paramref name="ToColumn"/> = v. Holds only as far as both columns compare like their common key
/// type: use it between columns whose types are known. Both columns were written with their relation's name, come from USING, or
/// were written without it where that relation is the only one of its block: then it is the relation's column if it has one of that name.
/// </summary>
public sealed record ColumnEquality(int FromRelation, string FromColumn, int ToRelation, string ToColumn);
