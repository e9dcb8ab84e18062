using System.Collections.Immutable;
using System.Globalization;
using System.Text;
using ShardProxy.DataPath.Routing;
using ShardProxy.DataPath.Sessions;
using ShardProxy.Model.Errors;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Topology;
using ShardProxy.Sql;

namespace ShardProxy.DataPath.Execution;

/// <summary>Rows that are gathered into one temporary table.</summary>
/// <param name="Target">The table.</param>
/// <param name="Nodes">The nodes whose rows are needed.</param>
/// <param name="Create">Makes the table; given true with all columns and keys of the real one.</param>
/// <param name="Select">What a node is asked for.</param>
/// <param name="Real">The real table whose columns it has; null when it has others.</param>
internal sealed record GatherSource(string Target, ImmutableArray<Node> Nodes, Func<bool, string> Create, Func<Node, string> Select, string? Real = null);

/// <summary>The SQL of one gathering: what each node is asked for, the tables it goes to, and the statement on those.</summary>
internal sealed class GatherSql
{
    /// <summary>Up to so many rows PostgreSQL plans well enough without statistics.</summary>
    public const int RowsWithoutStatistics = 1_000;

    /// <summary>Up to so many rows may be read as often as the statement likes.</summary>
    public const int RowsWithoutIndexes = 5_000;

    private readonly RoutingTable _table;
    private readonly StatementShape _shape;
    private readonly GatherText _text;
    private readonly PlacedTable?[] _placed;
    private readonly string _original;
    private readonly IReadOnlyList<int>? _onlyNodes;
    private PartialSql? _partial;
    private bool _asTables;

    public GatherSql(Session session, RoutePlan plan, RoutingTable table, StatementShape shape, ReadOnlyMemory<byte> sql)
    {
        _table = table;
        _shape = shape;
        _text = new GatherText(sql, shape);
        MayBePartial = plan.IsPartial;
        _onlyNodes = plan.OnlyNodes;
        _original = Encoding.UTF8.GetString(sql.Span);
        _placed = new PlacedTable?[shape.Relations.Length];
        foreach (var relation in shape.Relations)
        {
            RelationResolver.Resolve(table, relation.Schema, relation.Name, session.HasDefaultSearchPath, out _placed[relation.Index]);
        }
    }

    /// <summary>What is gathered; set by <see cref="Plan"/>.</summary>
    public ImmutableArray<GatherSource> Sources { get; private set; } = [];

    /// <summary>The statement on the gathered rows; set by <see cref="Plan"/>.</summary>
    public byte[] Final { get; private set; } = [];

    /// <summary>Each node may be able to answer for its own rows.</summary>
    public bool MayBePartial { get; }

    /// <summary>Each node answers for its own rows.</summary>
    public bool IsPartial => _partial is not null;

    /// <summary>The statement asks for the time of its transaction.</summary>
    public bool HasTime => TransactionTimeText.HasTime(_original) || HasOtherTime;

    /// <summary>It does so in a way that cannot be given another transaction's time.</summary>
    public bool HasOtherTime => TransactionTimeText.HasMovingLiteral(_original) || _shape.Functions.Any(f => f.Name == "age");

    /// <summary>
    /// A query for the statements that make the real tables' plain indexes on the temporary ones, as far as their columns are there; null where rows are looked
    /// at by one block only, or the tables have the indexes already.
    /// </summary>
    public string? FindIndexes => _asTables || _shape.Blocks.Length < 2 || Sources.All(s => s.Real is null) ? null : string.Join(
        " UNION ALL ",
        Sources.Where(s => s.Real is not null).Select(s => $"""
            SELECT 'CREATE INDEX ON {s.Target} (' || pg_catalog.string_agg(pg_catalog.quote_ident(c.attname), ', ' ORDER BY k.place) || ')'
            FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid JOIN pg_catalog.pg_am m ON m.oid = x.relam AND m.amname = 'btree',
                pg_catalog.unnest(i.indkey) WITH ORDINALITY AS k (number, place) LEFT JOIN pg_catalog.pg_attribute r ON r.attrelid = {SqlIdentifier.Literal(s.Real!)}::pg_catalog.regclass AND r.attnum = k.number
                LEFT JOIN pg_catalog.pg_attribute c ON c.attrelid = '{s.Target}'::pg_catalog.regclass AND c.attname = r.attname AND NOT c.attisdropped
            WHERE i.indrelid = {SqlIdentifier.Literal(s.Real!)}::pg_catalog.regclass AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL AND k.place <= i.indnkeyatts
            GROUP BY i.indexrelid HAVING pg_catalog.bool_and(c.attname IS NOT NULL)
            """));

