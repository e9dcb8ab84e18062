using System.Collections.Frozen;
using ShardProxy.Sql.Parsing;

namespace ShardProxy.Sql.Shapes;

/// <summary>Reads what a SELECT's parts and their combination are: see <see cref="PartialQuery"/>. Whatever is not surely right gives null.</summary>
internal sealed class PartialReader(ShapeDraft draft, TokenTable tokens)
{
    private static readonly FrozenSet<string> AggregateNames = FrozenSet.Create(
        StringComparer.Ordinal, "count", "sum", "avg", "min", "max", "bool_and", "bool_or", "every", "bit_and", "bit_or");

    private readonly List<TreeNode> _keys = [];
    private readonly List<PartialAggregate> _aggregates = [];
    private readonly List<PartialPatch> _patches = [];
    private readonly List<(TreeNode Value, string? Name, TokenSpan Span)> _targets = [];

    public PartialQuery? Read(TreeNode select)
    {
        if (!IsOneBlock(select) || SelectParts.Read(tokens, select) is not { } parts || !ReadTargets(select, parts))
        {
            return null;
        }

        var hasGroups = select.Has("groupClause");
        var isDistinct = select.Has("distinctClause");
        var query = new PartialQuery
        {
            Kind = PartialKind.Rows,
            Targets = new TokenSpan(parts.Targets[0].First, parts.Targets[^1].Last),
            Source = new TokenSpan(parts["from"]!.Value.First, (parts["where"] ?? parts["from"])!.Value.Last),
            Where = Behind(parts["where"]),
            GroupBy = parts["group"],
            Limit = Behind(parts["limit"]),
            Offset = Behind(parts["offset"]),
            Lock = parts["for"],
        };
        if (hasGroups || _targets.Exists(t => HasAggregate(t.Value)) || (select.Field("havingClause") is { } having && HasAggregate(having)))
        {
            return isDistinct || query.Lock is not null ? null : ReadAggregates(select, parts, query);
        }

        if (select.Has("havingClause") || !_targets.TrueForAll(t => SafeExpression.Is(t.Value)))
        {
            return null;
        }

        if (query.Lock is not null)
        {
            // With a LIMIT each node would lock as many rows as all are to give.
            return !isDistinct && query.Limit is null && query.Offset is null && ReadOrder(select, parts) is { } ordered ? query with { Kind = PartialKind.Locked, Order = [.. ordered] } : null;
        }

        if (isDistinct)
        {
            return ReadDistinct(select, parts, query);
        }

        return !select.Has("sortClause") && query.Limit is null && query.Offset is null ? query : ReadTop(select, parts, query);
    }

    private static TokenSpan? Behind(TokenSpan? clause) => clause is { } span ? span with { First = span.First + 1 } : null;

    // One block: tables and joins of them, plain clauses, nothing that could differ from node to node.
    private bool IsOneBlock(TreeNode select)
    {
        foreach (var field in select.Fields)
        {
            var isKnown = field.Name is "targetList" or "fromClause" or "whereClause" or "groupClause" or "havingClause" or "sortClause" or "limitCount" or "limitOffset" or "lockingClause"
                || (field.Name == "distinctClause" && field.Value.Items.TrueForAll(i => i.Fields.Count == 0))
                || (field.Name == "op" && field.Value.ValueEquals("SETOP_NONE"))
                || (field.Name == "limitOption" && (field.Value.ValueEquals("LIMIT_OPTION_DEFAULT") || field.Value.ValueEquals("LIMIT_OPTION_COUNT")));
            if (!isKnown)
            {
                return false;
            }
        }

        var tables = 0;
        return select.Has("targetList") && select.Has("fromClause")
            && select.List("fromClause").TrueForAll(f => IsTables(f, ref tables))
            && tables == draft.RelationCount
            && (select.Field("whereClause") is not { } where || SafeExpression.Is(where));
    }

