using ShardProxy.Sql.Parsing;

namespace ShardProxy.Sql.Shapes;

/// <summary>Walks FROM lists: tables, subqueries, functions and joins.</summary>
internal sealed class FromWalker(ShapeDraft draft, QueryWalker queries, ConditionReader conditions)
{
    /// <summary>Columns remembered behind one merged column; each further join is still equated with these.</summary>
    private const int MaxSuppliers = 32;

    /// <summary>Walks a FROM list, adding its names to the scope from left to right, and exposes its columns to the block.</summary>
    public FromItem WalkList(IEnumerable<TreeNode> list, Scope scope, CteNames? ctes, int block)
    {
        var all = new FromItem();
        foreach (var node in list)
        {
            Append(Walk(node, scope, ctes, block), all);
        }

        foreach (var relation in all.Nullable)
        {
            draft.MarkNullable(relation);
        }

        draft.Expose(block, all.Exposed);
        return all;
    }

    /// <summary>Walks one FROM entry; its names are added to the scope.</summary>
    public FromItem Walk(TreeNode node, Scope scope, CteNames? ctes, int block)
    {
        node.TryUnwrap(out var type, out var fields);
        switch (type)
        {
            case "RangeVar":
                return Table(fields, scope, ctes, block);
            case "RangeTableSample":
                return Sample(fields, scope, ctes, block);
            case "JoinExpr":
                return Join(fields, scope, ctes, block);
            case "RangeSubselect":
                if (fields.Field("subquery") is { } query)
                {
                    // Only LATERAL sees the entries to the left; any other subquery sees what its whole block sees.
                    queries.Walk(query, fields.Flag("lateral") ? scope : scope.Parent, ctes, RelationRole.Read);
                }

                return Opaque(fields, scope, null);
            default:
                // Functions and their like see the entries to the left without saying LATERAL.
                queries.Walk(node, scope, ctes, RelationRole.Read);
                return Opaque(fields, scope, FunctionName(fields) is { } name ? ScopeItem.Opaque(name) : ScopeItem.Unknown);
        }
    }

    private static FromItem Opaque(TreeNode fields, Scope scope, ScopeItem? unnamed)
    {
        var result = new FromItem();
        var item = fields.Field("alias")?.Text("aliasname") is { } alias ? ScopeItem.Opaque(alias) : unnamed;
        if (item is not null)
        {
            result.Items.Add(item);
            scope.Items.Add(item);
        }

        return result;
    }

    /// <summary>A single function without alias goes by its own name.</summary>
    private static string? FunctionName(TreeNode rangeFunction)
    {
        if (rangeFunction.ListLength("functions") != 1)
        {
            return null;
        }

        var first = rangeFunction.List("functions").First().AsList().FirstOrDefault();
        return first is not null && first.Is("FuncCall", out var call) && call.List("funcname").AsNames() is { Count: > 0 } names ? names[^1] : null;
    }

    private FromItem Table(TreeNode rangeVar, Scope scope, CteNames? ctes, int block)
    {
        var name = rangeVar.Text("relname") ?? "";
        if (!rangeVar.Has("schemaname") && CteNames.Contains(ctes, name))
        {
            return Opaque(rangeVar, scope, ScopeItem.Opaque(name));
        }

        var relation = draft.AddRelation(rangeVar, RelationRole.Read, block);
        var use = draft[relation];
        var result = new FromItem { IsSingleTable = !use.HasColumnAliases };
        result.All.Add(relation);
        if (!use.HasColumnAliases)
        {
            result.Exposed.Add(relation);
        }

        var item = new ScopeItem(use.Alias ?? use.Name, use.Schema, use.Alias is not null, use.HasColumnAliases ? -1 : relation);
        result.Items.Add(item);
        scope.Items.Add(item);
        return result;
    }

    private FromItem Sample(TreeNode sample, Scope scope, CteNames? ctes, int block)
    {
        var result = sample.Field("relation") is { } relation ? Walk(relation, scope, ctes, block) : new FromItem();
        foreach (var index in result.All)
        {
            draft.MarkTableSample(index);
        }

        foreach (var field in sample.Fields.Where(f => f.Name != "relation"))
        {
            queries.Walk(field.Value, scope, ctes, RelationRole.Read);
        }

        return result;
    }

