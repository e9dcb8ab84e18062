using System.Collections.Immutable;
using System.Globalization;
using System.Text;
using ShardProxy.DataPath.Routing;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Topology;
using ShardProxy.Sql;

namespace ShardProxy.DataPath.Execution;

/// <summary>
/// The SQL of a statement that each node answers for its own rows (<see cref="PartialQuery"/>): the part asked of a node, and the statement that makes the
/// whole of the parts. Columns of the parts are c1, c2, …: the keys, then the aggregates, an average as sum and count; or the result's columns, then what
/// else it is ordered by.
/// </summary>
internal sealed class PartialSql
{
    private const uint Int8 = 20, Float8 = 701, Numeric = 1700;

    private readonly RoutingTable _table;
    private readonly PlacedTable _root;
    private readonly RelationUse _rootUse;
    private readonly PartialQuery _query;
    private readonly GatherText _text;
    private readonly string _select;
    private readonly string _tail;
    private readonly string _from;
    private readonly string? _where;
    private readonly int _resultColumns;
    private readonly int[] _aggregateColumns;

    private PartialSql(
        RoutingTable table, PlacedTable root, RelationUse rootUse, StatementShape shape, GatherText text, Func<int, string?> parameter, int resultColumns)
    {
        (_table, _root, _rootUse, _query, _text, _resultColumns) = (table, root, rootUse, shape.Partial!, text, resultColumns);
        var from = _query.Where is { } where ? _query.Source with { Last = where.First - 2 } : _query.Source;
        _from = Part(from);
        _where = _query.Where is { } condition ? Part(condition) : null;
        var columns = new List<string>();
        _aggregateColumns = new int[_query.Aggregates.Length];
        switch (_query.Kind)
        {
            case PartialKind.Aggregates:
                columns.AddRange(_query.Keys.Select(Part));
                for (var i = 0; i < _aggregateColumns.Length; i++)
                {
                    _aggregateColumns[i] = columns.Count;
                    var (function, arguments) = (_query.Aggregates[i].Function, Part(_query.Aggregates[i].Arguments));
                    var filter = _query.Aggregates[i].Filter is { } f ? " " + Part(f) : "";
                    columns.AddRange(function == "avg" ? [$"pg_catalog.sum({arguments}\n){filter}", $"pg_catalog.count({arguments}\n){filter}"] : [$"pg_catalog.{function}({arguments}\n){filter}"]);
                }

                _tail = _query.Keys.Length > 0 ? " GROUP BY " + List(_query.Keys.Length, i => Number(i + 1)) : "";
                _select = "SELECT " + string.Join(", ", columns);
                Columns = columns.Count;
                break;
            case PartialKind.Distinct:
                _select = "SELECT DISTINCT " + string.Join(", ", _query.Keys.Select(Part));
                _tail = "";
                Columns = _query.Keys.Length;
                break;
            default:
                var hidden = _query.Order.Where(o => o.Output < 0).ToList();
                _select = $"SELECT {Part(_query.Targets)}{string.Concat(hidden.Select(o => ", " + Part(o.Expression)))}";
                Columns = resultColumns + hidden.Count;
                _tail = _query.Lock is { } rowLock ? Part(rowLock)
                    : $"{OrderBy(Number)} LIMIT ({Part(_query.Limit!.Value)}\n){(_query.Offset is { } offset ? $" + ({Part(offset)}\n)" : "")}";
                break;
        }

        string Part(TokenSpan span) => text.Part(span, parameter) ?? throw new NotSupportedException();
    }

    /// <summary>Number of columns of a part.</summary>
    public int Columns { get; }

    /// <summary>The names of a part's columns, for a table of them.</summary>
    public string ColumnNames => List(Columns, i => Column(i + 1));

    /// <summary>Null when a parameter cannot be written as a constant.</summary>
    /// <param name="table">The routing table.</param>
    /// <param name="shape">The statement; co-located.</param>
    /// <param name="placed">Per relation its table.</param>
    /// <param name="text">Its text.</param>
    /// <param name="parameter">The text of the parameter of that number, or null.</param>
    /// <param name="resultColumns">Columns of the statement's result.</param>
    public static PartialSql? TryMake(RoutingTable table, StatementShape shape, PlacedTable?[] placed, GatherText text, Func<int, string?> parameter, int resultColumns)
    {
        var root = Colocation.Root(shape, placed)!;
        try
        {
            return new PartialSql(table, placed[root.Index]!, root, shape, text, parameter, resultColumns);
        }
        catch (NotSupportedException)
        {
            return null;
        }
    }

