using ShardProxy.Sql.Parsing;

namespace ShardProxy.Sql.Shapes;

/// <summary>
/// Walks queries and expressions: lists relations and functions, resolves WITH names, and hands each block's conditions to the
/// condition reader. Nodes without a rule of their own are walked field by field, so that no relation is missed.
/// </summary>
internal sealed class QueryWalker
{
    private readonly ShapeDraft _draft;
    private readonly ConditionReader _conditions;
    private readonly FromWalker _from;
    private readonly Dictionary<int, SubLinkColumn> _subLinks = [];

    public QueryWalker(ShapeDraft draft, ConstantReader constants)
    {
        _draft = draft;
        _conditions = new ConditionReader(draft, constants, _subLinks);
        _from = new FromWalker(draft, this, _conditions);
    }

    /// <summary>Walks any node. Relations that stand outside a query get <paramref name="role"/>.</summary>
    public void Walk(TreeNode node, Scope? scope, CteNames? ctes, RelationRole role)
    {
        switch (node.Kind)
        {
            case TreeKind.List:
                foreach (var item in node.Items)
                {
                    Walk(item, scope, ctes, role);
                }

                break;
            case TreeKind.Object when node.TryUnwrap(out var type, out var fields):
                WalkTyped(type, fields, scope, ctes, role);
                break;
            case TreeKind.Object:
                WalkFields(node, scope, ctes, role);
                break;
            default:
                break;
        }
    }

    public void WalkSelect(TreeNode select, Scope? parent, CteNames? ctes)
    {
        ctes = WalkWith(select, parent, ctes);
        _draft.HasRowLocking |= select.Has("lockingClause");
        if (select.Field("intoClause") is { } into)
        {
            _draft.HasInto = true;
            Walk(into, null, null, RelationRole.Utility);
        }

        if (select.Field("larg") is { } left && select.Field("rarg") is { } right)
        {
            WalkSelect(left, parent, ctes);
            WalkSelect(right, parent, ctes);
            WalkExpressions(select, new Scope(parent), ctes);
            return;
        }

        var scope = new Scope(parent);
        var view = _from.WalkList(select.List("fromClause"), scope, ctes, _draft.NewBlock());
        WalkExpressions(select, scope, ctes);
        ReadWhere(select, scope, view);
    }

    public void WalkInsert(TreeNode insert, Scope? parent, CteNames? ctes)
    {
        _draft.HasWrite = true;
        var target = new Scope(null);
        AddTarget(insert, RelationRole.Insert, target);
        ctes = WalkWith(insert, parent, ctes);
        if (insert.Field("selectStmt") is { } source)
        {
            // The rows are computed before the target is in sight: its columns cannot be meant in them.
            Walk(source, parent, ctes, RelationRole.Read);
        }

        WalkAllBut(insert, NewRows(null, target), ctes, "relation", "withClause", "selectStmt");
    }

    public void WalkUpdate(TreeNode update, Scope? parent, CteNames? ctes) =>
        WalkChange(update, RelationRole.Update, "fromClause", parent, ctes);

    public void WalkDelete(TreeNode delete, Scope? parent, CteNames? ctes) =>
        WalkChange(delete, RelationRole.Delete, "usingClause", parent, ctes);

    public void WalkMerge(TreeNode merge, Scope? parent, CteNames? ctes)
    {
        _draft.HasWrite = true;
        var scope = new Scope(parent);
        var view = AddTarget(merge, RelationRole.Merge, scope);
        ctes = WalkWith(merge, parent, ctes);
        if (merge.Field("sourceRelation") is { } source)
        {
            // A source row that matches nothing may be inserted: the condition restricts the target only.
            var from = _from.Walk(source, scope, ctes, _draft[view.All[0]].BlockIndex);
            var filtered = view.All.ToHashSet();
            view.Exposed.AddRange(from.Exposed);
            _draft.Expose(_draft[view.All[0]].BlockIndex, from.Exposed);
            WalkAllBut(merge, scope, ctes, "relation", "withClause", "sourceRelation");
            if (merge.Field("joinCondition") is { } condition)
            {
                _conditions.Read(condition, scope, view, filtered);
            }
        }
    }

