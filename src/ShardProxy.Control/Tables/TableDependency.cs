using System.Collections.Immutable;

namespace ShardProxy.Control.Tables;

/// <summary>The kinds of things a table may need on a node, in the order in which they are made.</summary>
internal enum DependencyKind
{
    Role,
    Schema,
    Extension,
    Collation,
    Type,
    Function,

    /// <summary>An operator, aggregate, language or the like, which is not made but has to be there.</summary>
    Other,
}

/// <summary>Something that a table on the home node needs.</summary>
/// <param name="Kind">What it is.</param>
/// <param name="Identity">Its full name, quoted as in SQL; a function's with its argument types.</param>
/// <param name="Noun">What PostgreSQL calls it in ALTER and DROP: TYPE, DOMAIN, FUNCTION ….</param>
/// <param name="CreateSql">Makes it, and is the same text where it is the same thing; empty for <see cref="DependencyKind.Other"/>.</param>
/// <param name="AfterSql">Statements for its owner and rights.</param>
internal sealed record TableDependency(DependencyKind Kind, string Identity, string Noun, string CreateSql, ImmutableArray<string> AfterSql)
{
    /// <summary>The table does without it: statements may use it. Where it cannot be made it is left out.</summary>
    public bool IsOptional { get; init; }
}
