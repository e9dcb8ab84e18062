using ShardProxy.Sql.Lexing;
using ShardProxy.Sql.Parsing;

namespace ShardProxy.Sql.Shapes;

/// <summary>Recognises constants: literals, parameters and NULL, perhaps negated, perhaps with one plain cast.</summary>
internal sealed class ConstantReader(TokenTable tokens, LiteralList literals)
{
    /// <summary>The node as a key source, or null when it is anything else.</summary>
    public KeySource? Read(TreeNode node)
    {
        if (!node.Is("TypeCast", out var cast))
        {
            return Bare(node, null);
        }

        return cast.Field("typeName") is { } typeName && CastName(typeName) is { } name && cast.Field("arg") is { } argument
            ? Bare(argument, name)
            : null;
    }

    /// <summary>All items as key sources, or null when one is not or there are none.</summary>
    public List<KeySource>? ReadAll(IEnumerable<TreeNode> items)
    {
        var sources = new List<KeySource>();
        foreach (var item in items)
        {
            if (Read(item) is not { } source)
            {
                return null;
            }

            sources.Add(source);
        }

        return sources.Count == 0 ? null : sources;
    }

    private static string? CastName(TreeNode typeName)
    {
        if (typeName.Has("typmods") || typeName.Has("arrayBounds") || typeName.Flag("setof") || typeName.Flag("pct_type"))
        {
            return null;
        }

        return typeName.List("names").AsNames() is { Count: > 0 } names ? string.Join('.', names) : null;
    }

    private KeySource? Bare(TreeNode node, string? castType)
    {
        if (node.Is("ParamRef", out var parameter))
        {
            var number = parameter.Number("number");
            return number > 0 ? new KeySource(KeySourceKind.Parameter, number - 1, false, castType) : null;
        }

        if (!node.Is("A_Const", out var constant))
        {
            return null;
        }

        if (constant.Flag("isnull"))
        {
            return new KeySource(KeySourceKind.Null, 0, false, castType);
        }

        var isNumber = constant.Has("ival") || constant.Has("fval");
        return isNumber || constant.Has("sval") ? FromLocation(constant.Location(), isNumber, castType) : null;
    }

    /// <summary>
    /// The grammar folds a minus sign into the constant and gives the sign's place: from there to the literal only signs may
    /// stand. Parentheses in between, as in <c>-(5)</c>, are left alone.
    /// </summary>
    private KeySource? FromLocation(int location, bool isNumber, string? castType)
    {
        var token = location < 0 ? -1 : tokens.At(location);
        if (token < 0)
        {
            return null;
        }

        var isNegated = false;
        while (isNumber && tokens.IsSign(token, '-'))
        {
            isNegated = !isNegated;
            token++;
        }

        if (token >= tokens.Count || tokens[token].Kind != TokenKind.Literal)
        {
            return null;
        }

        var ordinal = literals.FirstAtOrAfter(tokens[token].Start);
        if (ordinal < 0 || literals[ordinal].Offset != tokens[token].Start)
        {
            return null;
        }

        var isNumericLiteral = literals[ordinal].Kind is LiteralKind.Integer or LiteralKind.Decimal;
        return isNumericLiteral == isNumber ? new KeySource(KeySourceKind.Literal, ordinal, isNegated, castType) : null;
    }
}