    private void WalkTyped(string type, TreeNode fields, Scope? scope, CteNames? ctes, RelationRole role)
    {
        switch (type)
        {
            case "SelectStmt":
                WalkSelect(fields, scope, ctes);
                break;
            case "InsertStmt":
                WalkInsert(fields, scope, ctes);
                break;
            case "UpdateStmt":
                WalkUpdate(fields, scope, ctes);
                break;
            case "DeleteStmt":
                WalkDelete(fields, scope, ctes);
                break;
            case "MergeStmt":
                WalkMerge(fields, scope, ctes);
                break;
            case "SubLink":
                WalkSubLink(fields, scope, ctes, role);
                break;
            case "CurrentOfExpr":
                _draft.HasCurrentOf = true;
                break;
            default:
                WalkFields(fields, scope, ctes, role);
                break;
        }
    }

    private void WalkFields(TreeNode fields, Scope? scope, CteNames? ctes, RelationRole role)
    {
        if (fields.Has("relname"))
        {
            var name = fields.Text("relname") ?? "";
            if (role != RelationRole.Read || fields.Has("schemaname") || !CteNames.Contains(ctes, name))
            {
                _draft.AddRelation(fields, role, _draft.NewBlock());
            }

            return;
        }

        if (fields.List("funcname").AsNames() is { Count: > 0 } function)
        {
            _draft.AddFunction(function.Count > 1 ? function[^2] : null, function[^1]);
        }

        foreach (var field in fields.Fields)
        {
            Walk(field.Value, scope, ctes, field.Name == "pktable" ? RelationRole.Referenced : role);
        }
    }

    private void WalkSubLink(TreeNode subLink, Scope? scope, CteNames? ctes, RelationRole role)
    {
        if (subLink.Field("testexpr") is { } test)
        {
            Walk(test, scope, ctes, role);
        }

        if (subLink.Field("subselect") is not { } query)
        {
            return;
        }

        var isEquality = subLink.Text("subLinkType") == "ANY_SUBLINK"
            && (!subLink.Has("operName") || ConditionReader.IsEqualsName(subLink.List("operName")));
        if (isEquality && query.Is("SelectStmt", out var select) && IsPlain(select) && OnlyColumn(select) is { } column)
        {
            var inner = new Scope(scope);
            var names = WalkWith(select, scope, ctes);
            var view = _from.WalkList(select.List("fromClause"), inner, names, _draft.NewBlock());
            WalkExpressions(select, inner, names);
            ReadWhere(select, inner, view);
            if ((ConditionReader.Resolve(column, inner) ?? ConditionReader.OnlyOne(column, inner)) is { } found && view.All.Contains(found.Relation) && subLink.Location() >= 0)
            {
                _subLinks[subLink.Location()] = new SubLinkColumn(found.Relation, found.Column);
            }

            return;
        }

        Walk(query, scope, ctes, RelationRole.Read);
    }

    /// <summary>True when the query's rows are those of its FROM that pass its WHERE: no grouping, limit, set operation.</summary>
    private static bool IsPlain(TreeNode select)
    {
        foreach (var field in select.Fields)
        {
            var isHarmless = field.Name is "targetList" or "fromClause" or "whereClause" or "withClause" or "distinctClause"
                || (field.Name == "op" && field.Value.ValueEquals("SETOP_NONE"))
                || (field.Name == "limitOption" && field.Value.ValueEquals("LIMIT_OPTION_DEFAULT"));
            if (!isHarmless)
            {
                return false;
            }
        }

        return true;
    }

    private static List<string>? OnlyColumn(TreeNode select)
    {
        if (select.ListLength("targetList") != 1)
        {
            return null;
        }

        var target = select.List("targetList").First();
        return target.Is("ResTarget", out var fields) && fields.Field("val") is { } value && value.Is("ColumnRef", out var reference)
            ? reference.List("fields").AsNames()
            : null;
    }

