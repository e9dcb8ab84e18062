using System.Collections.Immutable;
using System.Text;
using ShardProxy.Sql.Lexing;
using ShardProxy.Sql.Parsing;

namespace ShardProxy.Sql.Shapes;

/// <summary>Builds one statement's shape from its parse tree. Runs on a parser thread: trees can be deep.</summary>
internal sealed class ShapeBuilder
{
    private readonly TokenTable _tokens;
    private readonly LiteralList _literals;
    private readonly int _parameterCount;
    private readonly string _text;
    private readonly ConstantReader _constants;
    private readonly ShapeDraft _draft = new();
    private readonly QueryWalker _walker;

    private ShapeBuilder(TokenTable tokens, LiteralList literals, int parameterCount)
    {
        _tokens = tokens;
        _literals = literals;
        _parameterCount = parameterCount;
        _text = NormalizedText.Render(tokens, parameterCount);
        _constants = new ConstantReader(tokens, literals);
        _walker = new QueryWalker(_draft, _constants);
    }

    /// <param name="parser">The parser.</param>
    /// <param name="terminated">The statement and one NUL.</param>
    /// <param name="bounds">What the scan of the statement found.</param>
    /// <param name="literals">Its literals.</param>
    public static StatementShape Build(LibPgQuery parser, byte[] terminated, in StatementBounds bounds, LiteralList literals)
    {
        var tokens = new TokenTable(terminated, terminated.Length - 1);
        var builder = new ShapeBuilder(tokens, literals, bounds.ParameterCount);
        if (parser.Parse(terminated) is not { } json)
        {
            return builder.Unparsable();
        }

        // The tree's depth is bounded by the scan's bounds on terms and nesting.
        var statements = TreeNode.Read(json).List("stmts");
        var isOne = statements.Count == 1;
        if (!isOne || statements[0].Field("stmt") is not { } statement || !statement.TryUnwrap(out var node, out var fields))
        {
            // Our lexer saw one statement: if the grammar sees another number, neither is to be believed.
            return builder.Unparsable("text that is not one statement");
        }

        return builder.Describe(node, fields, statement);
    }

    private StatementShape Unparsable(string? unsupported = null) => new()
    {
        Fingerprint = Fingerprint(),
        Text = _text,
        Kind = StatementKind.Unparsable,
        LiteralCount = _literals.Count,
        ParameterCount = _parameterCount,
        Identifiers = Identifiers(),
        Unsupported = unsupported ?? UndecodableName(),
    };

    private StatementShape Describe(string node, TreeNode fields, TreeNode statement)
    {
        var kind = StatementKinds.Of(node, fields);
        var isQuery = kind is StatementKind.Select or StatementKind.Insert or StatementKind.Update or StatementKind.Delete or StatementKind.Merge;
        var role = kind == StatementKind.ShowVariable ? RelationRole.Read : RelationRole.Utility;
        _walker.Walk(statement, null, null, isQuery ? RelationRole.Read : role);
        if (kind == StatementKind.Select && _draft.HasInto)
        {
            kind = StatementKind.CreateTable;
        }

        // EXPLAIN, DECLARE and PREPARE carry the summaries of the statement inside.
        var inner = fields.Field("query") is { } query && query.TryUnwrap(out _, out _) ? query : statement;
        var transaction = kind == StatementKind.Transaction ? SessionReader.Transaction(fields) : null;
        var variable = kind switch
        {
            StatementKind.SetVariable => new SessionReader(_tokens).Variable(fields),
            StatementKind.ShowVariable => SessionReader.Show(fields),
            _ => null,
        };
        var writes = new WriteReader(_draft, _constants, _tokens);
        var utility = IsUtility(kind) ? new UtilityReader(_draft).Read(node, fields) : null;
        var onlyReads = !_draft.HasWrite && !_draft.HasRowLocking && !_draft.HasInto && _draft.RelationCount > 0;
        var enclosed = onlyReads ? EnclosedReader.Read(kind, fields, _tokens) : null;
        var onlyLocks = kind == StatementKind.Select && _draft.HasRowLocking && !_draft.HasWrite && !_draft.HasInto && _draft.RelationCount > 0;
        var onlyChanges = isQuery && kind != StatementKind.Select && !_draft.HasModifyingCte && !_draft.HasRowLocking && !_draft.HasInto;
        var holdsCode = node is "DoStmt" or "CreateFunctionStmt";
        return new StatementShape
        {
            Fingerprint = Fingerprint(),
            Text = _text,
            Kind = kind,
            LiteralCount = _literals.Count,
            ParameterCount = _parameterCount,
            IsReadOnly = IsReadOnly(kind, fields),
            HasRowLocking = _draft.HasRowLocking,
            HasModifyingCte = _draft.HasModifyingCte,
            HasCurrentOf = _draft.HasCurrentOf,
            Relations = _draft.Relations,
            Blocks = _draft.Blocks,
            Equalities = _draft.Equalities,
            Functions = _draft.Functions,
            Identifiers = holdsCode ? Identifiers() : [],
            ForbidsTransactionBlock = UtilityReader.ForbidsTransactionBlock(node, fields),
            Insert = inner.Is("InsertStmt", out var insert) ? writes.Insert(insert) : null,
            Update = inner.Is("UpdateStmt", out var update) ? writes.Update(update)
                : inner.Is("MergeStmt", out var merge) ? WriteReader.Merge(merge) : null,
            Created = node == "CreateTableAsStmt" && kind == StatementKind.CreateTable ? EnclosedReader.Created(fields, _tokens) : null,
            CreatesEmpty = node == "CreateTableAsStmt" && kind == StatementKind.CreateTable && fields.Field("into")?.Flag("skipData") == true
                && fields.Field("query")?.Is("SelectStmt", out _) == true && fields.Text("objtype") == "OBJECT_TABLE" && !_draft.HasWrite,
            CreatesPartition = node == "CreateStmt" && fields.Has("partbound"),
            ChangesPartitions = node == "AlterTableStmt"
                && fields.List("cmds").Any(c => c.Is("AlterTableCmd", out var command) && command.Text("subtype") is "AT_AttachPartition" or "AT_DetachPartition"),
            TargetSlot = kind is StatementKind.Update or StatementKind.Delete ? new ChangeReader(_draft, _tokens).Read(fields) : null,
            Aggregate = kind == StatementKind.Select ? new AggregateReader(_draft, _tokens).Read(fields) : null,
            Enclosed = enclosed,
            Gather = onlyChanges || onlyLocks || (onlyReads && (kind == StatementKind.Select || enclosed is not null))
                ? new GatherReader(_draft, _tokens).Read(statement) : null,
            WritingWith = isQuery && _draft.HasModifyingCte && !_draft.HasRowLocking && !_draft.HasInto ? new WithReader(_draft, _tokens).Read(fields) : null,
            Supplied = onlyChanges ? new SuppliedReader(_draft, _tokens).Read(kind, fields) : null,
            Partial = kind == StatementKind.Select && !_draft.HasWrite && !_draft.HasInto && _draft.RelationCount > 0 && !_tokens.HasUnicodeNames
                ? new PartialReader(_draft, _tokens).Read(fields) : null,
            Copy = kind == StatementKind.Copy ? CopyReader.Read(fields, CopyRelation(fields)) : null,
            Transaction = transaction,
            Variable = variable,
            Utility = utility,
            DefersConstraints = node == "ConstraintsSetStmt" ? fields.Flag("deferred") : null,
            Prepared = kind is StatementKind.Prepare or StatementKind.Deallocate ? Prepared(kind, fields)
                : inner.Is("ExecuteStmt", out var execute) ? Prepared(StatementKind.Execute, execute) : null,
            Unsupported = Unsupported(kind, transaction, variable) ?? (holdsCode ? UndecodableName() : null),
        };
    }

