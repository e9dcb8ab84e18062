using System.Collections.Immutable;

namespace ShardProxy.Sql;

/// <summary>
/// What routing needs to know about a statement, shared by all texts that differ only in literals (and in white space,
/// comments and the case of unquoted names). Immutable but for the router's slot and the statistics.
/// </summary>
public sealed class StatementShape
{
    private static readonly string[] TimeWords = ["now", "current_", "localtime", "transaction_timestamp"];

    private object? _routeCache;
    private byte _tellsTime;

    internal StatementShape()
    {
    }

    /// <summary>
    /// Stands for a text that was not read at all: one the lexer refuses, or would misread in the client's settings. Only for a server that answers
    /// everything itself.
    /// </summary>
    public static StatementShape Unread { get; } = new() { Fingerprint = 0, Text = "", Kind = StatementKind.Unparsable, LiteralCount = 0, ParameterCount = 0 };

    /// <summary>Stable 64-bit hash of <see cref="Text"/>.</summary>
    public required long Fingerprint { get; init; }

    /// <summary>Normalised text for people: literals are parameters, numbered after the real ones. Holds no value. At most 4,000 characters.</summary>
    public required string Text { get; init; }

    public required StatementKind Kind { get; init; }

    /// <summary>Literals in the text, in order of appearance.</summary>
    public required int LiteralCount { get; init; }

    /// <summary>The highest parameter number, 0 when there is none.</summary>
    public required int ParameterCount { get; init; }

    /// <summary>
    /// The statement by itself changes nothing: SELECT, VALUES, SHOW, EXPLAIN (without ANALYZE of a write), COPY TO, DECLARE; no row
    /// locking, no data-modifying CTE, no INTO. Functions it calls may still write: see <see cref="Functions"/>.
    /// </summary>
    public bool IsReadOnly { get; init; }

    /// <summary>FOR UPDATE, FOR NO KEY UPDATE, FOR SHARE or FOR KEY SHARE, in any block.</summary>
    public bool HasRowLocking { get; init; }

    /// <summary>A data-modifying statement stands in a WITH.</summary>
    public bool HasModifyingCte { get; init; }

    /// <summary>WHERE CURRENT OF: the statement must go where the cursor is.</summary>
    public bool HasCurrentOf { get; init; }

    /// <summary>
    /// Every relation named anywhere, mention by mention; names of CTEs are resolved away. Of utility statements too: the table,
    /// tables it references or copies, a view's query, COPY's and EXPLAIN's.
    /// </summary>
    public ImmutableArray<RelationUse> Relations { get; init; } = [];

    /// <summary>Per query block, the indexes of the relations whose columns an unqualified name in it could mean.</summary>
    public ImmutableArray<ImmutableArray<int>> Blocks { get; init; } = [];

    public ImmutableArray<ColumnEquality> Equalities { get; init; } = [];

    /// <summary>Every function called by name, once each.</summary>
    public ImmutableArray<FunctionUse> Functions { get; init; } = [];

    /// <summary>
    /// Every word of an unparsable statement, and of the code in DO, CREATE FUNCTION, CREATE PROCEDURE, CREATE RULE and similar: a
    /// superset of the names it can use without building them at run time. Empty for other statements.
    /// </summary>
    public ImmutableArray<string> Identifiers { get; init; } = [];

    /// <summary>The statement cannot run inside a transaction block: VACUUM, CREATE INDEX CONCURRENTLY, CREATE DATABASE and the like.</summary>
    public bool ForbidsTransactionBlock { get; init; }

    public InsertSummary? Insert { get; init; }

    public UpdateSummary? Update { get; init; }

    /// <summary>An UPDATE or DELETE, and a predicate on its target can be spliced in: see <see cref="WriteText.WithPredicate"/>.</summary>
    public bool IsRestrictable => TargetSlot is not null;

    /// <summary>Index of the target of such a statement into <see cref="Relations"/>, or -1.</summary>
    public int RestrictableTarget => TargetSlot?.Relation ?? -1;

    internal PredicateSlot? TargetSlot { get; init; }

    public AggregateQuery? Aggregate { get; init; }

    /// <summary>
    /// Set for a SELECT that only reads, alone or <see cref="Enclosed"/>, if it can be finished on gathered rows; and for a write, of which it tells where
    /// relations and the conditions on them stand.
    /// </summary>
    public GatherQuery? Gather { get; init; }

    /// <summary>Set for an INSERT, UPDATE, DELETE or MERGE that writes one table, if what it reads can be found in its text.</summary>
    public SuppliedQuery? Supplied { get; init; }

    /// <summary>Set for a query whose WITH writes, if its parts can be found in its text.</summary>
    public WritingWith? WritingWith { get; init; }

    /// <summary>Set if each node can answer for its own rows, where the tables are co-located.</summary>
    public PartialQuery? Partial { get; init; }

    /// <summary>Set for DECLARE, EXPLAIN and COPY (…) TO of a SELECT that only reads; <see cref="Gather"/> is about the whole statement then.</summary>
    public EnclosedQuery? Enclosed { get; init; }

    /// <summary>The SELECT of CREATE TABLE … AS, if it is run (not WITH NO DATA) and its place is certain.</summary>
    public EnclosedQuery? Created { get; init; }

    /// <summary>Of SET CONSTRAINTS: DEFERRED or IMMEDIATE, for the constraints in <see cref="Relations"/>, or ALL when there are none. Null for other statements.</summary>
    public bool? DefersConstraints { get; init; }

    /// <summary>CREATE TABLE … AS a SELECT, WITH NO DATA.</summary>
    public bool CreatesEmpty { get; init; }

    /// <summary>CREATE TABLE … PARTITION OF.</summary>
    public bool CreatesPartition { get; init; }

    /// <summary>ALTER TABLE … ATTACH PARTITION, or DETACH PARTITION.</summary>
    public bool ChangesPartitions { get; init; }

    public CopySummary? Copy { get; init; }

    public TransactionSummary? Transaction { get; init; }

    public VariableSummary? Variable { get; init; }

    public UtilitySummary? Utility { get; init; }

    public PreparedSummary? Prepared { get; init; }

    /// <summary>Set when the statement has something whose keys cannot be told at all; a short name of it.</summary>
    public string? Unsupported { get; init; }

    public ShapeStatistics Statistics { get; } = new();

    /// <summary>It may have now(), CURRENT_TIMESTAMP or another word for the moment of the transaction in it.</summary>
    public bool MayTellTime
    {
        get
        {
            if (_tellsTime == 0)
            {
                // A text of full length is cut off.
                var tells = Text.Length >= 4000 || TimeWords.Any(w => Text.Contains(w, StringComparison.OrdinalIgnoreCase));
                _tellsTime = (byte)(tells ? 1 : 2);
            }

            return _tellsTime == 1;
        }
    }

    /// <summary>A slot for the router's plan of this shape. Last write wins.</summary>
    public object? RouteCache
    {
        get => Volatile.Read(ref _routeCache);
        set => Volatile.Write(ref _routeCache, value);
    }
}
