namespace ShardProxy.Sql.Shapes;

/// <summary>
/// The names one query block can refer to columns by, inner to outer, as PostgreSQL's parser keeps them (parse_relation.c).
/// </summary>
internal sealed class Scope(Scope? parent)
{
    public Scope? Parent { get; } = parent;

    public List<ScopeItem> Items { get; } = [];

    /// <summary>
    /// The relation that <c>name.column</c> or <c>schema.name.column</c> means, or -1 when it is none whose columns are known. An inner name
    /// hides an outer one also when it belongs to a subquery.
    /// </summary>
    public int Resolve(string? schema, string name)
    {
        for (var scope = this; scope is not null; scope = scope.Parent)
        {
            var found = -2;
            foreach (var item in scope.Items)
            {
                if (item.Matches(schema, name))
                {
                    found = found == -2 ? item.Relation : -1;
                }
            }

            if (found != -2)
            {
                return found;
            }
        }

        return -1;
    }
}

/// <summary>One entry of a FROM list.</summary>
/// <param name="Name">Its name for references; null when it is not known and may be any.</param>
/// <param name="Schema">Schema as written, for a table without alias.</param>
/// <param name="HasAlias">The table goes by an alias: its own name is hidden.</param>
/// <param name="Relation">Index of the relation; -1 for anything else.</param>
internal sealed record ScopeItem(string? Name, string? Schema, bool HasAlias, int Relation)
{
    /// <summary>Something whose name and columns are not known here.</summary>
    public static readonly ScopeItem Unknown = new(null, null, false, -1);

    public static ScopeItem Opaque(string? name) => new(name, null, true, -1);

    public bool Matches(string? schema, string name)
    {
        if (Name is null)
        {
            return true;
        }

        return string.Equals(Name, name, StringComparison.Ordinal)
            && (schema is null || (!HasAlias && string.Equals(schema, Schema, StringComparison.Ordinal)));
    }
}
