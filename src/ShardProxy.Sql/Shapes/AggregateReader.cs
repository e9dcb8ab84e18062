using System.Collections.Immutable;
using ShardProxy.Sql.Parsing;

namespace ShardProxy.Sql.Shapes;

/// <summary>Recognises queries whose one row follows from the rows that each node gives for its own part of a table.</summary>
internal sealed class AggregateReader(ShapeDraft draft, TokenTable tokens)
{
    public AggregateQuery? Read(TreeNode select)
    {
        var outputs = new List<ScalarAggregate>();
        var slots = new List<PredicateSlot>();
        var isScalarSubqueries = !select.Has("fromClause");
        var isRead = isScalarSubqueries ? ReadSubqueries(select, outputs, slots) : ReadBlock(select, outputs, slots);
        if (!isRead || outputs.Count == 0)
        {
            return null;
        }

        var blocks = isScalarSubqueries ? outputs.Count : 1;
        return new AggregateQuery([.. outputs], isScalarSubqueries)
        {
            Slots = slots.Count == blocks ? [.. slots] : ImmutableArray<PredicateSlot>.Empty,
        };
    }

    private bool ReadSubqueries(TreeNode select, List<ScalarAggregate> outputs, List<PredicateSlot> slots)
    {
        if (!HasOnly(select, "targetList"))
        {
            return false;
        }

        foreach (var target in select.List("targetList"))
        {
            var before = outputs.Count;
            var isScalar = Value(target) is { } value
                && value.Is("SubLink", out var subLink)
                && subLink.Text("subLinkType") == "EXPR_SUBLINK"
                && subLink.Field("subselect") is { } query
                && query.Is("SelectStmt", out var inner)
                && inner.Has("fromClause")
                && ReadBlock(inner, outputs, slots);
            if (!isScalar || outputs.Count != before + 1)
            {
                return false;
            }
        }

        return true;
    }

    private bool ReadBlock(TreeNode select, List<ScalarAggregate> outputs, List<PredicateSlot> slots)
    {
        if (!HasOnly(select, "targetList", "fromClause", "whereClause") || select.ListLength("fromClause") != 1
            || !select.List("fromClause").First().Is("RangeVar", out var table))
        {
            return false;
        }

        var relation = draft.RelationAt(table.Location());
        if (relation < 0 || draft[relation].HasColumnAliases || (select.Field("whereClause") is { } where && !SafeExpression.Is(where)))
        {
            return false;
        }

        foreach (var target in select.List("targetList"))
        {
            if (Value(target) is not { } value || Function(value) is not { } function)
            {
                return false;
            }

            outputs.Add(new ScalarAggregate(function, relation));
        }

        if (Slot(table.Location(), relation, select.Has("whereClause")) is { } slot)
        {
            slots.Add(slot);
        }

        return true;
    }

    /// <summary>True when the query has no clause but these.</summary>
    private static bool HasOnly(TreeNode select, params ReadOnlySpan<string> allowed)
    {
        foreach (var field in select.Fields)
        {
            var isDefault = (field.Name == "op" && field.Value.ValueEquals("SETOP_NONE"))
                || (field.Name == "limitOption" && field.Value.ValueEquals("LIMIT_OPTION_DEFAULT"));
            if (!isDefault && !allowed.Contains(field.Name))
            {
                return false;
            }
        }

        return true;
    }

    private static TreeNode? Value(TreeNode target) =>
        target.Is("ResTarget", out var fields) && !fields.Has("indirection") ? fields.Field("val") : null;

    private static AggregateFunction? Function(TreeNode value)
    {
        if (!value.Is("FuncCall", out var call))
        {
            return null;
        }

        // DISTINCT, FILTER, ORDER BY, OVER and WITHIN GROUP are fields of their own.
        foreach (var field in call.Fields)
        {
            if (field.Name is not ("funcname" or "args" or "agg_star" or "funcformat" or "location"))
            {
                return null;
            }
        }

        if (call.List("funcname").AsNames() is not { } names || names.Count > 2 || (names.Count == 2 && names[0] != "pg_catalog"))
        {
            return null;
        }

        if (call.Flag("agg_star"))
        {
            return names[^1] == "count" ? AggregateFunction.CountStar : null;
        }

        if (call.ListLength("args") != 1 || !SafeExpression.Is(call.List("args").First()))
        {
            return null;
        }

        return names[^1] switch
        {
            "count" => AggregateFunction.Count,
            "sum" => AggregateFunction.Sum,
            "min" => AggregateFunction.Min,
            "max" => AggregateFunction.Max,
            _ => null,
        };
    }

    /// <summary>
    /// After the table's name, its star and its alias there is WHERE, or the block's end: the end of the text or the
    /// parenthesis around the subquery.
    /// </summary>
    private PredicateSlot? Slot(int location, int relation, bool hasWhere)
    {
        var i = tokens.At(location);
        if (!tokens.IsName(i) || tokens.IsSign(i - 1, '('))
        {
            // ONLY (t): the parenthesis would be taken for the block's end.
            return null;
        }

        i++;
        while (tokens.IsSign(i, '.'))
        {
            i += 2;
        }

        if (tokens.IsSign(i, '*'))
        {
            i++;
        }

        var hasAlias = true;
        if (tokens.IsWord(i, "as"u8))
        {
            i += 2;
        }
        else if (tokens.IsName(i) && !tokens.IsWord(i, "where"u8))
        {
            i++;
        }
        else
        {
            hasAlias = false;
        }

        if (hasAlias != draft[relation].Alias is not null || hasWhere != tokens.IsWord(i, "where"u8))
        {
            return null;
        }

        var last = LastOfBlock(i);
        if (!hasWhere)
        {
            return last == i - 1 ? new PredicateSlot(relation, -1, last) : null;
        }

        return last > i ? new PredicateSlot(relation, i, last) : null;
    }

    private int LastOfBlock(int from)
    {
        var depth = 0;
        for (var i = from; i < tokens.Count; i++)
        {
            if (tokens.IsSign(i, '(') || tokens.IsSign(i, '['))
            {
                depth++;
            }
            else if (tokens.IsSign(i, ')') || tokens.IsSign(i, ']'))
            {
                if (--depth < 0)
                {
                    return i - 1;
                }
            }
        }

        return tokens.Count - 1;
    }
}