    private static bool IsTables(TreeNode node, ref int tables)
    {
        if (node.Is("RangeVar", out _))
        {
            tables++;
            return true;
        }

        return node.Is("JoinExpr", out var join) && !join.Has("alias") && !join.Has("join_using_alias") && !join.Flag("isNatural")
            && join.Field("larg") is { } left && IsTables(left, ref tables)
            && join.Field("rarg") is { } right && IsTables(right, ref tables)
            && (join.Field("quals") is not { } condition || SafeExpression.Is(condition));
    }

    private bool ReadTargets(TreeNode select, SelectParts parts)
    {
        foreach (var (node, span) in select.List("targetList").Zip(parts.Targets))
        {
            if (!node.Is("ResTarget", out var target) || target.Has("indirection") || target.Field("val") is not { } value)
            {
                return false;
            }

            var name = target.Text("name");
            var last = name is null ? span.Last : tokens.IsWord(span.Last - 1, "as"u8) ? span.Last - 2 : span.Last - 1;
            if (last < span.First)
            {
                return false;
            }

            _targets.Add((value, name, new TokenSpan(span.First, last)));
        }

        return true;
    }

    private PartialQuery? ReadAggregates(TreeNode select, SelectParts parts, PartialQuery query)
    {
        var keys = new List<TokenSpan>();
        foreach (var (node, span) in select.List("groupClause").Zip(parts.Groups))
        {
            if (Output(node) is { } output)
            {
                if (output >= _targets.Count)
                {
                    return null;
                }

                _keys.Add(_targets[output].Value);
                keys.Add(_targets[output].Span);
            }
            else
            {
                // A name may mean a column or, if there is no such column, a result column: only where both are the same is it plain.
                if (Name(node) is { } name && _targets.Exists(t => t.Name == name && !Same(t.Value, node)))
                {
                    return null;
                }

                _keys.Add(node);
                keys.Add(span);
            }

            if (!SafeExpression.Is(_keys[^1]) || HasStar(_keys[^1]))
            {
                return null;
            }
        }

        foreach (var (value, _, span) in _targets)
        {
            if (!Patch(value, span))
            {
                return null;
            }
        }

        if (select.Field("havingClause") is { } having && !Patch(having, Behind(parts["having"])!.Value))
        {
            return null;
        }

        foreach (var (node, span) in select.List("sortClause").Zip(parts.Orders))
        {
            if (Order(node, span) is not { } order || (order.Output < 0 && !Patch(Expression(node)!, order.Expression)))
            {
                return null;
            }

            PatchOutput(order);
        }

        _patches.Sort((a, b) => a.Span.First.CompareTo(b.Span.First));
        return query with { Kind = PartialKind.Aggregates, Keys = [.. keys], Aggregates = [.. _aggregates], Patches = [.. _patches] };
    }

    private PartialQuery? ReadDistinct(TreeNode select, SelectParts parts, PartialQuery query)
    {
        foreach (var (value, _, span) in _targets)
        {
            if (HasStar(value))
            {
                return null;
            }

            _keys.Add(value);
            _patches.Add(new PartialPatch(span, _keys.Count - 1, -1));
        }

        foreach (var (node, span) in select.List("sortClause").Zip(parts.Orders))
        {
            if (Order(node, span) is not { } order)
            {
                return null;
            }

            PatchOutput(order);
            if (order.Output < 0)
            {
                var key = _keys.FindIndex(k => Same(k, Expression(node)!));
                if (key < 0)
                {
                    return null;
                }

                _patches.Add(new PartialPatch(order.Expression, key, -1));
            }
        }

        _patches.Sort((a, b) => a.Span.First.CompareTo(b.Span.First));
        return query with { Kind = PartialKind.Distinct, Keys = [.. _targets.Select(t => t.Span)], Patches = [.. _patches] };
    }

    private PartialQuery? ReadTop(TreeNode select, SelectParts parts, PartialQuery query)
    {
        if (query.Limit is not { } limit || tokens.IsWord(limit.First, "all"u8)
            || !SafeExpression.Is(select.Field("limitCount")!) || (select.Field("limitOffset") is { } offset && !SafeExpression.Is(offset))
            || (query.Offset is { } skipped && (tokens.IsWord(skipped.Last, "row"u8) || tokens.IsWord(skipped.Last, "rows"u8))))
        {
            return null;
        }

        return ReadOrder(select, parts) is { } orders ? query with { Kind = PartialKind.Top, Order = [.. orders] } : null;
    }

