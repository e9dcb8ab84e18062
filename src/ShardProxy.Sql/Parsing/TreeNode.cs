using System.Text.Json;

namespace ShardProxy.Sql.Parsing;

/// <summary>What a tree's node is.</summary>
internal enum TreeKind : byte
{
    Object,
    List,
    Text,
    Number,
    True,
    Other,
}

/// <summary>One field of an object node.</summary>
internal readonly record struct TreeField(string Name, TreeNode Value);

/// <summary>
/// A parse tree read from libpg_query's JSON. System.Text.Json's own document needs time quadratic in a tree's depth (nine
/// seconds for 20,000 terms, measured), which a client could ask for again and again; this one is built in one pass.
/// </summary>
internal sealed class TreeNode
{
    public static readonly TreeNode Missing = new() { Kind = TreeKind.Other };

    private static readonly TreeNode True = new() { Kind = TreeKind.True };

    private List<TreeField>? _fields;
    private List<TreeNode>? _items;
    private string? _text;

    public TreeKind Kind { get; private init; }

    /// <summary>Value of a number; numbers outside 32 bits read as 0.</summary>
    public int Number { get; private init; }

    /// <summary>An object's fields in their order; empty for any other node.</summary>
    public List<TreeField> Fields => _fields ?? [];

    /// <summary>A list's items; empty for any other node.</summary>
    public List<TreeNode> Items => _items ?? [];

    public string? Text => _text;

    /// <summary>Reads a whole document; it must be valid.</summary>
    public static TreeNode Read(ReadOnlySpan<byte> json)
    {
        var reader = new Utf8JsonReader(json, new JsonReaderOptions { MaxDepth = int.MaxValue });
        var open = new Stack<(TreeNode Node, string? Name)>();
        var names = new NameTable();
        string? name = null;
        while (reader.Read())
        {
            TreeNode node;
            switch (reader.TokenType)
            {
                case JsonTokenType.PropertyName:
                    name = names.Get(reader.ValueSpan);
                    continue;
                case JsonTokenType.StartObject:
                    open.Push((new TreeNode { Kind = TreeKind.Object, _fields = [] }, name));
                    name = null;
                    continue;
                case JsonTokenType.StartArray:
                    open.Push((new TreeNode { Kind = TreeKind.List, _items = [] }, name));
                    name = null;
                    continue;
                case JsonTokenType.EndObject or JsonTokenType.EndArray:
                    (node, name) = open.Pop();
                    break;
                case JsonTokenType.String:
                    node = new TreeNode { Kind = TreeKind.Text, _text = reader.GetString() };
                    break;
                case JsonTokenType.Number:
                    node = new TreeNode { Kind = TreeKind.Number, Number = reader.TryGetInt32(out var number) ? number : 0 };
                    break;
                case JsonTokenType.True:
                    node = True;
                    break;
                default:
                    node = Missing;
                    break;
            }

            if (open.Count == 0)
            {
                return node;
            }

            var parent = open.Peek().Node;
            parent._fields?.Add(new TreeField(name ?? "", node));
            parent._items?.Add(node);
            name = null;
        }

        return Missing;
    }

    /// <summary>Field names come over and over: each is made a string once.</summary>
    private sealed class NameTable
    {
        private readonly Dictionary<string, string> _names = new(StringComparer.Ordinal);

        public string Get(ReadOnlySpan<byte> utf8)
        {
            Span<char> characters = stackalloc char[64];
            if (utf8.Length > characters.Length)
            {
                return System.Text.Encoding.UTF8.GetString(utf8);
            }

            var name = characters[..System.Text.Encoding.UTF8.GetChars(utf8, characters)];
            var lookup = _names.GetAlternateLookup<ReadOnlySpan<char>>();
            if (lookup.TryGetValue(name, out var known))
            {
                return known;
            }

            return _names[name.ToString()] = name.ToString();
        }
    }
}