    public string Analyze => string.Join("; ", Sources.Select(s => $"ANALYZE {s.Target}"));

    /// <summary>The nodes that take part: all that have rows of a sharded table that can matter, and the home node.</summary>
    public IEnumerable<Node> Nodes(bool inBlock)
    {
        var owners = _placed.OfType<PlacedTable>().Where(t => t.Placement == TablePlacement.Sharded).SelectMany(t => Owners(t)).Select(n => n.Id).ToHashSet();
        return _table.Nodes.Where(n => n.IsHome || owners.Contains(n.Id)).OrderByDescending(n => n.IsHome).ThenBy(n => n.Id);
    }

    /// <summary>Decides what is gathered. In a block the unsharded and the replicated tables too: only the transaction's own servers see its writes.</summary>
    /// <param name="inBlock">The statement runs in the client's block.</param>
    /// <param name="parameters">Its bound values, or null.</param>
    /// <param name="parameterTypes">Their types.</param>
    /// <param name="time">The moment the transaction began, where the statement asks for it on another server; else null.</param>
    public void Plan(bool inBlock, BoundParameters? parameters, uint[] parameterTypes, string? time)
    {
        if (_partial is not null)
        {
            return;
        }

        if (_shape.HasRowLocking)
        {
            // Gathered rows are copies: a lock on them keeps nobody from the real ones.
            throw new ShardProxyException(RoutingErrors.NoKey);
        }

        var sources = ImmutableArray.CreateBuilder<GatherSource>();
        var targets = new string?[_shape.Relations.Length];
        foreach (var use in _shape.Relations)
        {
            var table = _placed[use.Index];
            var isSharded = table is { Placement: TablePlacement.Sharded };
            if (isSharded || inBlock)
            {
                var target = targets[use.Index] = Target(sources.Count + 1);
                var filter = Filter(use, table, n => Parameter(parameters, parameterTypes, n));
                sources.Add(new GatherSource(
                    target,
                    isSharded ? Owners(table!) : [_table.HomeNode],
                    asTables => Create(target, use, table, asTables),
                    node => Select(use, table, filter, node),
                    Name(use)));
            }
        }

        Sources = sources.ToImmutable();
        var final = _text.WithTables(use => targets[use.Index]);
        Final = time is null ? final : Encoding.UTF8.GetBytes(TransactionTimeText.Replace(Encoding.UTF8.GetString(final), time));
    }

    /// <summary>Tries to let each node answer for its own rows: the part's text, to be described by a server; null when that is not possible.</summary>
    public string? TryPart(BoundParameters? parameters, uint[] parameterTypes, int resultColumns)
    {
        _partial = MayBePartial ? PartialSql.TryMake(_table, _shape, _placed, _text, n => Parameter(parameters, parameterTypes, n), resultColumns) : null;
        return _partial?.Select(null);
    }

    /// <summary>What the server said of the part: the types of its columns, or null when it refuses it. Parts that cannot be combined are not asked for.</summary>
    public void Combine(uint[]? types)
    {
        if (types is null || _partial!.Final(Target(1), types) is not { } final)
        {
            _partial = null;
            return;
        }

        var part = _partial;
        var root = _placed[Colocation.Root(_shape, _placed)!.Index]!;
        Final = final;
        Sources = [new GatherSource(Target(1), Owners(root), _ => $"CREATE TEMPORARY TABLE {Target(1)} ({part.ColumnNames}) ON COMMIT DROP AS {part.Select(null)} WITH NO DATA", part.Select)];
    }

