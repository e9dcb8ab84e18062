namespace ShardProxy.Sql.Shapes;

/// <summary>The WITH names that hide tables at some place of a statement.</summary>
internal sealed record CteNames(CteNames? Outer, string Name)
{
    public static bool Contains(CteNames? names, string name)
    {
        for (; names is not null; names = names.Outer)
        {
            if (string.Equals(names.Name, name, StringComparison.Ordinal))
            {
                return true;
            }
        }

        return false;
    }
}
