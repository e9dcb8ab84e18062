using ShardProxy.Sql.Caching;
using ShardProxy.Sql.Lexing;
using ShardProxy.Sql.Parsing;
using ShardProxy.Sql.Shapes;

namespace ShardProxy.Sql;

/// <summary>
/// Turns statement texts into shapes. A text is scanned where it lies; only when its normal form was not seen before is it
/// parsed, on a thread of the analyzer's own. Thread-safe.
/// </summary>
public sealed class StatementAnalyzer : IDisposable
{
    [ThreadStatic]
    private static NormalForm? _form;

    private readonly SqlOptions _options;
    private readonly ShapeCache _cache;
    private readonly ParserThreads _threads;
    private readonly StripedCounter _hits = new();
    private long _misses;

    /// <summary>Loads the parser and starts its threads.</summary>
    /// <exception cref="Model.Errors.ShardProxyException">SHP-701: libpg_query is not installed or not of a known version.</exception>
    public StatementAnalyzer(SqlOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        _options = options;
        _cache = new ShapeCache(options.MaxShapes);
        _threads = new ParserThreads(LibPgQuery.Load(), options, Analyze);
    }

    /// <summary>Shapes in the cache.</summary>
    public int ShapeCount => _cache.Count;

    /// <summary>Scans that found their shape.</summary>
    public long Hits => _hits.Total;

    /// <summary>Statements that were parsed.</summary>
    public long Misses => Volatile.Read(ref _misses);

    /// <summary>The cached shapes, in no order.</summary>
    public IReadOnlyCollection<StatementShape> Shapes => _cache.Snapshot();

    /// <summary>
    /// Scans the one statement that begins at or after <paramref name="start"/> and stops behind its semicolon or at the end of the text.
    /// Empty statements are passed over. Allocates nothing when the shape is found.
    /// </summary>
    /// <param name="sql">UTF-8, without the protocol's closing NUL.</param>
    /// <param name="start">Where to begin: 0, then each result's <see cref="ScanResult.Next"/>.</param>
    /// <param name="literals">Receives the statement's literals; offsets count from the start of <paramref name="sql"/>.</param>
    /// <remarks>
    /// PostgreSQL parses a whole query string before it runs any of it. To behave alike, scan every statement of a simple
    /// query before running the first. Assumes <c>standard_conforming_strings</c> on and client encoding UTF8.
    /// </remarks>
    public ScanResult Scan(ReadOnlySpan<byte> sql, int start, LiteralList literals)
    {
        var form = _form ??= new NormalForm();
        var bounds = StatementScanner.Scan(sql, start, literals, form, _options);
        if (bounds.Failure != LexFailure.None)
        {
            return Result(ScanOutcome.Refused, bounds, failure: bounds.Failure);
        }

        if (bounds.IsEmpty)
        {
            return Result(ScanOutcome.Empty, bounds);
        }

        if (form.IsCacheable && _cache.Find(form.Bytes, NormalForm.Hash(form.Bytes)) is { } shape)
        {
            _hits.Increment();
            return Result(ScanOutcome.Found, bounds, shape);
        }

        return TermCounter.Exceeds(sql[bounds.Start..bounds.End], _options)
            ? Result(ScanOutcome.Refused, bounds, failure: LexFailure.TooManyTerms)
            : Result(ScanOutcome.Missing, bounds);
    }

    /// <summary>
    /// Parses a statement that a scan reported missing, on a parser thread, and caches its shape if that can be shared.
    /// </summary>
    /// <param name="statement">The slice [Start, End) of the scan; copied before the method returns to its caller.</param>
    /// <param name="cancellationToken">Ends the wait for a place in the parsers' queue, and the wait for the result.</param>
    /// <returns>The shape; of kind <see cref="StatementKind.Unparsable"/> when the grammar does not know the statement.</returns>
    /// <exception cref="Model.Errors.ShardProxyException">The text is one that <see cref="Scan"/> refuses.</exception>
    public ValueTask<StatementShape> AnalyzeAsync(ReadOnlyMemory<byte> statement, CancellationToken cancellationToken)
    {
        Interlocked.Increment(ref _misses);
        return _threads.RunAsync(statement, cancellationToken);
    }

    /// <summary>Stops the parser threads; waiting callers are cancelled.</summary>
    public void Dispose() => _threads.Dispose();

    private static ScanResult Result(
        ScanOutcome outcome, in StatementBounds bounds, StatementShape? shape = null, LexFailure failure = LexFailure.None) =>
        new(outcome, shape, failure == LexFailure.None ? null : SqlErrors.Of(failure), bounds.Start, bounds.End, bounds.Next);

    /// <summary>Runs on a parser thread.</summary>
    private StatementShape Analyze(ParserThreads.Workspace workspace, byte[] terminated)
    {
        var text = terminated.AsSpan(0, terminated.Length - 1);
        var bounds = StatementScanner.Scan(text, 0, workspace.Literals, workspace.Form, _options);
        var failure = bounds.Failure;
        if (failure == LexFailure.None && TermCounter.Exceeds(text, _options))
        {
            failure = LexFailure.TooManyTerms;
        }

        if (failure != LexFailure.None)
        {
            throw new Model.Errors.ShardProxyException(SqlErrors.Of(failure));
        }

        var form = workspace.Form;
        var hash = NormalForm.Hash(form.Bytes);
        if (form.IsCacheable && _cache.Find(form.Bytes, hash) is { } present)
        {
            return present;
        }

        var shape = ShapeBuilder.Build(workspace.Parser, terminated, bounds, workspace.Literals);
        return form.IsCacheable && CachePolicy.IsShared(shape, bounds.IsVerbatim, _options)
            ? _cache.Add(form.Bytes.ToArray(), hash, shape)
            : shape;
    }
}