    /// <summary>Makes the temporary tables, of the needed columns or with all columns and keys of the real ones.</summary>
    public string CreateTables(bool asTables)
    {
        _asTables = asTables;
        return string.Join("; ", Sources.Select(s => s.Create(asTables)));
    }

    /// <summary>What a node is asked for, to be copied.</summary>
    public static string CopyOut(GatherSource source, Node node) => $"COPY ({source.Select(node)}) TO STDOUT";

    /// <summary>Takes the rows of the node that the tables are on.</summary>
    public static string InsertOwn(GatherSource source, Node node, long maxRows) =>
        string.Create(CultureInfo.InvariantCulture, $"INSERT INTO {source.Target} {source.Select(node)} LIMIT {maxRows}");

    private static string Target(int number) => string.Create(CultureInfo.InvariantCulture, $"pg_temp.shardproxy_gather_{number}");

    private static string? Parameter(BoundParameters? parameters, uint[] types, int number) =>
        parameters is not null && number <= types.Length ? ParameterText.Constant(parameters, number - 1, types[number - 1]) : null;

    private ImmutableArray<Node> Owners(PlacedTable table) =>
        [.. _table.Group(table.GroupId).Ranges.Select(r => r.NodeId).Distinct().Where(n => _onlyNodes is null || _onlyNodes.Contains(n)).Order().Select(_table.Node)];

    private string Create(string target, RelationUse use, PlacedTable? table, bool asTables) => asTables
        ? $"CREATE TEMPORARY TABLE {target} (LIKE {Name(use)} INCLUDING INDEXES) ON COMMIT DROP"
        : $"CREATE TEMPORARY TABLE {target} ON COMMIT DROP AS SELECT {Columns(use, table)} FROM {From(use)} WITH NO DATA";

    private string Select(RelationUse use, PlacedTable? table, string? filter, Node node)
    {
        var conditions = new List<string>();
        if (table is { Placement: TablePlacement.Sharded } && _table.Moves.Any(m => m.GroupId == table.GroupId))
        {
            conditions.Add($"({Router.OwnedPredicate(_table, table, node.Id, Alias(use))})");
        }

        if (filter is not null)
        {
            conditions.Add(filter);
        }

        return $"SELECT {Columns(use, table)} FROM {From(use)}{(conditions.Count > 0 ? " WHERE " + string.Join(" AND ", conditions) : "")}";
    }

    private string? Filter(RelationUse use, PlacedTable? table, Func<int, string?> parameter)
    {
        // Which columns an unsharded table has is not known here: only conditions that name theirs in full are sure to be its own.
        var texts = _shape.Gather!.Filters
            .Where(f => f.Relation == use.Index && f.Unqualified.All(c => table is not null && table.ColumnIndex(c) >= 0))
            .Select(f => _text.Filter(f, parameter))
            .Where(t => t is not null)
            .Select(t => $"({t}\n)")
            .ToList();
        return texts.Count > 0 ? string.Join(" AND ", texts) : null;
    }

    // Those whose names the statement has; all where it can mean any, or where they are not known.
    private string Columns(RelationUse use, PlacedTable? table)
    {
        var alias = Alias(use);
        if (table is null)
        {
            return alias + ".*";
        }

        var named = table.Columns.Where(c => _asTables || _shape.Gather!.HasStar || _shape.Gather.Words.Contains(c.Name)).ToList();
        if (named.Count == 0)
        {
            named.Add(table.Columns[0]);
        }

        return string.Join(", ", named.Select(c => $"{alias}.{SqlIdentifier.Quote(c.Name)}"));
    }

    private static string From(RelationUse use) => $"{(use.IsOnly ? "ONLY " : "")}{Name(use)} AS {Alias(use)}";

    private static string Name(RelationUse use) => use.Schema is null ? SqlIdentifier.Quote(use.Name) : new QualifiedName(use.Schema, use.Name).ToString();

    private static string Alias(RelationUse use) => SqlIdentifier.Quote(use.Alias ?? use.Name);
}
