using System.Text;
using ShardProxy.Sql.Parsing;

namespace ShardProxy.Sql.Shapes;

/// <summary>
/// Where the clauses of a statement's outermost SELECT stand. The tree tells what they mean but not where they end; the key words that begin them are
/// reserved, and what is found must agree with the tree.
/// </summary>
internal sealed class SelectParts
{
    private static readonly string[] Words = ["from", "where", "group", "having", "window", "order", "limit", "offset", "fetch", "for", "union", "intersect", "except", "into"];

    private readonly TokenTable _tokens;
    private readonly Dictionary<string, TokenSpan> _clauses = new(StringComparer.Ordinal);

    private SelectParts(TokenTable tokens) => _tokens = tokens;

    public List<TokenSpan> Targets { get; private set; } = [];

    public List<TokenSpan> Groups { get; private set; } = [];

    public List<TokenSpan> Orders { get; private set; } = [];

    /// <summary>A clause from its key word to its end, or null.</summary>
    public TokenSpan? this[string word] => _clauses.TryGetValue(word, out var span) ? span : null;

    /// <summary>Null when text and tree do not agree, or a clause is there that is not understood.</summary>
    public static SelectParts? Read(TokenTable tokens, TreeNode select)
    {
        var parts = new SelectParts(tokens);
        return parts.Find() && parts.Agrees(select) ? parts : null;
    }

    private bool Find()
    {
        if (!_tokens.IsWord(0, "select"u8))
        {
            return false;
        }

        var (word, start, depth) = ("select", 0, 0);
        for (var i = 1; i <= _tokens.Count; i++)
        {
            if (i < _tokens.Count)
            {
                depth += _tokens.IsSign(i, '(') || _tokens.IsSign(i, '[') ? 1 : _tokens.IsSign(i, ')') || _tokens.IsSign(i, ']') ? -1 : 0;
                if (depth != 0 || Clause(i) is null)
                {
                    continue;
                }
            }

            if (!_clauses.TryAdd(word, new TokenSpan(start, i - 1)))
            {
                return false;
            }

            (word, start) = (i < _tokens.Count ? Clause(i)! : "", i);
        }

        return depth == 0;
    }

    private string? Clause(int token)
    {
        if (_tokens.IsSign(token - 1, '.') || _tokens.IsWord(token - 1, "as"u8))
        {
            return null;
        }

        var word = Array.Find(Words, w => _tokens.IsWord(token, Encoding.ASCII.GetBytes(w)));
        var isPartOfExpression = (word == "from" && _tokens.IsWord(token - 1, "distinct"u8) && (_tokens.IsWord(token - 2, "is"u8) || _tokens.IsWord(token - 2, "not"u8)))
            || (word == "group" && _tokens.IsWord(token - 1, "within"u8));
        return isPartOfExpression ? null : word;
    }

    private bool Agrees(TreeNode select)
    {
        if (_clauses.Keys.Any(k => k is "window" or "fetch" or "union" or "intersect" or "except" or "into")
            || _clauses.ContainsKey("for") != select.Has("lockingClause")
            || _clauses.ContainsKey("where") != select.Has("whereClause")
            || _clauses.ContainsKey("group") != select.Has("groupClause")
            || _clauses.ContainsKey("having") != select.Has("havingClause")
            || _clauses.ContainsKey("order") != select.Has("sortClause")
            || _clauses.ContainsKey("limit") != select.Has("limitCount")
            || _clauses.ContainsKey("offset") != select.Has("limitOffset")
            || !_clauses.TryGetValue("from", out var from)
            || (this["where"] is { } where && where.First != from.Last + 1))
        {
            return false;
        }

        var head = _clauses["select"];
        var isDistinct = _tokens.IsWord(1, "distinct"u8);
        Targets = Items(new TokenSpan(isDistinct || _tokens.IsWord(1, "all"u8) ? 2 : 1, head.Last));
        Groups = this["group"] is { } group ? Items(group with { First = group.First + 2 }) : [];
        Orders = this["order"] is { } order ? Items(order with { First = order.First + 2 }) : [];
        return isDistinct == select.Has("distinctClause")
            && Targets.Count == select.ListLength("targetList")
            && Groups.Count == select.ListLength("groupClause")
            && Orders.Count == select.ListLength("sortClause");
    }

    private List<TokenSpan> Items(TokenSpan list)
    {
        var items = new List<TokenSpan>();
        var (start, depth) = (list.First, 0);
        for (var i = list.First; i <= list.Last + 1; i++)
        {
            if (i <= list.Last)
            {
                depth += _tokens.IsSign(i, '(') || _tokens.IsSign(i, '[') ? 1 : _tokens.IsSign(i, ')') || _tokens.IsSign(i, ']') ? -1 : 0;
                if (depth != 0 || !_tokens.IsSign(i, ','))
                {
                    continue;
                }
            }

            if (i > start)
            {
                items.Add(new TokenSpan(start, i - 1));
            }

            start = i + 1;
        }

        return items;
    }
}
