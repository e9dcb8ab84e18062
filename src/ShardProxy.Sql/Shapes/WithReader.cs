using System.Collections.Immutable;
using ShardProxy.Sql.Parsing;

namespace ShardProxy.Sql.Shapes;

/// <summary>Finds the parts of a <see cref="WritingWith"/> in the text. Anything unclear gives null.</summary>
internal sealed class WithReader(ShapeDraft draft, TokenTable tokens)
{
    public WritingWith? Read(TreeNode statement)
    {
        if (tokens.HasUnicodeNames || !tokens.IsWord(0, "with"u8) || statement.Field("withClause") is not { } with || with.Flag("recursive"))
        {
            return null;
        }

        var parts = new List<WithPart>();
        var at = 1;
        foreach (var node in with.List("ctes"))
        {
            if (!node.Is("CommonTableExpr", out var cte) || cte.Text("ctename") is not { } name || cte.Field("ctequery") is not { } query
                || cte.Has("search_clause") || cte.Has("cycle_clause") || tokens.At(cte.Location()) != at || Body(at + 1) is not { } body)
            {
                return null;
            }

            parts.Add(new WithPart(name, body, !query.Is("SelectStmt", out _)));
            at = body.Last + 2;
            if (parts.Count < with.List("ctes").Count)
            {
                if (!tokens.IsSign(at, ','))
                {
                    return null;
                }

                at++;
            }
        }

        var partOf = new int[draft.RelationCount];
        for (var i = 0; i < partOf.Length; i++)
        {
            var token = tokens.At(draft.LocationOf(i));
            if (token < 0)
            {
                return null;
            }

            var part = parts.FindIndex(p => token >= p.Body.First && token <= p.Body.Last);
            partOf[i] = part < 0 ? parts.Count : part;
        }

        return parts.Exists(p => p.IsWrite) ? new WritingWith([.. parts], at, [.. partOf]) : null;
    }

    // Behind the name: [(columns)] AS [[NOT] MATERIALIZED] (query).
    private TokenSpan? Body(int at)
    {
        if (tokens.IsSign(at, '('))
        {
            at = Closing(at) + 1;
        }

        if (!tokens.IsWord(at, "as"u8))
        {
            return null;
        }

        at++;
        at += tokens.IsWord(at, "not"u8) ? 1 : 0;
        at += tokens.IsWord(at, "materialized"u8) ? 1 : 0;
        return tokens.IsSign(at, '(') && Closing(at) is var end && end < tokens.Count && end > at + 1 ? new TokenSpan(at + 1, end - 1) : null;
    }

    private int Closing(int open)
    {
        var depth = 1;
        var at = open + 1;
        for (; at < tokens.Count && depth > 0; at++)
        {
            depth += tokens.IsSign(at, '(') ? 1 : tokens.IsSign(at, ')') ? -1 : 0;
        }

        return depth == 0 ? at - 1 : tokens.Count;
    }
}
