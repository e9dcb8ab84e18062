using System.Collections.Immutable;

namespace ShardProxy.Sql.Shapes;

/// <summary>
/// Finds where the parts of an INSERT … VALUES stand in its text. The tree has no places of rows: every token from the target's name to the last
/// parenthesis is one this reader expects, and the rows it finds are as many and as wide as the tree's; else it finds nothing.
/// </summary>
internal sealed class ValuesReader(TokenTable tokens)
{
    /// <summary>Where its parts stand; null when that is not certain.</summary>
    /// <param name="location">The byte at which the target's name stands.</param>
    /// <param name="hasColumns">A column list is there.</param>
    /// <param name="widths">Values a row, row by row, as the tree has them; none for DEFAULT VALUES.</param>
    public InsertPlaces? Read(int location, bool hasColumns, IReadOnlyList<int> widths)
    {
        var i = AfterTarget(location, hasColumns);
        if (i < 0)
        {
            return null;
        }

        var nameEnd = AfterTarget(location, hasColumns: false) - 1;
        var columnsEnd = hasColumns ? i - 1 : -1;
        if (tokens.IsWord(i, "overriding"u8))
        {
            i += 3;
        }

        var values = i;
        if (widths.Count == 0)
        {
            return tokens.IsWord(i, "default"u8) && tokens.IsWord(i + 1, "values"u8) ? new InsertPlaces(nameEnd, columnsEnd, values, []) : null;
        }

        if (!tokens.IsWord(i, "values"u8))
        {
            return null;
        }

        var rows = ImmutableArray.CreateBuilder<TokenRange>(widths.Count);
        do
        {
            var first = ++i;
            if (rows.Count == widths.Count || !Skip(ref i, out var commas) || commas + 1 != widths[rows.Count])
            {
                return null;
            }

            rows.Add(new TokenRange(first, i - 1));
        }
        while (tokens.IsSign(i, ','));

        var isEnd = i >= tokens.Count || tokens.IsSign(i, ';') || tokens.IsWord(i, "on"u8) || tokens.IsWord(i, "returning"u8);
        return isEnd && rows.Count == widths.Count ? new InsertPlaces(nameEnd, columnsEnd, values, rows.ToImmutable()) : null;
    }

    /// <summary>The query of an INSERT; null when its place is not certain.</summary>
    /// <param name="location">The byte at which the target's name stands.</param>
    /// <param name="hasColumns">A column list is there.</param>
    /// <param name="hasConflict">ON CONFLICT is there.</param>
    /// <param name="hasReturning">RETURNING is there.</param>
    public TokenRange? Query(int location, bool hasColumns, bool hasConflict, bool hasReturning)
    {
        var first = AfterTarget(location, hasColumns);
        if (first >= 0 && tokens.IsWord(first, "overriding"u8))
        {
            first += 3;
        }

        var last = tokens.Count - 1;
        while (tokens.IsSign(last, ';'))
        {
            last--;
        }

        if (first < 0 || (hasConflict || hasReturning) && (last = Tail(first, last, hasConflict, hasReturning) - 1) < first)
        {
            return null;
        }

        var isQuery = tokens.IsWord(first, "select"u8) || tokens.IsWord(first, "with"u8) || tokens.IsWord(first, "table"u8) || tokens.IsWord(first, "values"u8) || tokens.IsSign(first, '(');
        return last >= first && isQuery ? new TokenRange(first, last) : null;
    }

    // Where ON CONFLICT, or else RETURNING, begins; 0 when that is not certain. RETURNING is a reserved word: but behind AS or a dot it is no name.
    private int Tail(int first, int last, bool hasConflict, bool hasReturning)
    {
        int depth = 0, conflict = 0, returning = 0;
        for (var i = first; i <= last; i++)
        {
            depth += tokens.IsSign(i, '(') || tokens.IsSign(i, '[') ? 1 : tokens.IsSign(i, ')') || tokens.IsSign(i, ']') ? -1 : 0;
            if (depth > 0 || returning > 0 || tokens.IsSign(i - 1, '.') || tokens.IsWord(i - 1, "as"u8))
            {
                continue;
            }

            if (tokens.IsWord(i, "returning"u8))
            {
                returning = i;
            }
            else if (tokens.IsWord(i, "on"u8) && tokens.IsWord(i + 1, "conflict"u8) && (tokens.IsSign(i + 2, '(') || tokens.IsWord(i + 2, "do"u8) || tokens.IsWord(i + 2, "on"u8)))
            {
                // Of several the last: another may be a join on a column of that name.
                conflict = i;
            }
        }

        return hasReturning != returning > 0 || (hasConflict && conflict == 0) ? 0 : hasConflict ? conflict : returning;
    }

    /// <summary>The token behind the target's name, alias and column list; -1 when it is not certain.</summary>
    private int AfterTarget(int location, bool hasColumns)
    {
        var i = tokens.At(location);
        if (!tokens.IsName(i))
        {
            return -1;
        }

        i++;
        while (tokens.IsSign(i, '.'))
        {
            i += 2;
        }

        if (tokens.IsWord(i, "as"u8))
        {
            i += 2;
        }

        return hasColumns && !Skip(ref i, out _) ? -1 : i;
    }

    /// <summary>From an opening parenthesis to behind its closing one; counts the commas directly inside.</summary>
    private bool Skip(ref int token, out int commas)
    {
        commas = 0;
        var depth = 0;
        if (!tokens.IsSign(token, '('))
        {
            return false;
        }

        for (; token < tokens.Count; token++)
        {
            if (tokens.IsSign(token, '(') || tokens.IsSign(token, '['))
            {
                depth++;
            }
            else if (tokens.IsSign(token, ')') || tokens.IsSign(token, ']'))
            {
                if (--depth == 0)
                {
                    token++;
                    return true;
                }
            }
            else if (depth == 1 && tokens.IsSign(token, ','))
            {
                commas++;
            }
        }

        return false;
    }
}
