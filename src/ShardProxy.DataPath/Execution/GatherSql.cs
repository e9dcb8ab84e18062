using System.Collections.Immutable;
using System.Globalization;
using System.Text;
using ShardProxy.DataPath.Routing;
using ShardProxy.DataPath.Sessions;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Topology;
using ShardProxy.Sql;

namespace ShardProxy.DataPath.Execution;

/// <summary>One mention of a relation whose rows are gathered.</summary>
/// <param name="Use">The mention.</param>
/// <param name="Table">Its table; null for an unsharded one.</param>
/// <param name="Nodes">The nodes whose rows are needed.</param>
/// <param name="Target">The temporary table they go to.</param>
/// <param name="Filter">Conditions a row must meet, as SQL text; null for none.</param>
internal sealed record GatherSource(RelationUse Use, PlacedTable? Table, ImmutableArray<Node> Nodes, string Target, string? Filter);

/// <summary>The SQL of one gathering: what each node is asked for, the tables it goes to, and the statement on those.</summary>
internal sealed class GatherSql
{
    /// <summary>Up to so many rows PostgreSQL plans well enough without statistics.</summary>
    public const int RowsWithoutStatistics = 1_000;

    private readonly RoutingTable _table;
    private readonly StatementShape _shape;
    private readonly GatherText _text;
    private readonly PlacedTable?[] _placed;
    private readonly string _original;
    private bool _asTables;

    public GatherSql(Session session, RoutePlan plan, RoutingTable table, StatementShape shape, ReadOnlyMemory<byte> sql)
    {
        _table = table;
        _shape = shape;
        _text = new GatherText(sql, shape);
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

    /// <summary>The statement asks for the time of its transaction.</summary>
    public bool HasTime => TransactionTimeText.HasTime(_original) || HasOtherTime;

    /// <summary>It does so in a way that cannot be given another transaction's time.</summary>
    public bool HasOtherTime => TransactionTimeText.HasMovingLiteral(_original) || _shape.Functions.Any(f => f.Name == "age");

    public string Analyze => string.Join("; ", Sources.Select(s => $"ANALYZE {s.Target}"));

    /// <summary>The nodes that take part: all that have rows of a sharded table, and the home node.</summary>
    public IEnumerable<Node> Nodes(bool inBlock)
    {
        var owners = _placed.OfType<PlacedTable>().Where(t => t.Placement == TablePlacement.Sharded).SelectMany(t => _table.Group(t.GroupId).Ranges.Select(r => r.NodeId)).ToHashSet();
        return _table.Nodes.Where(n => n.IsHome || owners.Contains(n.Id)).OrderByDescending(n => n.IsHome).ThenBy(n => n.Id);
    }

    /// <summary>Decides what is gathered. In a block the unsharded and the replicated tables too: only the transaction's own servers see its writes.</summary>
    /// <param name="inBlock">The statement runs in the client's block.</param>
    /// <param name="parameters">Its bound values, or null.</param>
    /// <param name="parameterTypes">Their types.</param>
    /// <param name="time">The moment the transaction began, where the statement asks for it on another server; else null.</param>
    public void Plan(bool inBlock, BoundParameters? parameters, uint[] parameterTypes, string? time)
    {
        var sources = ImmutableArray.CreateBuilder<GatherSource>();
        foreach (var use in _shape.Relations)
        {
            var table = _placed[use.Index];
            var isSharded = table is { Placement: TablePlacement.Sharded };
            if (isSharded || inBlock)
            {
                ImmutableArray<Node> nodes = isSharded
                    ? [.. _table.Group(table!.GroupId).Ranges.Select(r => r.NodeId).Distinct().Order().Select(_table.Node)]
                    : [_table.HomeNode];
                var target = string.Create(CultureInfo.InvariantCulture, $"pg_temp.shardproxy_gather_{sources.Count + 1}");
                sources.Add(new GatherSource(use, table, nodes, target, Filter(use, table, parameters, parameterTypes)));
            }
        }

        Sources = sources.ToImmutable();
        var final = _text.WithTables(use => Sources.FirstOrDefault(s => s.Use.Index == use.Index)?.Target);
        Final = time is null ? final : Encoding.UTF8.GetBytes(TransactionTimeText.Replace(Encoding.UTF8.GetString(final), time));
    }

    /// <summary>Makes the temporary tables, of the needed columns or with all columns and keys of the real ones.</summary>
    public string CreateTables(bool asTables)
    {
        _asTables = asTables;
        return string.Join("; ", Sources.Select(s => asTables
            ? $"CREATE TEMPORARY TABLE {s.Target} (LIKE {Name(s.Use)} INCLUDING INDEXES) ON COMMIT DROP"
            : $"CREATE TEMPORARY TABLE {s.Target} ON COMMIT DROP AS SELECT {Columns(s)} FROM {From(s)} WITH NO DATA"));
    }

    /// <summary>What a node is asked for, to be copied.</summary>
    public string CopyOut(GatherSource source, Node node) => $"COPY ({Select(source, node)}) TO STDOUT";

    /// <summary>Takes the rows of the node that the tables are on.</summary>
    public string InsertOwn(GatherSource source, Node node, long maxRows) =>
        string.Create(CultureInfo.InvariantCulture, $"INSERT INTO {source.Target} {Select(source, node)} LIMIT {maxRows}");

    private string Select(GatherSource source, Node node)
    {
        var alias = Alias(source.Use);
        var conditions = new List<string>();
        if (source.Table is { Placement: TablePlacement.Sharded } table && _table.Moves.Any(m => m.GroupId == table.GroupId))
        {
            conditions.Add($"({Router.OwnedPredicate(_table, table, node.Id, alias)})");
        }

        if (source.Filter is { } filter)
        {
            conditions.Add(filter);
        }

        return $"SELECT {Columns(source)} FROM {From(source)}{(conditions.Count > 0 ? " WHERE " + string.Join(" AND ", conditions) : "")}";
    }

    private string? Filter(RelationUse use, PlacedTable? table, BoundParameters? parameters, uint[] types)
    {
        // Which columns an unsharded table has is not known here: only conditions that name theirs in full are sure to be its own.
        var texts = _shape.Gather!.Filters
            .Where(f => f.Relation == use.Index && f.Unqualified.All(c => table is not null && table.ColumnIndex(c) >= 0))
            .Select(f => _text.Filter(f, n => parameters is not null && n <= types.Length ? ParameterText.Constant(parameters, n - 1, types[n - 1]) : null))
            .Where(t => t is not null)
            .Select(t => $"({t}\n)")
            .ToList();
        return texts.Count > 0 ? string.Join(" AND ", texts) : null;
    }

    // Those whose names the statement has; all where it can mean any, or where they are not known.
    private string Columns(GatherSource source)
    {
        var alias = Alias(source.Use);
        if (source.Table is not { } table)
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

    private static string From(GatherSource source) => $"{(source.Use.IsOnly ? "ONLY " : "")}{Name(source.Use)} AS {Alias(source.Use)}";

    private static string Name(RelationUse use) => use.Schema is null ? SqlIdentifier.Quote(use.Name) : new QualifiedName(use.Schema, use.Name).ToString();

    private static string Alias(RelationUse use) => SqlIdentifier.Quote(use.Alias ?? use.Name);
}