    private void WalkChange(TreeNode statement, RelationRole role, string fromField, Scope? parent, CteNames? ctes)
    {
        _draft.HasWrite = true;
        var scope = new Scope(parent);
        var view = AddTarget(statement, role, scope);
        ctes = WalkWith(statement, parent, ctes);
        var from = _from.WalkList(statement.List(fromField), scope, ctes, _draft[view.All[0]].BlockIndex);
        view.Items.AddRange(from.Items);
        view.All.AddRange(from.All);
        view.Exposed.AddRange(from.Exposed);
        foreach (var (column, relations) in from.Merged)
        {
            view.Merged[column] = relations;
        }

        WalkAllBut(statement, scope, ctes, "relation", "withClause", "returningList", fromField);
        if (statement.Field("returningList") is { } returning)
        {
            Walk(returning, NewRows(parent, scope), ctes, RelationRole.Read);
        }

        ReadWhere(statement, scope, view);
    }

    /// <summary>
    /// The scope of RETURNING and ON CONFLICT: the same names, but the target's columns are those of the new row, of which the
    /// statement's conditions say nothing.
    /// </summary>
    private static Scope NewRows(Scope? parent, Scope old)
    {
        var scope = new Scope(parent);
        scope.Items.Add(ScopeItem.Opaque("excluded"));
        scope.Items.Add(old.Items[0] with { Relation = -1 });
        scope.Items.AddRange(old.Items.Skip(1));
        return scope;
    }

    /// <summary>The target of a writing statement is always a table: WITH names do not hide it.</summary>
    private FromItem AddTarget(TreeNode statement, RelationRole role, Scope scope)
    {
        var rangeVar = statement.Field("relation") ?? TreeNode.Missing;
        var relation = _draft.AddRelation(rangeVar, role, _draft.NewBlock());
        var use = _draft[relation];
        var view = new FromItem { IsSingleTable = true };
        view.All.Add(relation);
        var item = new ScopeItem(use.Alias ?? use.Name, use.Schema, use.Alias is not null, use.HasColumnAliases ? -1 : relation);
        view.Items.Add(item);
        scope.Items.Add(item);
        if (!use.HasColumnAliases)
        {
            view.Exposed.Add(relation);
            _draft.Expose(use.BlockIndex, [relation]);
        }

        return view;
    }

    /// <summary>Walks the statement's WITH; the names that hold for the rest of it.</summary>
    private CteNames? WalkWith(TreeNode statement, Scope? parent, CteNames? outer)
    {
        if (statement.Field("withClause") is not { } with)
        {
            return outer;
        }

        var list = with.List("ctes").Select(c => c.Is("CommonTableExpr", out var fields) ? fields : c).ToList();
        var all = outer;
        foreach (var cte in list)
        {
            all = new CteNames(all, cte.Text("ctename") ?? "");
        }

        // Without RECURSIVE a query sees only the names before its own.
        var names = with.Flag("recursive") ? all : outer;
        foreach (var cte in list)
        {
            if (cte.Field("ctequery") is { } query)
            {
                _draft.HasModifyingCte |= !query.Is("SelectStmt", out _);
                Walk(query, parent, names, RelationRole.Read);
            }

            if (!with.Flag("recursive"))
            {
                names = new CteNames(names, cte.Text("ctename") ?? "");
            }
        }

        return all;
    }

    private void ReadWhere(TreeNode statement, Scope scope, FromItem view)
    {
        if (statement.Field("whereClause") is { } where)
        {
            _conditions.Read(where, scope, view, view.All.ToHashSet());
        }
    }

    private void WalkExpressions(TreeNode select, Scope scope, CteNames? ctes) =>
        WalkAllBut(select, scope, ctes, "fromClause", "withClause", "lockingClause", "intoClause", "larg", "rarg");

    private void WalkAllBut(TreeNode fields, Scope scope, CteNames? ctes, params ReadOnlySpan<string> done)
    {
        foreach (var field in fields.Fields)
        {
            if (!done.Contains(field.Name))
            {
                Walk(field.Value, scope, ctes, RelationRole.Read);
            }
        }
    }
}
