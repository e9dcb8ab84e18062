using System.Collections.Immutable;
using ShardProxy.Sql.Parsing;

namespace ShardProxy.Sql.Shapes;

/// <summary>Finds the parts of a MERGE: see <see cref="MergeParts"/>. USING, ON and WHEN are reserved words; anything unclear gives null.</summary>
internal sealed class MergeReader(ShapeDraft draft, TokenTable tokens)
{
    public MergeParts? Read(TreeNode merge)
    {
        var target = draft.RelationAt(merge.Field("relation")?.Location() ?? -1);
        if (target < 0 || draft[target].HasColumnAliases || merge.Field("sourceRelation") is not { } source || merge.Field("joinCondition") is not { } condition
            || Find(tokens.At(draft.LocationOf(target))) is not var (usingAt, onAt, whenAt))
        {
            return null;
        }

        var (name, relation) = Source(source);
        var targetName = draft[target].Alias ?? draft[target].Name;
        return new MergeParts(
            new TokenSpan(usingAt + 1, onAt - 1),
            new TokenSpan(onAt + 1, whenAt - 1),
            name,
            relation,
            name is null || name == targetName ? [] : [.. Conjuncts(condition).Select(c => Equality(c, targetName, name)).OfType<(string, string)>()],
            [.. merge.List("mergeWhenClauses").Select(c => c.Is("MergeWhenClause", out var fields) ? fields : c).Where(c => c.Text("commandType") == "CMD_INSERT").Select(c => Insert(c, name))]);
    }

    // The last ON before the first WHEN is the MERGE's: those of joins in its source come before it.
    private (int Using, int On, int When)? Find(int first)
    {
        int usingAt = -1, onAt = -1, depth = 0, cases = 0;
        for (var i = first; first >= 0 && i < tokens.Count; i++)
        {
            depth += tokens.IsSign(i, '(') || tokens.IsSign(i, '[') ? 1 : tokens.IsSign(i, ')') || tokens.IsSign(i, ']') ? -1 : 0;
            if (depth > 0 || tokens.IsSign(i - 1, '.') || tokens.IsWord(i - 1, "as"u8))
            {
                continue;
            }

            cases += tokens.IsWord(i, "case"u8) ? 1 : tokens.IsWord(i, "end"u8) && cases > 0 ? -1 : 0;
            if (usingAt < 0)
            {
                usingAt = tokens.IsWord(i, "using"u8) ? i : -1;
            }
            else if (tokens.IsWord(i, "on"u8))
            {
                onAt = i;
            }
            else if (cases == 0 && tokens.IsWord(i, "when"u8))
            {
                return onAt > usingAt + 1 && i > onAt + 1 ? (usingAt, onAt, i) : null;
            }
        }

        return null;
    }

    private (string? Name, int Relation) Source(TreeNode source)
    {
        source.TryUnwrap(out var type, out var fields);
        if (type == "RangeVar")
        {
            var relation = draft.RelationAt(fields.Location());
            return (fields.Field("alias")?.Text("aliasname") ?? fields.Text("relname"), relation >= 0 && !draft[relation].HasColumnAliases ? relation : -1);
        }

        return (type is "RangeSubselect" or "RangeFunction" ? fields.Field("alias")?.Text("aliasname") : null, -1);
    }

    private static IEnumerable<TreeNode> Conjuncts(TreeNode condition) =>
        condition.Is("BoolExpr", out var expression) && expression.Text("boolop") == "AND_EXPR" ? expression.List("args").SelectMany(Conjuncts) : [condition];

    private static (string Target, string Source)? Equality(TreeNode conjunct, string target, string source)
    {
        if (!conjunct.Is("A_Expr", out var expression) || expression.Text("kind") != "AEXPR_OP" || !ConditionReader.IsEqualsName(expression.List("name"))
            || expression.Field("lexpr") is not { } left || expression.Field("rexpr") is not { } right)
        {
            return null;
        }

        return Column(left, target) is { } l && Column(right, source) is { } r ? (l, r)
            : Column(right, target) is { } t && Column(left, source) is { } s ? (t, s)
            : null;
    }

    private static string? Column(TreeNode node, string? qualifier) =>
        qualifier is not null && node.Is("ColumnRef", out var reference) && reference.List("fields").AsNames() is [var first, var column] && first == qualifier ? column : null;

    private static MergeInsert Insert(TreeNode clause, string? source) => new(
        [.. clause.List("targetList").Select(t => t.Is("ResTarget", out var fields) && !fields.Has("indirection") ? fields.Text("name") ?? "" : "")],
        [.. clause.List("values").Select(v => Column(v, source))]);
}
