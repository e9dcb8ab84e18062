using System.Collections.Frozen;
using ShardProxy.Sql;

namespace ShardProxy.DataPath.Routing;

/// <summary>
/// Functions of pg_catalog that give every node the same value for the same arguments. A list of what is proven, not of what is
/// forbidden: an unknown function counts as volatile.
/// </summary>
internal static class PureFunctions
{
    private static readonly FrozenSet<string> Names = new[]
    {
        "abs", "ascii", "btrim", "ceil", "ceiling", "char_length", "character_length", "chr", "coalesce", "concat", "concat_ws", "div", "floor", "greatest",
        "initcap", "left", "least", "length", "lower", "lpad", "ltrim", "md5", "mod", "nullif", "octet_length", "overlay", "position", "power", "repeat",
        "replace", "reverse", "right", "round", "rpad", "rtrim", "sign", "split_part", "sqrt", "strpos", "substr", "substring", "translate", "trim", "trunc",
        "upper", "jsonb_build_object", "json_build_object", "jsonb_set", "int4", "int8", "int2", "text", "numeric", "date_trunc", "make_date",
    }.ToFrozenSet(StringComparer.Ordinal);

    public static bool Contains(FunctionUse function) => function.Schema is null or "pg_catalog" && Names.Contains(function.Name);

    /// <summary>The aggregates the proxy combines over nodes.</summary>
    public static bool IsCombinedAggregate(FunctionUse function) =>
        function.Schema is null or "pg_catalog" && function.Name is "count" or "sum" or "min" or "max";
}
