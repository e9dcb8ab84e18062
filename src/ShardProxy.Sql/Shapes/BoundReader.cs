using System.Collections.Immutable;
using ShardProxy.Sql.Parsing;

namespace ShardProxy.Sql.Shapes;

/// <summary>Reads conditions that leave rows on one side of constants: <c>&lt;</c>, <c>&lt;=</c>, <c>&gt;</c>, <c>&gt;=</c>, BETWEEN, and comparisons of rows.</summary>
internal sealed class BoundReader(ConstantReader constants)
{
    /// <summary>An unqualified name among more relations than this is nobody's.</summary>
    private const int MaxCandidates = 64;

    /// <summary>The bounds that a conjunct sets, per relation; none for whatever is not understood.</summary>
    public List<(int Relation, ColumnBound Bound)> Read(TreeNode node, Scope scope, FromItem view)
    {
        var bounds = new List<(int, ColumnBound)>();
        if (!node.Is("A_Expr", out var expression) || expression.Field("lexpr") is not { } left || expression.Field("rexpr") is not { } right)
        {
            return bounds;
        }

        switch (expression.Text("kind"))
        {
            case "AEXPR_OP" when Comparison(expression) is { } comparison:
                Add(Items(left), Items(right), comparison, scope, view, bounds);
                Add(Items(right), Items(left), (Turned(comparison.Side), comparison.IsInclusive), scope, view, bounds);
                break;
            case "AEXPR_BETWEEN" when right.AsList().ToList() is [var low, var high]:
                Add([left], [low], (BoundSide.Above, true), scope, view, bounds);
                Add([left], [high], (BoundSide.Below, true), scope, view, bounds);
                break;
            default:
                break;
        }

        return bounds;
    }

    private static List<TreeNode> Items(TreeNode node) => node.Is("RowExpr", out var row) ? [.. row.List("args")] : [node];

    private static (BoundSide Side, bool IsInclusive)? Comparison(TreeNode expression)
    {
        if (expression.List("name").AsNames() is not { Count: 1 or 2 } names || (names.Count == 2 && names[0] != "pg_catalog"))
        {
            return null;
        }

        return names[^1] switch
        {
            "<" => (BoundSide.Below, false),
            "<=" => (BoundSide.Below, true),
            ">" => (BoundSide.Above, false),
            ">=" => (BoundSide.Above, true),
            _ => null,
        };
    }

    private static BoundSide Turned(BoundSide side) => side == BoundSide.Above ? BoundSide.Below : BoundSide.Above;

    private void Add(
        List<TreeNode> columns, List<TreeNode> values, (BoundSide Side, bool IsInclusive) comparison, Scope scope, FromItem view, List<(int, ColumnBound)> bounds)
    {
        if (columns.Count != values.Count || constants.ReadAll(values) is not { } sources)
        {
            return;
        }

        // The columns of a row comparison are one relation's, all written with its name or all without.
        var names = ImmutableArray.CreateBuilder<string>();
        var relation = -1;
        foreach (var column in columns)
        {
            if (!column.Is("ColumnRef", out var reference) || reference.List("fields").AsNames() is not { } parts)
            {
                return;
            }

            var found = parts.Count == 1 ? -1 : ConditionReader.Resolve(parts, scope)?.Relation ?? -2;
            if (found == -2 || (names.Count > 0 && found != relation) || (found == -1 && view.Merged.ContainsKey(parts[^1]) && columns.Count > 1))
            {
                return;
            }

            relation = found;
            names.Add(parts[^1]);
        }

        var isMerged = view.Merged.TryGetValue(names[0], out var merged) && relation < 0;
        var bound = new ColumnBound(names.ToImmutable(), isMerged || relation >= 0, comparison.Side, comparison.IsInclusive, [.. sources]);
        if (relation >= 0)
        {
            bounds.Add((relation, bound));
            return;
        }

        var candidates = isMerged ? merged! : view.Exposed;
        if (candidates.Count <= MaxCandidates)
        {
            bounds.AddRange(candidates.Select(c => (c, bound)));
        }
    }
}
