using ShardProxy.Sql.Parsing;

namespace ShardProxy.Sql.Shapes;

/// <summary>
/// Finds where a predicate on the target of an UPDATE or DELETE can be spliced in. WHERE and RETURNING are reserved words: outside parentheses they stand
/// for the clauses, but for names behind a dot and output names behind RETURNING. What is found is checked against the tree.
/// </summary>
internal sealed class ChangeReader(ShapeDraft draft, TokenTable tokens)
{
    public PredicateSlot? Read(TreeNode change)
    {
        var relation = draft.RelationAt(change.Field("relation")?.Location() ?? -1);
        if (relation < 0 || tokens.HasUnicodeNames || draft[relation].HasColumnAliases)
        {
            return null;
        }

        var (where, returning, end) = Find();
        var hasReturning = change.ListLength("returningList") > 0;
        if (change.Has("whereClause") != where >= 0 || hasReturning != returning >= 0)
        {
            return null;
        }

        var last = (returning >= 0 ? returning : end) - 1;
        var whereStart = where >= 0 ? tokens[where].Start : int.MaxValue;
        var returningStart = returning >= 0 ? tokens[returning].Start : int.MaxValue;
        var isAsInTree = last > where
            && IsWithin(change.Field("whereClause"), whereStart, returningStart)
            && IsWithin(change.Field("returningList"), returningStart, int.MaxValue)
            && IsWithin(change.Field("targetList"), 0, Math.Min(whereStart, returningStart))
            && IsWithin(change.Field("fromClause"), 0, Math.Min(whereStart, returningStart))
            && IsWithin(change.Field("usingClause"), 0, Math.Min(whereStart, returningStart));
        return isAsInTree ? new PredicateSlot(relation, where, last) : null;
    }

    private (int Where, int Returning, int End) Find()
    {
        int where = -1, returning = -1, end = tokens.Count, depth = 0;
        for (var i = 0; i < tokens.Count; i++)
        {
            if (tokens.IsSign(i, '(') || tokens.IsSign(i, '['))
            {
                depth++;
            }
            else if (tokens.IsSign(i, ')') || tokens.IsSign(i, ']'))
            {
                depth--;
            }
            else if (depth > 0 || tokens.IsSign(i - 1, '.') || returning >= 0)
            {
                // A name, or behind the last clause.
            }
            else if (where < 0 && tokens.IsWord(i, "where"u8))
            {
                where = i;
            }
            else if (tokens.IsWord(i, "returning"u8))
            {
                returning = i;
            }

            if (depth == 0 && tokens.IsSign(i, ';'))
            {
                end = i;
                break;
            }
        }

        return (where, returning, end);
    }

    // Every place the tree has for the clause lies there.
    private static bool IsWithin(TreeNode? clause, int from, int to) => clause is not { } node || AllWithin(node, from, to);

    private static bool AllWithin(TreeNode node, int from, int to)
    {
        foreach (var field in node.Fields)
        {
            if (field.Name == "location" && field.Value.Kind == TreeKind.Number)
            {
                if (field.Value.Number >= 0 && (field.Value.Number < from || field.Value.Number > to))
                {
                    return false;
                }
            }
            else if (!AllWithin(field.Value, from, to))
            {
                return false;
            }
        }

        foreach (var item in node.Items)
        {
            if (!AllWithin(item, from, to))
            {
                return false;
            }
        }

        return true;
    }
}
