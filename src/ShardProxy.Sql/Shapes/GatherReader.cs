using System.Collections.Frozen;
using System.Collections.Immutable;
using ShardProxy.Sql.Parsing;

namespace ShardProxy.Sql.Shapes;

/// <summary>Reads what gathering rows needs from a SELECT: see <see cref="GatherQuery"/>. Anything unclear gives null.</summary>
internal sealed class GatherReader(ShapeDraft draft, TokenTable tokens)
{
    private static readonly FrozenSet<string> SystemColumns = FrozenSet.Create(StringComparer.Ordinal, "ctid", "xmin", "xmax", "cmin", "cmax", "tableoid");

    // A condition is followed by one of these, or by the end of its block.
    private static readonly string[] Followers =
        ["and", "group", "having", "window", "order", "limit", "offset", "fetch", "for", "union", "intersect", "except", "returning"];

    private bool _hasStar;
    private bool _hasSystemColumns;
    private bool _hasLongNames;

    public GatherQuery? Read(TreeNode statement)
    {
        if (tokens.HasUnicodeNames)
        {
            return null;
        }

        var places = new List<RelationPlace>();
        for (var relation = 0; relation < draft.RelationCount; relation++)
        {
            if (Place(relation) is not { } place)
            {
                return null;
            }

            places.Add(place);
        }

        var names = new HashSet<string>(StringComparer.Ordinal);
        for (var relation = 0; relation < draft.RelationCount; relation++)
        {
            names.Add(draft[relation].Alias ?? draft[relation].Name);
            _hasStar |= draft[relation].HasColumnAliases;
        }

        Look(statement, names);
        return new GatherQuery(
            [.. places], [.. Filters()], IdentifierCollector.Collect(tokens.Statement).ToFrozenSet(StringComparer.Ordinal), _hasStar, _hasSystemColumns, _hasLongNames);
    }

    private RelationPlace? Place(int relation)
    {
        var first = tokens.At(draft.LocationOf(relation));
        if (!tokens.IsName(first))
        {
            return null;
        }

        var last = first;
        while (tokens.IsSign(last + 1, '.'))
        {
            last += 2;
        }

        // schema.name or name; a database's name in front is left alone.
        return last - first == (draft[relation].Schema is null ? 0 : 2) ? new RelationPlace(relation, first, last) : null;
    }

    private void Look(TreeNode node, HashSet<string> relations)
    {
        switch (node.Kind)
        {
            case TreeKind.List:
                node.Items.ForEach(i => Look(i, relations));
                break;
            case TreeKind.Object:
                if (node.TryUnwrap(out var type, out var fields))
                {
                    LookAt(type, fields, relations);
                    node = fields;
                }

                node.Fields.ForEach(f => Look(f.Value, relations));
                break;
        }
    }

    private void LookAt(string type, TreeNode fields, HashSet<string> relations)
    {
        switch (type)
        {
            case "A_Star":
                _hasStar = true;
                break;
            case "JoinExpr":
                // An alias of the join is a row of all its columns, and may rename them by their order.
                _hasStar |= fields.Flag("isNatural") || fields.Has("alias");
                break;
            case "ColumnRef":
                var names = fields.List("fields");
                _hasLongNames |= names.Count > 2;
                _hasStar |= names is [var only] && only.AsString() is { } name && relations.Contains(name);
                _hasSystemColumns |= names.Count > 0 && names[^1].AsString() is { } column && SystemColumns.Contains(column);
                break;
        }
    }

    private IEnumerable<RelationFilter> Filters()
    {
        foreach (var (relation, node, unqualified) in draft.Filters)
        {
            if (SafeExpression.Is(node) && Span(node) is { } span)
            {
                var parameters = new SortedSet<int>();
                Parameters(node, parameters);
                yield return new RelationFilter(relation, span.First, span.Last, unqualified, [.. parameters]);
            }
        }
    }

    private static void Parameters(TreeNode node, SortedSet<int> found)
    {
        if (node.Is("ParamRef", out var parameter))
        {
            found.Add(parameter.Number("number"));
        }

        node.Items.ForEach(i => Parameters(i, found));
        node.Fields.ForEach(f => Parameters(f.Value, found));
    }

    // From the first to the last place the tree names, and what belongs to the last token: its sign, closing parentheses, IS NULL. Only if the
    // neighbours are those of a conjunct is that the whole condition.
    private (int First, int Last)? Span(TreeNode node)
    {
        int first = int.MaxValue, last = -1;
        if (!Extent(node, ref first, ref last) || last < 0)
        {
            return null;
        }

        while (tokens.IsSign(last, '-') || tokens.IsSign(last, '+'))
        {
            last++;
        }

        while (tokens.IsSign(last + 1, '.') && tokens.IsName(last + 2))
        {
            last += 2;
        }

        var depth = 0;
        for (var i = first; i <= last; i++)
        {
            depth += Depth(i);
            if (depth < 0)
            {
                return null;
            }
        }

        while (depth > 0 && last + 1 < tokens.Count)
        {
            depth += Depth(++last);
        }

        if (tokens.IsWord(last + 1, "is"u8))
        {
            last += tokens.IsWord(last + 2, "not"u8) ? 3 : 2;
        }

        return depth == 0 && last < tokens.Count && BeginsConjunct(first - 1) && EndsConjunct(last + 1) ? (first, last) : null;
    }

    private int Depth(int token) =>
        tokens.IsSign(token, '(') || tokens.IsSign(token, '[') ? 1 : tokens.IsSign(token, ')') || tokens.IsSign(token, ']') ? -1 : 0;

    // False when a place is not that of a token.
    private bool Extent(TreeNode node, ref int first, ref int last)
    {
        foreach (var field in node.Fields)
        {
            if (field.Name == "location" && field.Value.Kind == TreeKind.Number)
            {
                var token = tokens.At(field.Value.Number);
                if (token < 0)
                {
                    return false;
                }

                first = Math.Min(first, token);
                last = Math.Max(last, token);
            }
            else if (!Extent(field.Value, ref first, ref last))
            {
                return false;
            }
        }

        foreach (var item in node.Items)
        {
            if (!Extent(item, ref first, ref last))
            {
                return false;
            }
        }

        return true;
    }

    private bool BeginsConjunct(int before) =>
        tokens.IsWord(before, "where"u8) || tokens.IsWord(before, "and"u8) || tokens.IsWord(before, "on"u8)
        || (tokens.IsSign(before, '(') && BeginsConjunct(before - 1));

    private bool EndsConjunct(int after) =>
        after >= tokens.Count || tokens.IsSign(after, ')') || tokens.IsSign(after, ';') || tokens.IsSign(after, ',')
        || Followers.Any(f => tokens.IsWord(after, System.Text.Encoding.ASCII.GetBytes(f)))
        || tokens.IsWord(after, "where"u8) || IsJoin(after);

    private bool IsJoin(int token) =>
        tokens.IsWord(token, "join"u8) || tokens.IsWord(token, "left"u8) || tokens.IsWord(token, "right"u8) || tokens.IsWord(token, "full"u8)
        || tokens.IsWord(token, "inner"u8) || tokens.IsWord(token, "cross"u8) || tokens.IsWord(token, "natural"u8);
}
