using System.Collections.Frozen;
using System.Collections.Immutable;
using ShardProxy.Sql.Parsing;

namespace ShardProxy.Sql.Shapes;

/// <summary>Reads a <see cref="SuppliedQuery"/>. SELECT, WITH and TABLE are reserved words: behind a parenthesis they begin a query.</summary>
internal sealed class SuppliedReader(ShapeDraft draft, TokenTable tokens)
{
    public SuppliedQuery? Read(StatementKind kind, TreeNode statement)
    {
        if (tokens.HasUnicodeNames)
        {
            return null;
        }

        var names = new HashSet<string>(StringComparer.Ordinal);
        CteNames(statement, names);
        return new SuppliedQuery([.. Queries()], names.ToFrozenSet(StringComparer.Ordinal), kind == StatementKind.Merge ? new MergeReader(draft, tokens).Read(statement) : null);
    }

    private IEnumerable<TokenSpan> Queries()
    {
        for (var i = 0; i + 1 < tokens.Count; i++)
        {
            if (!tokens.IsSign(i, '(') || !(tokens.IsWord(i + 1, "select"u8) || tokens.IsWord(i + 1, "with"u8) || tokens.IsWord(i + 1, "table"u8)))
            {
                continue;
            }

            var (depth, end) = (1, i + 1);
            for (; end < tokens.Count && depth > 0; end++)
            {
                depth += tokens.IsSign(end, '(') ? 1 : tokens.IsSign(end, ')') ? -1 : 0;
            }

            yield return new TokenSpan(i + 1, end - 2);
        }
    }

    private static void CteNames(TreeNode node, HashSet<string> names)
    {
        if (node.Is("CommonTableExpr", out var cte) && cte.Text("ctename") is { } name)
        {
            names.Add(name);
        }

        node.Items.ForEach(i => CteNames(i, names));
        node.Fields.ForEach(f => CteNames(f.Value, names));
    }
}
