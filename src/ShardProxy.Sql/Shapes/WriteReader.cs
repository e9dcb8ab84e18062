using System.Collections.Immutable;
using ShardProxy.Sql.Parsing;

namespace ShardProxy.Sql.Shapes;

/// <summary>Reads what INSERT, UPDATE and MERGE write.</summary>
internal sealed class WriteReader(ShapeDraft draft, ConstantReader constants, TokenTable tokens)
{
    public InsertSummary Insert(TreeNode insert)
    {
        var target = draft.RelationAt(insert.Field("relation")?.Location() ?? -1);
        var columns = insert.List("cols").Select(Name).ToImmutableArray();
        var hasPartialColumns = insert.List("cols").Any(c => c.Is("ResTarget", out var fields) && fields.Has("indirection"));
        var source = InsertSource.DefaultValues;
        ImmutableArray<ImmutableArray<KeySource?>> rows = [];
        InsertPlaces? places = null;
        ImmutableArray<int> defaults = [];
        var location = insert.Field("relation")?.Location() ?? -1;
        if (insert.Field("selectStmt") is { } query)
        {
            source = InsertSource.Select;
            if (!hasPartialColumns && query.Is("SelectStmt", out var select) && IsValues(select))
            {
                source = InsertSource.Values;
                rows = [.. select.List("valuesLists").Select(Row)];
                places = tokens.HasUnicodeNames ? null : new ValuesReader(tokens).Read(location, !columns.IsEmpty, [.. rows.Select(r => r.Length)]);
                defaults = Defaults([.. select.List("valuesLists")]);
            }
        }
        else if (!hasPartialColumns && !tokens.HasUnicodeNames)
        {
            places = new ValuesReader(tokens).Read(location, !columns.IsEmpty, []);
        }

        var conflict = insert.Field("onConflictClause");
        return new InsertSummary(
            target,
            columns,
            source == InsertSource.DefaultValues ? 1 : rows.Length,
            rows,
            source,
            conflict is not null,
            conflict is { } clause ? Assigned(clause.List("targetList").Where(t => !IsSame(t))) : [],
            insert.Text("override") is not (null or "OVERRIDING_NOT_SET"),
            insert.Has("returningList"))
        {
            Places = places,
            DefaultPositions = defaults,
            OverridesByUser = insert.Text("override") is "OVERRIDING_USER_VALUE",
            HasWith = insert.Has("withClause"),
            QueryTokens = source == InsertSource.Select && !hasPartialColumns && !tokens.HasUnicodeNames
                ? new ValuesReader(tokens).Query(location, !columns.IsEmpty, conflict is not null, insert.Has("returningList"))
                : null,
        };
    }

    public UpdateSummary Update(TreeNode update) => new(Assigned(update.List("targetList")))
    {
        Values =
        [
            .. update.List("targetList").Select(t => t.Is("ResTarget", out var target) && !target.Has("indirection") && target.Field("val") is { } value ? constants.Read(value) : null),
        ],
    };

    public static UpdateSummary Merge(TreeNode merge)
    {
        var columns = new SortedSet<string>(StringComparer.Ordinal);
        foreach (var clause in merge.List("mergeWhenClauses"))
        {
            if (clause.Is("MergeWhenClause", out var fields) && fields.Text("commandType") == "CMD_UPDATE")
            {
                columns.UnionWith(Assigned(fields.List("targetList")));
            }
        }

        return new UpdateSummary([.. columns]);
    }

    /// <summary>A VALUES list and nothing around it.</summary>
    private static bool IsValues(TreeNode select)
    {
        foreach (var field in select.Fields)
        {
            var isPlain = field.Name == "valuesLists"
                || (field.Name == "op" && field.Value.ValueEquals("SETOP_NONE"))
                || (field.Name == "limitOption" && field.Value.ValueEquals("LIMIT_OPTION_DEFAULT"));
            if (!isPlain)
            {
                return false;
            }
        }

        return select.Has("valuesLists");
    }

    private ImmutableArray<KeySource?> Row(TreeNode row) => [.. row.AsList().Select(constants.Read)];

    private static ImmutableArray<int> Defaults(ImmutableArray<TreeNode> rows)
    {
        var common = new SortedSet<int>(Enumerable.Range(0, rows[0].AsList().Count));
        foreach (var row in rows)
        {
            common.IntersectWith(row.AsList().Index().Where(v => v.Item.Is("SetToDefault", out _)).Select(v => v.Index));
            if (common.Count == 0)
            {
                break;
            }
        }

        return [.. common];
    }

    private static ImmutableArray<string> Assigned(IEnumerable<TreeNode> targets) => [.. targets.Select(Name)];

    // SET k = excluded.k: every unique index has the key, so the row that is in the way has the same one.
    private static bool IsSame(TreeNode target) =>
        target.Is("ResTarget", out var fields) && !fields.Has("indirection") && fields.Field("val") is { } value && value.Is("ColumnRef", out var column)
        && column.List("fields").AsNames() is ["excluded", var name] && name == fields.Text("name");

    private static string Name(TreeNode target) => target.Is("ResTarget", out var fields) ? fields.Text("name") ?? "" : "";
}