    private static string? Unsupported(StatementKind kind, TransactionSummary? transaction, VariableSummary? variable) => kind switch
    {
        StatementKind.Transaction when transaction is null => "this form of a transaction statement",
        StatementKind.SetVariable when variable is null => "this form of SET",
        _ => null,
    };

    private static bool IsUtility(StatementKind kind) => kind is StatementKind.CreateTable or StatementKind.AlterTable or StatementKind.DropTable
        or StatementKind.CreateIndex or StatementKind.DropIndex or StatementKind.Truncate or StatementKind.Vacuum or StatementKind.Lock
        or StatementKind.OtherDdl;

    private bool IsReadOnly(StatementKind kind, TreeNode fields)
    {
        var onlyReads = !_draft.HasWrite && !_draft.HasRowLocking && !_draft.HasInto;
        return kind switch
        {
            StatementKind.Select or StatementKind.DeclareCursor => onlyReads,
            StatementKind.ShowVariable => true,
            StatementKind.Copy => onlyReads && !fields.Flag("is_from"),
            StatementKind.Explain => !Analyzes(fields) || (onlyReads && InnerIsQuery(fields)),
            _ => false,
        };
    }

    private static bool InnerIsQuery(TreeNode explain) => explain.Field("query") is { } query && query.Is("SelectStmt", out _);

    /// <summary>EXPLAIN ANALYZE runs its statement; an ANALYZE with any argument is taken to be on.</summary>
    private static bool Analyzes(TreeNode explain) =>
        explain.List("options").Any(o => o.Is("DefElem", out var option) && option.Text("defname") == "analyze");

    private int? CopyRelation(TreeNode copy) =>
        copy.Field("relation") is { } relation && _draft.RelationAt(relation.Location()) is >= 0 and var index ? index : null;

    private PreparedSummary Prepared(StatementKind kind, TreeNode fields)
    {
        ImmutableArray<KeySource?> arguments = kind == StatementKind.Execute ? [.. fields.List("params").Select(_constants.Read)] : [];
        return new PreparedSummary(fields.Text("name"), arguments, kind == StatementKind.Prepare ? QueryOffset() : -1);
    }

    /// <summary>PREPARE name [(types)] AS query.</summary>
    private int QueryOffset()
    {
        var i = 2;
        if (_tokens.IsSign(i, '('))
        {
            var depth = 0;
            do
            {
                depth += _tokens.IsSign(i, '(') ? 1 : _tokens.IsSign(i, ')') ? -1 : 0;
                i++;
            }
            while (depth > 0 && i < _tokens.Count);
        }

        return _tokens.IsWord(i, "as"u8) && i + 1 < _tokens.Count ? _tokens[i + 1].Start : -1;
    }

    private ImmutableArray<string> Identifiers() => [.. IdentifierCollector.Collect(_tokens.Statement)];

    /// <summary>A name written with Unicode escapes cannot be recognised in text that is not parsed.</summary>
    private string? UndecodableName() =>
        _tokens.Statement.IndexOf("U&\""u8) >= 0 || _tokens.Statement.IndexOf("u&\""u8) >= 0 ? "a Unicode-escaped name" : null;

    private long Fingerprint() => (long)NormalForm.Hash(Encoding.UTF8.GetBytes(_text));
}
