using ShardProxy.Sql.Parsing;

namespace ShardProxy.Sql.Shapes;

/// <summary>
/// Reads a WHERE or ON condition: its conjuncts that fix columns become pins, those that equate columns become equalities.
/// Whatever is not understood fixes nothing.
/// </summary>
/// <remarks>
/// A row can influence a statement through a join only if it can survive the conjuncts that are applied to it. All of a
/// WHERE's conjuncts apply to all relations below it: <c>=</c> is strict, so a row that an outer join filled with NULLs does not
/// survive either. An inner join's ON does the same for both sides; a left or right join's ON only for its nullable side; a
/// full join's for none.
/// </remarks>
internal sealed class ConditionReader(ShapeDraft draft, ConstantReader constants, IReadOnlyDictionary<int, SubLinkColumn> subLinks)
{
    /// <summary>An unqualified name among more relations than this pins nothing: each of them would get a pin.</summary>
    private const int MaxCandidates = 64;

    private readonly BoundReader _bounds = new(constants);

    /// <summary>Among more relations than this an unqualified condition is nobody's.</summary>
    private const int MaxFilterCandidates = 8;

    /// <param name="condition">The condition's node.</param>
    /// <param name="scope">Where its names are looked up.</param>
    /// <param name="view">The FROM entries the condition sees at its own level.</param>
    /// <param name="filtered">Relations whose rows cannot influence the statement unless they pass the condition.</param>
    public void Read(TreeNode condition, Scope scope, FromItem view, IReadOnlySet<int> filtered)
    {
        foreach (var conjunct in Conjuncts(condition))
        {
            foreach (var (relation, pin) in Pins(conjunct, scope, view))
            {
                if (filtered.Contains(relation))
                {
                    draft.AddPin(relation, pin);
                }
            }

            foreach (var (relation, bound) in _bounds.Read(conjunct, scope, view))
            {
                if (filtered.Contains(relation))
                {
                    draft.AddBound(relation, bound);
                }
            }

            ReadEqualities(conjunct, scope, view, filtered);
            ReadFilter(conjunct, scope, view, filtered);
        }
    }

    // A conjunct whose columns are all one relation's, and whose rows no outer join below may replace by NULLs: those it would see too. An unqualified name may be of any relation in sight: which has it, the tables tell.
    private void ReadFilter(TreeNode conjunct, Scope scope, FromItem view, IReadOnlySet<int> filtered)
    {
        var relation = -1;
        var unqualified = new SortedSet<string>(StringComparer.Ordinal);
        if (!TryColumns(conjunct, scope, view, ref relation, unqualified))
        {
            return;
        }

        IEnumerable<int> candidates = relation >= 0 ? [relation] : view.Exposed.Count <= MaxFilterCandidates && unqualified.Count > 0 ? view.Exposed : [];
        foreach (var candidate in candidates.Where(c => filtered.Contains(c) && view.All.Contains(c) && !view.Nullable.Contains(c)))
        {
            draft.AddFilter(candidate, conjunct, [.. unqualified]);
        }
    }

    private static bool TryColumns(TreeNode node, Scope scope, FromItem view, ref int relation, SortedSet<string> unqualified)
    {
        if (node.Is("ColumnRef", out var reference))
        {
            if (reference.List("fields").AsNames() is not { } names)
            {
                return false;
            }

            if (names.Count == 1)
            {
                unqualified.Add(names[0]);
                return !view.Merged.ContainsKey(names[0]) && !view.HasUnknownMerges;
            }

            if (Resolve(names, scope) is not { } found || (relation >= 0 && relation != found.Relation))
            {
                return false;
            }

            relation = found.Relation;
            return true;
        }

        foreach (var item in node.Items)
        {
            if (!TryColumns(item, scope, view, ref relation, unqualified))
            {
                return false;
            }
        }

        foreach (var field in node.Fields)
        {
            if (!TryColumns(field.Value, scope, view, ref relation, unqualified))
            {
                return false;
            }
        }

        return true;
    }

    private static IEnumerable<TreeNode> Conjuncts(TreeNode node)
    {
        if (node.Is("BoolExpr", out var boolean) && boolean.Text("boolop") == "AND_EXPR")
        {
            foreach (var argument in boolean.List("args"))
            {
                foreach (var conjunct in Conjuncts(argument))
                {
                    yield return conjunct;
                }
            }
        }
        else
        {
            yield return node;
        }
    }

