using System.Collections.Immutable;
using System.Text;
using ShardProxy.Sql.Parsing;

namespace ShardProxy.Sql.Shapes;

/// <summary>Reads COPY and its options (PostgreSQL documentation, COPY; copy.c, ProcessCopyOptions).</summary>
internal sealed class CopyReader
{
    private readonly Dictionary<string, TreeNode?> _options = new(StringComparer.Ordinal);
    private bool _isUnknown;

    public static CopySummary Read(TreeNode copy, int? relation) => new CopyReader().ReadOptions(copy, relation);

    private CopySummary ReadOptions(TreeNode copy, int? relation)
    {
        foreach (var option in copy.List("options"))
        {
            if (!option.Is("DefElem", out var fields) || !_options.TryAdd(fields.Text("defname") ?? "", fields.Field("arg")))
            {
                _isUnknown = true;
            }
        }

        var format = Format();
        var hasMatch = _options.TryGetValue("header", out var header) && Word(header)?.ToLowerInvariant() == "match";
        var hasHeader = Flag("header") || hasMatch;
        var isCsv = format == CopyFormat.Csv;
        var quote = Byte("quote", (byte)'"');
        _ = Present("force_quote") | Present("force_null");
        var summary = new CopySummary(
            copy.Flag("is_from"),
            relation,
            [.. copy.List("attlist").AsNames() ?? []],
            !copy.Has("filename") && !copy.Flag("is_program"),
            format,
            Byte("delimiter", isCsv ? (byte)',' : (byte)'\t'),
            quote,
            Byte("escape", quote),
            Text("null") ?? (isCsv ? "" : "\\N"),
            hasHeader,
            hasMatch,
            Text("encoding"),
            Present("force_not_null"),
            copy.Has("whereClause"),
            Flag("freeze"),
            false);
        return summary with { HasUnknownOptions = _isUnknown || _options.Count > 0 };
    }

    private CopyFormat Format()
    {
        switch (Text("format"))
        {
            case null or "text":
                return CopyFormat.Text;
            case "csv":
                return CopyFormat.Csv;
            case "binary":
                return CopyFormat.Binary;
            default:
                _isUnknown = true;
                return CopyFormat.Text;
        }
    }

    /// <summary>Takes an option's text; options left at the end are unknown ones.</summary>
    private string? Text(string name)
    {
        if (!_options.Remove(name, out var argument))
        {
            return null;
        }

        var text = argument?.AsString();
        _isUnknown |= text is null;
        return text;
    }

    private byte Byte(string name, byte missing)
    {
        if (Text(name) is not { } text)
        {
            return missing;
        }

        var bytes = Encoding.UTF8.GetBytes(text);
        if (bytes.Length == 1)
        {
            return bytes[0];
        }

        _isUnknown = true;
        return missing;
    }

    private bool Present(string name) => _options.Remove(name);

    /// <summary>A Boolean option as defGetBoolean reads it: no argument means true.</summary>
    private bool Flag(string name)
    {
        if (!_options.Remove(name, out var argument))
        {
            return false;
        }

        switch (Word(argument)?.ToLowerInvariant())
        {
            case "true" or "on" or "1":
                return true;
            case "false" or "off" or "0":
                return false;
            case "match" when name == "header":
                return true;
            default:
                _isUnknown = true;
                return false;
        }
    }

    private static string? Word(TreeNode? argument)
    {
        if (argument is not { } value)
        {
            return "true";
        }

        if (value.Is("Boolean", out var boolean))
        {
            return boolean.Flag("boolval") ? "true" : "false";
        }

        return value.Is("Integer", out var integer) ? $"{integer.Number("ival")}" : value.AsString();
    }
}
