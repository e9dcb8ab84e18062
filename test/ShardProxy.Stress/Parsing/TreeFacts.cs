using System.Collections.Immutable;
using System.Text.Json;

namespace ShardProxy.Stress.Parsing;

/// <summary>What one statement's tree says by the plainest reading of it: the relations and columns it names. The proxy's analysis has to find the same.</summary>
internal sealed class TreeFacts
{
    private TreeFacts()
    {
    }

    /// <summary>Every mention of a relation as <c>schema.name</c> or <c>name</c>; names of WITH queries are left out.</summary>
    public List<string> Relations { get; } = [];

    /// <summary>The last names of all column references.</summary>
    public HashSet<string> Columns { get; } = new(StringComparer.Ordinal);

    /// <summary>Names that other places of the tree have: targets of INSERT and UPDATE, USING, aliases.</summary>
    public HashSet<string> OtherNames { get; } = new(StringComparer.Ordinal);

    /// <summary><c>*</c> stands for columns.</summary>
    public bool HasStar { get; private set; }

    /// <summary>Reads a statement: the value of <c>stmt</c>.</summary>
    public static TreeFacts Of(JsonElement statement)
    {
        var facts = new TreeFacts();
        facts.Walk(statement, [], "");
        return facts;
    }

    private void Walk(JsonElement node, ImmutableHashSet<string> hidden, string field)
    {
        if (node.ValueKind == JsonValueKind.Array)
        {
            foreach (var item in node.EnumerateArray())
            {
                Walk(item, hidden, field);
            }
        }

        if (node.ValueKind != JsonValueKind.Object)
        {
            return;
        }

        if (node.TryGetProperty("relname", out var name))
        {
            var schema = node.TryGetProperty("schemaname", out var s) ? s.GetString() + "." : "";

            // A name of WITH can stand where the grammar allows any item of FROM: there the node is wrapped.
            if (field != "RangeVar" || schema.Length > 0 || !hidden.Contains(name.GetString()!))
            {
                Relations.Add(schema + name.GetString());
            }

            return;
        }

        if (node.TryGetProperty("withClause", out var with))
        {
            hidden = WalkWith(with, hidden);
        }

        foreach (var property in node.EnumerateObject())
        {
            switch (property.Name)
            {
                case "withClause":
                    break;
                case "lockingClause": // names of FROM again
                    break;
                case "ColumnRef":
                    ReadColumn(property.Value);
                    break;
                case "DropStmt":
                    ReadNames(property.Value.TryGetProperty("objects", out var objects) ? objects : default, property.Value, "removeType");
                    break;
                case "CommentStmt" or "SecLabelStmt":
                    ReadNames(property.Value.TryGetProperty("object", out var only) ? only : default, property.Value, "objtype");
                    break;
                default:
                    if (property.Value.ValueKind == JsonValueKind.String)
                    {
                        OtherNames.Add(property.Value.GetString()!);
                    }

                    Walk(property.Value, hidden, property.Name);
                    break;
            }
        }
    }

    private ImmutableHashSet<string> WalkWith(JsonElement with, ImmutableHashSet<string> outer)
    {
        var isRecursive = with.TryGetProperty("recursive", out var r) && r.GetBoolean();
        var queries = with.GetProperty("ctes").EnumerateArray().Select(c => c.GetProperty("CommonTableExpr")).ToList();
        var all = outer.Union(queries.Select(c => c.GetProperty("ctename").GetString()!));
        var seen = isRecursive ? all : outer;
        foreach (var query in queries)
        {
            Walk(query, seen, "");
            seen = seen.Add(query.GetProperty("ctename").GetString()!);
        }

        return all;
    }

    private void ReadColumn(JsonElement reference)
    {
        foreach (var part in reference.GetProperty("fields").EnumerateArray().Reverse())
        {
            if (part.TryGetProperty("A_Star", out _))
            {
                HasStar = true;
            }
            else
            {
                Columns.Add(part.GetProperty("String").GetProperty("sval").GetString()!);
            }

            break;
        }
    }

    // Where the grammar has lists of names for objects, those of relations count.
    private void ReadNames(JsonElement objects, JsonElement statement, string kindField)
    {
        var kind = statement.TryGetProperty(kindField, out var k) ? k.GetString() : null;
        var shorter = kind is "OBJECT_TRIGGER" or "OBJECT_RULE" or "OBJECT_POLICY" or "OBJECT_COLUMN" or "OBJECT_TABCONSTRAINT";
        if (!shorter && kind is not ("OBJECT_TABLE" or "OBJECT_FOREIGN_TABLE" or "OBJECT_VIEW" or "OBJECT_MATVIEW" or "OBJECT_SEQUENCE"))
        {
            return;
        }

        foreach (var item in objects.ValueKind == JsonValueKind.Array ? objects.EnumerateArray().ToList() : [objects])
        {
            if (item.TryGetProperty("List", out var list))
            {
                var names = list.GetProperty("items").EnumerateArray().Select(n => n.GetProperty("String").GetProperty("sval").GetString()!).SkipLast(shorter ? 1 : 0).ToList();
                Relations.Add(names.Count > 1 ? $"{names[^2]}.{names[^1]}" : names[^1]);
            }
        }
    }
}
