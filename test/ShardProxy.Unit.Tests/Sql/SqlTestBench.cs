using System.Text;
using NUnit.Framework;
using ShardProxy.Sql;

namespace ShardProxy.Unit.Tests.Sql;

/// <summary>Analyses texts the way the data path does, and prints shapes briefly so that tests read as tables.</summary>
internal sealed class SqlTestBench : IDisposable
{
    public StatementAnalyzer Analyzer { get; }

    public LiteralList Literals { get; } = new();

    public SqlTestBench(SqlOptions? options = null) => Analyzer = new StatementAnalyzer(options ?? new SqlOptions());

    public void Dispose() => Analyzer.Dispose();

    public static byte[] Utf8(string sql) => Encoding.UTF8.GetBytes(sql);

    public ScanResult Scan(string sql, int start = 0) => Analyzer.Scan(Utf8(sql), start, Literals);

    /// <summary>The shape of a text of one statement, from the cache or newly analysed.</summary>
    public StatementShape Shape(string sql)
    {
        var bytes = Utf8(sql);
        var scan = Analyzer.Scan(bytes, 0, Literals);
        return scan.Outcome switch
        {
            ScanOutcome.Found => scan.Shape!,
            ScanOutcome.Missing => Analyzer.AnalyzeAsync(bytes.AsMemory(scan.Start, scan.End - scan.Start), CancellationToken.None).AsTask().GetAwaiter().GetResult(),
            _ => throw new AssertionException($"{scan.Outcome}: {scan.Error?.Message}"),
        };
    }

    /// <summary>Relations as <c>role schema.name alias {column=values}</c>; an unqualified column has a question mark.</summary>
    public string Relations(string sql)
    {
        var shape = Shape(sql);
        return string.Join("; ", shape.Relations.Select(r => Relation(r, sql)));
    }

    /// <summary>Equalities as <c>a.x→b.y</c> by alias or name, sorted.</summary>
    public string Equalities(string sql)
    {
        var shape = Shape(sql);
        string Name(int i) => shape.Relations[i].Alias ?? shape.Relations[i].Name;
        return string.Join(" ", shape.Equalities.Select(e => $"{Name(e.FromRelation)}.{e.FromColumn}>{Name(e.ToRelation)}.{e.ToColumn}").Order(StringComparer.Ordinal));
    }

    /// <summary>
    /// The conditions that nodes apply before rows are gathered, each as <c>relation: text</c>, with the columns in brackets that the relation must have for
    /// it; a star when all columns are gathered.
    /// </summary>
    public string Filters(string sql)
    {
        var shape = Shape(sql);
        if (shape.Gather is not { } gather)
        {
            return "none";
        }

        var text = new GatherText(Utf8(sql), shape);
        string Name(int i) => shape.Relations[i].Alias ?? shape.Relations[i].Name;
        var filters = gather.Filters.Select(f => $"{Name(f.Relation)}: {text.Filter(f, n => $"<{n}>")}{(f.Unqualified.IsEmpty ? "" : $" [{string.Join(' ', f.Unqualified)}]")}");
        return string.Join("; ", (gather.HasStar ? new[] { "*" } : []).Concat(filters.Order(StringComparer.Ordinal)));
    }

    public string Value(KeySource? source, string sql) => source is not { } known
        ? "?"
        : known.Kind switch
        {
            KeySourceKind.Null => "null",
            KeySourceKind.Parameter => $"${known.Index + 1}",
            _ => (known.Negated ? "-" : "") + Encoding.UTF8.GetString(Utf8(sql).AsSpan(Literals[known.Index].Offset, Literals[known.Index].Length)),
        }
        + (known.CastType is { } cast ? "::" + cast : "");

    private string Relation(RelationUse use, string sql)
    {
        var text = $"{use.Role} {(use.Schema is null ? "" : use.Schema + ".")}{use.Name}{(use.Alias is null ? "" : " " + use.Alias)}";
        return use.Pins.IsEmpty
            ? text
            : text + " {" + string.Join(", ", use.Pins.Select(p => $"{p.Column}{(p.IsQualified ? "" : "?")}={string.Join("|", p.Values.Select(v => Value(v, sql)))}")) + "}";
    }
}
