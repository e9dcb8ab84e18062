using System.Globalization;
using System.Text;
using System.Text.Json;
using ShardProxy.Sql;
using ShardProxy.Sql.Parsing;

namespace ShardProxy.Stress.Parsing;

/// <summary>
/// Holds the proxy's analysis against the grammar's own tree for every statement of a folder of psql scripts: the same cut into statements, the same relations,
/// no column missed. A text the grammar takes is analysed alike or refused. Everything is read twice, so that shapes from the cache are measured too.
/// </summary>
internal sealed class CorpusRun(TextWriter output) : IDisposable
{
    private readonly StatementAnalyzer _analyzer = new(new SqlOptions());
    private readonly LibPgQuery _parser = LibPgQuery.Load();
    private readonly LiteralList _literals = new();
    private readonly SortedDictionary<string, int> _refusals = new(StringComparer.Ordinal);
    private int _statements;
    private int _analysed;
    private int _rejected;
    private long _mentions;
    private long _columns;

    public int Findings { get; private set; }

    public async Task RunAsync(string directory)
    {
        var files = Directory.GetFiles(directory, "*.sql").Order(StringComparer.Ordinal).ToList();
        for (var pass = 1; pass <= 2; pass++)
        {
            (_statements, _analysed, _rejected, _mentions, _columns) = (0, 0, 0, 0, 0);
            _refusals.Clear();
            foreach (var file in files)
            {
                foreach (var text in PsqlSplitter.Split(await File.ReadAllTextAsync(file, Encoding.UTF8)))
                {
                    await CheckAsync(Path.GetFileName(file), text);
                }
            }

            await output.WriteLineAsync(string.Create(
                CultureInfo.InvariantCulture,
                $"pass {pass}: {files.Count} files, {_statements} statements that the grammar takes ({_rejected} texts it does not): {_analysed} analysed alike, with {_mentions} relations and {_columns} columns, {_refusals.Values.Sum()} refused, {Findings} misread; {_analyzer.ShapeCount} shapes, {_analyzer.Hits} hits"));
        }

        foreach (var (reason, count) in _refusals)
        {
            await output.WriteLineAsync(string.Create(CultureInfo.InvariantCulture, $"  refused {count,6}  {reason}"));
        }
    }

    public void Dispose() => _analyzer.Dispose();

    private async Task CheckAsync(string file, string text)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        if (_parser.Parse([.. bytes, 0]) is not { } json)
        {
            _rejected++;
            return;
        }

        using var document = JsonDocument.Parse(json, new JsonDocumentOptions { MaxDepth = 4_000 });
        var expected = document.RootElement.TryGetProperty("stmts", out var list) ? list.EnumerateArray().ToList() : [];
        _statements += expected.Count;
        var (at, number) = (0, 0);
        while (true)
        {
            var scan = _analyzer.Scan(bytes, at, _literals);
            if (scan.Outcome == ScanOutcome.Empty)
            {
                break;
            }

            if (scan.Outcome == ScanOutcome.Refused)
            {
                Refuse(scan.Error!.Message, expected.Count - number);
                return;
            }

            if (number == expected.Count)
            {
                await FindAsync(file, text, $"more statements than the grammar's {expected.Count}");
                return;
            }

            var shape = scan.Shape ?? await _analyzer.AnalyzeAsync(bytes.AsMemory(scan.Start..scan.End), CancellationToken.None);
            await CompareAsync(file, text, Encoding.UTF8.GetString(bytes, scan.Start, scan.End - scan.Start), shape, TreeFacts.Of(expected[number].GetProperty("stmt")));
            at = scan.Next;
            number++;
        }

        if (number != expected.Count)
        {
            await FindAsync(file, text, $"{number} statements, the grammar sees {expected.Count}");
        }
    }

    private async Task CompareAsync(string file, string text, string statement, StatementShape shape, TreeFacts facts)
    {
        if (shape.Kind == StatementKind.Unparsable || shape.Unsupported is not null)
        {
            Refuse(shape.Unsupported ?? "not parsed", 1);
            return;
        }

        var found = shape.Relations.Select(r => r.Schema is null ? r.Name : $"{r.Schema}.{r.Name}").Order(StringComparer.Ordinal).ToList();
        var expected = facts.Relations.Order(StringComparer.Ordinal).ToList();
        if (!found.SequenceEqual(expected))
        {
            await FindAsync(file, statement, $"relations [{string.Join(", ", found)}], the tree has [{string.Join(", ", expected)}]");
            return;
        }

        if (shape.LiteralCount != _literals.Count)
        {
            await FindAsync(file, text, $"{_literals.Count} literals in the text, {shape.LiteralCount} in its shape");
            return;
        }

        foreach (var column in shape.Relations.SelectMany(r => r.Pins.Select(p => p.Column)).Concat(shape.Update?.AssignedColumns ?? []).Concat(shape.Insert?.Columns ?? []))
        {
            if (!facts.Columns.Contains(column) && !facts.OtherNames.Contains(column))
            {
                await FindAsync(file, statement, $"column {column}, which the tree does not have");
                return;
            }
        }

        if (shape.Gather is { } gather && (facts.Columns.FirstOrDefault(c => !gather.Words.Contains(c)) is { } missed || (facts.HasStar && !gather.HasStar && (missed = "*") is not null)))
        {
            await FindAsync(file, statement, $"column {missed} is missing from what is gathered");
            return;
        }

        _analysed++;
        _mentions += expected.Count;
        _columns += facts.Columns.Count;
    }

    private void Refuse(string reason, int count) => _refusals[reason] = _refusals.GetValueOrDefault(reason) + count;

    private async Task FindAsync(string file, string text, string finding)
    {
        Findings++;
        await output.WriteLineAsync($"FOUND  {file}: {finding}\n    {(text.Length > 600 ? text[..600] + "…" : text).ReplaceLineEndings("\n    ")}");
    }
}
