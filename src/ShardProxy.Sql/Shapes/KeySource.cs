namespace ShardProxy.Sql;

/// <summary>A constant that a key column is compared with or set to.</summary>
/// <param name="Kind">Where it comes from.</param>
/// <param name="Index">Literal: its ordinal in the <see cref="LiteralList"/>. Parameter: its number minus one. Null: 0.</param>
/// <param name="Negated">A minus sign stands before the literal.</param>
/// <param name="CastType">
/// The one cast as the grammar names it, or null: <c>int8</c>, <c>text</c>, <c>uuid</c>, and for SQL's own type names
/// <c>pg_catalog.int8</c> (bigint), <c>pg_catalog.int4</c>, <c>pg_catalog.varchar</c>. A constant with several casts, a type
/// modifier or an array type is no key source.
/// </param>
public readonly record struct KeySource(KeySourceKind Kind, int Index, bool Negated, string? CastType);