    private FromItem Join(TreeNode join, Scope scope, CteNames? ctes, int block)
    {
        var before = scope.Items.Count;
        var left = join.Field("larg") is { } l ? Walk(l, scope, ctes, block) : new FromItem();
        var right = join.Field("rarg") is { } r ? Walk(r, scope, ctes, block) : new FromItem();
        var type = join.Text("jointype") ?? "";
        var result = new FromItem();
        Append(left, result);
        Append(right, result);

        var filtered = type switch
        {
            "JOIN_INNER" => [.. left.All, .. right.All],
            "JOIN_LEFT" => [.. right.All],
            "JOIN_RIGHT" => [.. left.All],
            _ => new HashSet<int>(),
        };
        if (join.Field("quals") is { } condition)
        {
            // An ON sees the two sides of its own join and what lies outside the block, but not the block's other entries.
            var on = new Scope(scope.Parent);
            on.Items.AddRange(result.Items);
            queries.Walk(condition, on, ctes, RelationRole.Read);
            conditions.Read(condition, on, result, filtered);
        }

        if (type is not ("JOIN_INNER" or "JOIN_RIGHT"))
        {
            result.Nullable.UnionWith(right.All);
        }

        if (type is not ("JOIN_INNER" or "JOIN_LEFT"))
        {
            result.Nullable.UnionWith(left.All);
        }

        result.HasUnknownMerges |= join.Flag("isNatural");
        MergeUsing(join, type, left, right, result);
        if (join.Field("join_using_alias")?.Text("aliasname") is { } usingAlias)
        {
            Add(ScopeItem.Opaque(usingAlias), scope, result);
        }

        if (join.Field("alias")?.Text("aliasname") is { } alias)
        {
            // The alias hides the names inside, and may rename every column.
            scope.Items.RemoveRange(before, scope.Items.Count - before);
            var hidden = new FromItem();
            hidden.All.AddRange(result.All);
            hidden.Nullable.UnionWith(result.Nullable);
            Add(ScopeItem.Opaque(alias), scope, hidden);
            return hidden;
        }

        return result;
    }

    /// <summary>USING (c) equates the sides' columns and merges them into one.</summary>
    private void MergeUsing(TreeNode join, string type, FromItem left, FromItem right, FromItem result)
    {
        foreach (var column in join.List("usingClause").AsNames() ?? [])
        {
            var fromLeft = left.Suppliers(column);
            var fromRight = right.Suppliers(column);
            foreach (var l in fromLeft)
            {
                foreach (var r in fromRight)
                {
                    if (type is "JOIN_INNER" or "JOIN_LEFT")
                    {
                        draft.AddEquality(l, column, r, column);
                    }

                    if (type is "JOIN_INNER" or "JOIN_RIGHT")
                    {
                        draft.AddEquality(r, column, l, column);
                    }
                }
            }

            result.Merged[column] = type switch
            {
                "JOIN_INNER" => [.. fromLeft.Concat(fromRight).Take(MaxSuppliers)],
                "JOIN_LEFT" => [.. fromLeft],
                "JOIN_RIGHT" => [.. fromRight],
                _ => [],
            };
        }
    }

    private static void Add(ScopeItem item, Scope scope, FromItem result)
    {
        result.Items.Add(item);
        scope.Items.Add(item);
    }

    private static void Append(FromItem item, FromItem to)
    {
        to.Items.AddRange(item.Items);
        to.All.AddRange(item.All);
        to.Nullable.UnionWith(item.Nullable);
        to.HasUnknownMerges |= item.HasUnknownMerges;
        to.Exposed.AddRange(item.Exposed);
        foreach (var (column, relations) in item.Merged)
        {
            // Two merged columns of one name are ambiguous: nothing is known of either.
            to.Merged[column] = to.Merged.ContainsKey(column) ? [] : relations;
        }
    }
}
