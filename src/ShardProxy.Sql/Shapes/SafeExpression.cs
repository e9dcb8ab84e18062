using System.Collections.Frozen;
using ShardProxy.Sql.Parsing;

namespace ShardProxy.Sql.Shapes;

/// <summary>
/// Expressions that give the same value for a row on whatever node it lies: no subquery, no clock, no random value, no object
/// identifier, no physical column, and only functions from a list of PostgreSQL's own.
/// </summary>
internal static class SafeExpression
{
    private static readonly FrozenSet<string> Nodes = FrozenSet.Create(
        StringComparer.Ordinal,
        "A_Const", "A_Expr", "A_ArrayExpr", "A_Indices", "A_Indirection", "A_Star", "BoolExpr", "BooleanTest", "CaseExpr", "CaseWhen",
        "CoalesceExpr", "CollateClause", "ColumnRef", "FuncCall", "Integer", "Float", "List", "MinMaxExpr", "NullTest", "ParamRef",
        "RowExpr", "String", "TypeCast", "TypeName");

    private static readonly FrozenSet<string> Functions = FrozenSet.Create(
        StringComparer.Ordinal,
        "abs", "ascii", "bit_length", "btrim", "cbrt", "ceil", "ceiling", "char_length", "character_length", "chr", "date_part",
        "date_trunc", "div", "exp", "extract", "floor", "initcap", "left", "length", "ln", "log", "lower", "lpad", "ltrim", "md5", "mod",
        "nullif", "octet_length", "overlay", "position", "pow", "power", "repeat", "replace", "reverse", "right", "round", "rpad",
        "rtrim", "scale", "sign", "split_part", "sqrt", "starts_with", "strpos", "substr", "substring", "translate", "trim", "trunc",
        "upper");

    private static readonly FrozenSet<string> PhysicalColumns = FrozenSet.Create(
        StringComparer.Ordinal, "ctid", "xmin", "xmax", "cmin", "cmax", "tableoid");

    public static bool Is(TreeNode node)
    {
        switch (node.Kind)
        {
            case TreeKind.List:
                foreach (var item in node.Items)
                {
                    if (!Is(item))
                    {
                        return false;
                    }
                }

                return true;
            case TreeKind.Object when node.TryUnwrap(out var type, out var fields):
                return Nodes.Contains(type) && IsSafe(type, fields) && HasSafeFields(fields);
            case TreeKind.Object:
                return IsSafe("TypeName", node) && HasSafeFields(node);
            default:
                return true;
        }
    }

    private static bool HasSafeFields(TreeNode fields)
    {
        foreach (var field in fields.Fields)
        {
            if (!Is(field.Value))
            {
                return false;
            }
        }

        return true;
    }

    private static bool IsSafe(string type, TreeNode fields) => type switch
    {
        "FuncCall" => IsSafeCall(fields),
        "ColumnRef" => fields.List("fields").All(f => f.AsString() is not { } name || !PhysicalColumns.Contains(name)),
        "TypeName" => fields.List("names").All(n => n.AsString() is not { } name || !name.StartsWith("reg", StringComparison.Ordinal)),
        _ => true,
    };

    /// <summary>A call of a function of the list, without anything but arguments; those are not looked at.</summary>
    public static bool IsSafeCall(TreeNode call)
    {
        foreach (var field in call.Fields)
        {
            if (field.Name is not ("funcname" or "args" or "funcformat" or "location"))
            {
                return false;
            }
        }

        return call.List("funcname").AsNames() is { } names
            && (names.Count == 1 || (names.Count == 2 && names[0] == "pg_catalog"))
            && Functions.Contains(names[^1]);
    }
}