    private List<PartialOrder>? ReadOrder(TreeNode select, SelectParts parts)
    {
        var orders = new List<PartialOrder>();
        foreach (var (node, span) in select.List("sortClause").Zip(parts.Orders))
        {
            if (Order(node, span) is not { } order || !SafeExpression.Is(Expression(node)!) || HasStar(Expression(node)!)
                || (order.Output >= 0 && _targets.Exists(t => HasStar(t.Value)) && Output(Expression(node)!) is null))
            {
                return null;
            }

            orders.Add(order);
        }

        return orders;
    }

    private static TreeNode? Expression(TreeNode sortBy) => sortBy.Is("SortBy", out var fields) ? fields.Field("node") : null;

    // A number, or the name of a result column, stands for that column: in ORDER BY the result's names come first.
    private PartialOrder? Order(TreeNode node, TokenSpan span)
    {
        if (!node.Is("SortBy", out var sortBy) || sortBy.Has("useOp") || sortBy.Field("node") is not { } expression)
        {
            return null;
        }

        var last = span.Last;
        if (tokens.IsWord(last - 1, "nulls"u8) && last - 2 >= span.First)
        {
            last -= 2;
        }

        if (last > span.First && (tokens.IsWord(last, "asc"u8) || tokens.IsWord(last, "desc"u8)))
        {
            last--;
        }

        var output = Output(expression) ?? -1;
        if (Name(expression) is { } name)
        {
            output = _targets.FindIndex(t => (t.Name ?? Name(t.Value) ?? QualifiedName(t.Value)) == name);
            if (output >= 0 && _targets.FindLastIndex(t => (t.Name ?? Name(t.Value) ?? QualifiedName(t.Value)) == name) != output)
            {
                return null;
            }
        }

        if (Name(expression) is not null && output < 0 && _targets.Exists(t => t.Name is null && QualifiedName(t.Value) is null && !HasStar(t.Value)))
        {
            // An expression's result column has a name too, which is not known here, and it would come before a column of that name.
            return null;
        }

        return new PartialOrder(new TokenSpan(span.First, last), last < span.Last ? new TokenSpan(last + 1, span.Last) : null, output);
    }

    // Result columns may have other names on the parts: their numbers are the same.
    private void PatchOutput(PartialOrder order)
    {
        if (order.Output >= 0)
        {
            _patches.Add(new PartialPatch(order.Expression, -1, -1, order.Output));
        }
    }

    private static int? Output(TreeNode node) => node.Is("A_Const", out var constant) && constant.Field("ival") is { } number ? number.Number("ival") - 1 : null;

    private static string? Name(TreeNode node) => node.Is("ColumnRef", out var reference) && reference.List("fields") is [var only] ? only.AsString() : null;

    // t.c is a result column called c.
    private static string? QualifiedName(TreeNode node) => node.Is("ColumnRef", out var reference) && reference.List("fields") is [.., var last] ? last.AsString() : null;

    // Replaces keys and aggregates; false when a column is left that is neither, or anything that is not sure to be right.
    private bool Patch(TreeNode node, TokenSpan? whole)
    {
        var key = _keys.FindIndex(k => Same(k, node));
        if (key >= 0 && (ColumnSpan(node) ?? whole) is { } span)
        {
            _patches.Add(new PartialPatch(span, key, -1));
            return true;
        }

        if (!node.TryUnwrap(out var type, out var fields))
        {
            return PatchAll(node);
        }

        return type switch
        {
            "ColumnRef" => false,
            "FuncCall" when IsAggregate(fields) => PatchAggregate(fields),
            "FuncCall" or "A_Expr" or "BoolExpr" or "CaseExpr" or "CaseWhen" or "CoalesceExpr" or "MinMaxExpr" or "NullTest" or "BooleanTest" or "TypeCast" or "List" =>
                IsPlainCall(type, fields) && PatchAll(fields),
            "A_Const" or "ParamRef" or "TypeName" or "String" or "Integer" or "Float" => SafeExpression.Is(node),
            _ => false,
        };
    }