    private List<(int Relation, ColumnPin Pin)> Pins(TreeNode node, Scope scope, FromItem view)
    {
        var pins = new List<(int, ColumnPin)>();
        if (node.Is("A_Expr", out var expression))
        {
            AddExpressionPins(expression, scope, view, pins);
        }
        else if (node.Is("BoolExpr", out var boolean))
        {
            switch (boolean.Text("boolop"))
            {
                case "AND_EXPR":
                    foreach (var argument in boolean.List("args"))
                    {
                        pins.AddRange(Pins(argument, scope, view));
                    }

                    break;
                case "OR_EXPR":
                    AddAlternatives(boolean, scope, view, pins);
                    break;
                default:
                    break;
            }
        }

        return pins;
    }

    /// <summary>A column that every arm of an OR pins is pinned to the union.</summary>
    private void AddAlternatives(TreeNode boolean, Scope scope, FromItem view, List<(int Relation, ColumnPin Pin)> pins)
    {
        List<(int Relation, ColumnPin Pin, List<KeySource> Values)>? common = null;
        foreach (var argument in boolean.List("args"))
        {
            var arm = Pins(argument, scope, view);
            if (common is null)
            {
                common = [.. arm.Select(a => (a.Relation, a.Pin, a.Pin.Values.ToList()))];
                continue;
            }

            var merged = new List<(int, ColumnPin, List<KeySource>)>();
            foreach (var (relation, pin, values) in common)
            {
                foreach (var (otherRelation, other) in arm)
                {
                    if (relation == otherRelation && pin.Column == other.Column && pin.IsQualified == other.IsQualified)
                    {
                        values.AddRange(other.Values);
                        merged.Add((relation, pin, values));
                        break;
                    }
                }
            }

            common = merged;
            if (common.Count == 0)
            {
                return;
            }
        }

        pins.AddRange((common ?? []).Select(c => (c.Relation, c.Pin with { Values = [.. c.Values] })));
    }

    private void AddExpressionPins(TreeNode expression, Scope scope, FromItem view, List<(int Relation, ColumnPin Pin)> pins)
    {
        if (!IsEquals(expression) || expression.Field("lexpr") is not { } left || expression.Field("rexpr") is not { } right)
        {
            return;
        }

        switch (expression.Text("kind"))
        {
            case "AEXPR_OP" when left.Is("RowExpr", out var leftRow) && right.Is("RowExpr", out var rightRow):
                if (leftRow.ListLength("args") == rightRow.ListLength("args"))
                {
                    foreach (var (l, r) in leftRow.List("args").Zip(rightRow.List("args")))
                    {
                        AddPin(l, r, scope, view, pins);
                    }
                }

                break;
            case "AEXPR_OP":
                AddPin(left, right, scope, view, pins);
                break;
            case "AEXPR_IN" when left.Is("RowExpr", out var row):
                AddRowListPins(row, right, scope, view, pins);
                break;
            case "AEXPR_IN":
                AddColumnPins(left, constants.ReadAll(right.AsList()), scope, view, pins);
                break;
            case "AEXPR_OP_ANY" when right.Is("A_ArrayExpr", out var array):
                AddColumnPins(left, constants.ReadAll(array.List("elements")), scope, view, pins);
                break;
            default:
                break;
        }
    }

    /// <summary><c>(a, b) IN ((1, 2), (3, 4))</c> pins a to 1 or 3 and b to 2 or 4.</summary>
    private void AddRowListPins(TreeNode row, TreeNode list, Scope scope, FromItem view, List<(int Relation, ColumnPin Pin)> pins)
    {
        var columns = row.List("args").ToList();
        var tuples = new List<List<TreeNode>>();
        foreach (var item in list.AsList())
        {
            if (!item.Is("RowExpr", out var tuple) || tuple.ListLength("args") != columns.Count)
            {
                return;
            }

            tuples.Add(tuple.List("args").ToList());
        }

        for (var i = 0; i < columns.Count; i++)
        {
            AddColumnPins(columns[i], constants.ReadAll(tuples.Select(t => t[i])), scope, view, pins);
        }
    }

    private void AddPin(TreeNode left, TreeNode right, Scope scope, FromItem view, List<(int Relation, ColumnPin Pin)> pins)
    {
        var (column, constant) = left.Is("ColumnRef", out _) ? (left, right) : (right, left);
        if (constants.Read(constant) is { } source)
        {
            AddColumnPins(column, [source], scope, view, pins);
        }
    }

