namespace ShardProxy.Sql.Parsing;

/// <summary>
/// Reading of libpg_query's trees: a node is <c>{"Type": {fields}}</c>, or just its fields where the field's type is fixed; fields at
/// their zero value are left out. Nodes are named as in PostgreSQL's parsenodes.h.
/// </summary>
internal static class Tree
{
    /// <summary>The fields of a wrapped node and its type; false when the node is not one.</summary>
    public static bool TryUnwrap(this TreeNode node, out string type, out TreeNode fields)
    {
        if (node.Kind == TreeKind.Object && node.Fields is [var only] && only.Value.Kind == TreeKind.Object && char.IsAsciiLetterUpper(only.Name[0]))
        {
            type = only.Name;
            fields = only.Value;
            return true;
        }

        type = "";
        fields = TreeNode.Missing;
        return false;
    }

    /// <summary>True, with its fields, when the node is a wrapped node of that type.</summary>
    public static bool Is(this TreeNode node, string type, out TreeNode fields) => node.TryUnwrap(out var found, out fields) && found == type;

    /// <summary>A field, or null when it is left out.</summary>
    public static TreeNode? Field(this TreeNode fields, string name)
    {
        foreach (var field in fields.Fields)
        {
            if (field.Name == name)
            {
                return field.Value;
            }
        }

        return null;
    }

    public static bool Has(this TreeNode fields, string name) => fields.Field(name) is not null;

    public static string? Text(this TreeNode fields, string name) => fields.Field(name)?.Text;

    public static bool Flag(this TreeNode fields, string name) => fields.Field(name) is { Kind: TreeKind.True };

    public static int Number(this TreeNode fields, string name, int missing = 0) =>
        fields.Field(name) is { Kind: TreeKind.Number } value ? value.Number : missing;

    /// <summary>Byte offset of a node in the text, or -1.</summary>
    public static int Location(this TreeNode fields) => fields.Number("location", -1);

    /// <summary>The items of a list field; none when it is left out.</summary>
    public static List<TreeNode> List(this TreeNode fields, string name) => fields.Field(name)?.Items ?? [];

    public static int ListLength(this TreeNode fields, string name) => fields.List(name).Count;

    /// <summary>The text of a String node, or null for any other.</summary>
    public static string? AsString(this TreeNode node) => node.Is("String", out var value) ? value.Text("sval") ?? "" : null;

    /// <summary>A list of String nodes as texts, or null when another node is in it.</summary>
    public static List<string>? AsNames(this IEnumerable<TreeNode> list)
    {
        var names = new List<string>();
        foreach (var item in list)
        {
            if (item.AsString() is not { } name)
            {
                return null;
            }

            names.Add(name);
        }

        return names;
    }

    /// <summary>The items of a List node; none for any other node.</summary>
    public static List<TreeNode> AsList(this TreeNode node) => node.Is("List", out var list) ? list.List("items") : [];

    /// <summary>True when a text field has that value.</summary>
    public static bool ValueEquals(this TreeNode node, string text) => node.Text == text;
}
