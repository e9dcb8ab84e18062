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
        "array_append", "array_cat", "array_fill", "array_length", "array_lower", "array_ndims", "array_position", "array_positions", "array_prepend", "array_remove", "array_replace", "array_upper",
        "bit_length", "cardinality", "decode", "encode", "gcd", "isempty", "isfinite", "json_array_length", "json_typeof", "jsonb_array_length", "jsonb_extract_path", "jsonb_extract_path_text",
        "jsonb_insert", "jsonb_pretty", "jsonb_strip_nulls", "jsonb_typeof", "justify_days", "justify_hours", "justify_interval", "lcm", "make_interval", "make_time", "make_timestamp", "min_scale",
        "num_nonnulls", "num_nulls", "regexp_match", "regexp_replace", "regexp_split_to_array", "scale", "sha256", "starts_with", "string_to_array", "to_hex", "trim_array", "trim_scale",
    }.ToFrozenSet(StringComparer.Ordinal);

    private static readonly FrozenSet<string> Sets = FrozenSet.Create(
        StringComparer.Ordinal,
        "generate_series", "generate_subscripts", "jsonb_array_elements", "jsonb_array_elements_text", "jsonb_each", "jsonb_each_text", "jsonb_object_keys", "jsonb_to_recordset",
        "regexp_split_to_table", "string_to_table", "unnest");

    public static bool Contains(FunctionUse function) => function.Schema is null or "pg_catalog" && Names.Contains(function.Name);

    /// <summary>Those that give sets of rows. In a list of VALUES one is allowed where it stands alone, and not among others: that a list may be split is not said here.</summary>
    public static bool IsSet(FunctionUse function) => function.Schema is null or "pg_catalog" && Sets.Contains(function.Name);

    /// <summary>The aggregates the proxy combines over nodes.</summary>
    public static bool IsCombinedAggregate(FunctionUse function) =>
        function.Schema is null or "pg_catalog" && function.Name is "count" or "sum" or "min" or "max";
}