    private bool PatchAll(TreeNode node) => node.Items.TrueForAll(i => Patch(i, null)) && node.Fields.TrueForAll(f => Patch(f.Value, null));

    // A call that would be safe with constants for its arguments.
    private static bool IsPlainCall(string type, TreeNode fields) => type != "FuncCall" || SafeExpression.IsSafeCall(fields);

    private bool PatchAggregate(TreeNode call)
    {
        foreach (var field in call.Fields)
        {
            if (field.Name is not ("funcname" or "args" or "agg_star" or "funcformat" or "location" or "agg_filter"))
            {
                return false;
            }
        }

        var arguments = call.List("args");
        if (call.Flag("agg_star") == (arguments.Count > 0) || arguments.Count > 1 || !arguments.TrueForAll(a => SafeExpression.Is(a) && !HasStar(a))
            || (call.Field("agg_filter") is { } condition && !SafeExpression.Is(condition)))
        {
            return false;
        }

        var first = tokens.At(call.Location());
        var open = first;
        while (open >= 0 && tokens.IsSign(open + 1, '.'))
        {
            open += 2;
        }

        if (first < 0 || Close(++open) is not { } close)
        {
            return false;
        }

        TokenSpan? filter = null;
        var last = close;
        if (call.Has("agg_filter"))
        {
            if (!tokens.IsWord(close + 1, "filter"u8) || Close(close + 2) is not { } end)
            {
                return false;
            }

            filter = new TokenSpan(close + 1, end);
            last = end;
        }

        var name = call.List("funcname").AsNames()![^1];
        _aggregates.Add(new PartialAggregate(name, new TokenSpan(first, last), new TokenSpan(open + 1, close - 1), filter));
        _patches.Add(new PartialPatch(new TokenSpan(first, last), -1, _aggregates.Count - 1));
        return true;
    }

    // The parenthesis that closes the one at this token.
    private int? Close(int open)
    {
        if (!tokens.IsSign(open, '('))
        {
            return null;
        }

        var depth = 0;
        for (var i = open; i < tokens.Count; i++)
        {
            depth += tokens.IsSign(i, '(') ? 1 : tokens.IsSign(i, ')') ? -1 : 0;
            if (depth == 0)
            {
                return i;
            }
        }

        return null;
    }

    private TokenSpan? ColumnSpan(TreeNode node)
    {
        if (!node.Is("ColumnRef", out var reference) || tokens.At(reference.Location()) is not (>= 0 and var first))
        {
            return null;
        }

        return new TokenSpan(first, first + (2 * (reference.ListLength("fields") - 1)));
    }

    private static bool IsAggregate(TreeNode call) =>
        call.List("funcname").AsNames() is { } names && (names.Count == 1 || (names.Count == 2 && names[0] == "pg_catalog")) && AggregateNames.Contains(names[^1]);

    private static bool HasAggregate(TreeNode node) =>
        (node.Is("FuncCall", out var call) && IsAggregate(call)) || node.Items.Exists(HasAggregate) || node.Fields.Exists(f => HasAggregate(f.Value));

    private static bool HasStar(TreeNode node) => node.Is("A_Star", out _) || node.Items.Exists(HasStar) || node.Fields.Exists(f => HasStar(f.Value));

    private static bool Same(TreeNode one, TreeNode other)
    {
        if (one.Kind != other.Kind || one.Text != other.Text || one.Number != other.Number || one.Items.Count != other.Items.Count)
        {
            return false;
        }

        var fields = one.Fields.Where(f => f.Name != "location").ToList();
        var others = other.Fields.Where(f => f.Name != "location").ToList();
        return fields.Count == others.Count
            && fields.Zip(others).All(p => p.First.Name == p.Second.Name && Same(p.First.Value, p.Second.Value))
            && one.Items.Zip(other.Items).All(p => Same(p.First, p.Second));
    }
}