    /// <summary>What a node is asked for. While a range of the group moves only of the rows it owns: others join with those alone.</summary>
    /// <param name="node">The node; null for the statement without regard to a node.</param>
    public string Select(Node? node)
    {
        var condition = _where;
        if (node is not null && _table.Moves.Any(m => m.GroupId == _root.GroupId))
        {
            var owned = Router.OwnedPredicate(_table, _root, node.Id, SqlIdentifier.Quote(_rootUse.Alias ?? _rootUse.Name));
            condition = condition is null ? owned : $"({condition}\n) AND ({owned})";
        }

        return $"{_select} {_from}\n{(condition is null ? "" : $"WHERE {condition}\n")}{_tail}";
    }

    /// <summary>The statement on a table of the parts; null when parts of these types are not combined.</summary>
    /// <param name="target">The table.</param>
    /// <param name="types">Types of the parts' columns.</param>
    public byte[]? Final(string target, uint[] types)
    {
        if (types.Length != Columns)
        {
            return null;
        }

        if (_query.Kind is PartialKind.Top or PartialKind.Locked)
        {
            var limits = _query.Lock is not null ? "" : $" LIMIT ({_text.Part(_query.Limit!.Value, null)}\n){(_query.Offset is { } offset ? $" OFFSET ({_text.Part(offset, null)}\n)" : "")}";
            return Encoding.UTF8.GetBytes($"SELECT {List(_resultColumns, i => Column(i + 1))} FROM {target}{OrderBy(Column)}{limits}");
        }

        var patches = new List<(TokenSpan Span, string Text)>();
        foreach (var patch in _query.Patches)
        {
            if (patch.Key >= 0)
            {
                patches.Add((patch.Span, Column(patch.Key + 1)));
            }
            else if (patch.Output >= 0)
            {
                patches.Add((patch.Span, Number(patch.Output + 1)));
            }
            else if (Combined(_query.Aggregates[patch.Aggregate].Function, _aggregateColumns[patch.Aggregate], types) is { } combined)
            {
                patches.Add((patch.Span, combined));
            }
            else
            {
                return null;
            }
        }

        var groups = _query.Kind == PartialKind.Aggregates && _query.Keys.Length > 0 ? " GROUP BY " + List(_query.Keys.Length, i => Column(i + 1)) : "";
        patches.Add((_query.Source with { Last = _query.GroupBy?.Last ?? _query.Source.Last }, $"FROM {target}{groups}"));
        return Encoding.UTF8.GetBytes(_text.Patched(patches));
    }

    // PostgreSQL's own avg of integers and numeric is that division, and of double precision that one (numeric_avg, float8_avg).
    private static string? Combined(string function, int column, uint[] types)
    {
        var (part, type) = (Column(column + 1), types[column]);
        return function switch
        {
            "count" => $"pg_catalog.sum({part})::pg_catalog.int8",
            "sum" => type == Int8 ? $"pg_catalog.sum({part})::pg_catalog.int8" : $"pg_catalog.sum({part})",
            "avg" when type is Int8 or Numeric => $"(pg_catalog.sum({part})::pg_catalog.numeric / NULLIF(pg_catalog.sum({Column(column + 2)}), 0))",
            "avg" when type is Float8 => $"(pg_catalog.sum({part}) / NULLIF(pg_catalog.sum({Column(column + 2)}), 0)::pg_catalog.float8)",
            "avg" => null,
            _ => $"pg_catalog.{function}({part})",
        };
    }

    private string OrderBy(Func<int, string> column)
    {
        var hidden = _resultColumns;
        var items = _query.Order.Select(o => column(o.Output >= 0 ? o.Output + 1 : ++hidden) + (o.Suffix is { } suffix ? " " + _text.Part(suffix, null) : "")).ToList();
        return items.Count > 0 ? " ORDER BY " + string.Join(", ", items) : "";
    }

    private static string List(int count, Func<int, string> item) => string.Join(", ", Enumerable.Range(0, count).Select(item));

    private static string Number(int number) => number.ToString(CultureInfo.InvariantCulture);

    private static string Column(int number) => "c" + Number(number);
}