    private static void AddColumnPins(TreeNode node, List<KeySource>? values, Scope scope, FromItem view, List<(int Relation, ColumnPin Pin)> pins)
    {
        if (values is null || !node.Is("ColumnRef", out var reference) || reference.List("fields").AsNames() is not { } names)
        {
            return;
        }

        if (names.Count == 1)
        {
            var column = names[0];
            var isMerged = view.Merged.TryGetValue(column, out var merged);
            var candidates = isMerged ? merged! : view.Exposed;
            if (candidates.Count <= MaxCandidates)
            {
                var pin = new ColumnPin(column, isMerged, [.. values]);
                pins.AddRange(candidates.Select(c => (c, pin)));
            }
        }
        else if (Resolve(names, scope) is { } found)
        {
            pins.Add((found.Relation, new ColumnPin(found.Column, true, [.. values])));
        }
    }

    private void ReadEqualities(TreeNode conjunct, Scope scope, FromItem view, IReadOnlySet<int> filtered)
    {
        if (conjunct.Is("A_Expr", out var expression))
        {
            if (expression.Text("kind") != "AEXPR_OP" || !IsEquals(expression)
                || expression.Field("lexpr") is not { } left || expression.Field("rexpr") is not { } right)
            {
                return;
            }

            if (left.Is("RowExpr", out var leftRow) && right.Is("RowExpr", out var rightRow))
            {
                if (leftRow.ListLength("args") == rightRow.ListLength("args"))
                {
                    foreach (var (l, r) in leftRow.List("args").Zip(rightRow.List("args")))
                    {
                        Equate(Columns(l, scope, view), Columns(r, scope, view), filtered);
                    }
                }

                return;
            }

            Equate(Columns(left, scope, view), Columns(right, scope, view), filtered);
        }
        else if (conjunct.Is("SubLink", out var subLink) && subLinks.TryGetValue(subLink.Location(), out var inner)
            && subLink.Field("testexpr") is { } test)
        {
            // x IN (SELECT s.k …): rows of s with another k than x's do not matter, and no x but one of those k passes.
            foreach (var (relation, column) in Columns(test, scope, view))
            {
                draft.AddEquality(relation, column, inner.Relation, inner.Column);
                if (filtered.Contains(relation))
                {
                    draft.AddEquality(inner.Relation, inner.Column, relation, column);
                }
            }
        }
    }

    private void Equate(List<(int Relation, string Column)> left, List<(int Relation, string Column)> right, IReadOnlySet<int> filtered)
    {
        foreach (var (l, leftColumn) in left)
        {
            foreach (var (r, rightColumn) in right)
            {
                if (filtered.Contains(r))
                {
                    draft.AddEquality(l, leftColumn, r, rightColumn);
                }

                if (filtered.Contains(l))
                {
                    draft.AddEquality(r, rightColumn, l, leftColumn);
                }
            }
        }
    }

    /// <summary>The columns a plain reference is known to be: one, or those that USING has merged.</summary>
    private static List<(int Relation, string Column)> Columns(TreeNode node, Scope scope, FromItem view)
    {
        if (!node.Is("ColumnRef", out var reference) || reference.List("fields").AsNames() is not { } names)
        {
            return [];
        }

        if (names.Count == 1)
        {
            return view.Merged.TryGetValue(names[0], out var merged) ? [.. merged.Select(m => (m, names[0]))] : OnlyOne(names, scope) is { } only ? [only] : [];
        }

        return Resolve(names, scope) is { } found ? [found] : [];
    }

    /// <summary>What a name without qualifier means where one table is all there is, if that table has such a column.</summary>
    internal static (int Relation, string Column)? OnlyOne(List<string> names, Scope scope) =>
        names.Count == 1 && scope.Items is [{ Relation: >= 0 and var relation }] ? (relation, names[0]) : null;

    internal static (int Relation, string Column)? Resolve(List<string> names, Scope scope)
    {
        var relation = names.Count switch
        {
            2 => scope.Resolve(null, names[0]),
            3 => scope.Resolve(names[0], names[1]),
            _ => -1,
        };
        return relation < 0 ? null : (relation, names[^1]);
    }

    private static bool IsEquals(TreeNode expression) => IsEqualsName(expression.List("name"));

    internal static bool IsEqualsName(IEnumerable<TreeNode> name) =>
        name.AsNames() is { Count: 1 or 2 } names && names[^1] == "=" && (names.Count == 1 || names[0] == "pg_catalog");
}

/// <summary>The one plain column that the subquery of an IN gives.</summary>
internal readonly record struct SubLinkColumn(int Relation, string Column);
