using System.Collections.Immutable;
using ShardProxy.Sql.Parsing;

namespace ShardProxy.Sql.Shapes;

/// <summary>What the walkers have found so far in one statement.</summary>
internal sealed class ShapeDraft
{
    /// <summary>
    /// Most pins and most equalities kept. Leaving some out is safe: less is known then. It bounds what one statement, and a
    /// cached shape, can make the proxy hold.
    /// </summary>
    private const int MaxFacts = 4_096;

    private readonly List<RelationUse> _relations = [];
    private readonly List<List<ColumnPin>> _pins = [];
    private readonly List<List<ColumnBound>> _bounds = [];
    private readonly List<List<int>> _blocks = [];
    private readonly Dictionary<int, int> _relationsByLocation = [];
    private int _pinCount;
    private readonly HashSet<ColumnEquality> _equalities = [];
    private readonly HashSet<FunctionUse> _functions = [];

    private readonly List<int> _locations = [];

    /// <summary>Conditions that concern one relation alone, with the columns they name without a qualifier.</summary>
    public List<(int Relation, TreeNode Node, ImmutableArray<string> Unqualified)> Filters { get; } = [];

    public bool HasRowLocking { get; set; }

    public bool HasModifyingCte { get; set; }

    public bool HasCurrentOf { get; set; }

    public bool HasInto { get; set; }

    /// <summary>A statement that writes was met, at the top or inside.</summary>
    public bool HasWrite { get; set; }

    public int RelationCount => _relations.Count;

    public ImmutableArray<ImmutableArray<int>> Blocks => [.. _blocks.Select(b => b.ToImmutableArray())];

    public ImmutableArray<ColumnEquality> Equalities => [.. _equalities];

    public ImmutableArray<FunctionUse> Functions => [.. _functions];

    public ImmutableArray<RelationUse> Relations => [.. _relations.Select((r, i) => r with { Pins = [.. _pins[i]], Bounds = [.. _bounds[i]] })];

    public RelationUse this[int relation] => _relations[relation];

    public int NewBlock()
    {
        _blocks.Add([]);
        return _blocks.Count - 1;
    }

    /// <summary>Lists a RangeVar's fields as a relation of a block; its index.</summary>
    public int AddRelation(TreeNode rangeVar, RelationRole role, int block)
    {
        var alias = rangeVar.Field("alias");
        var index = Add(
            rangeVar.Text("schemaname"), rangeVar.Text("relname") ?? "", alias?.Text("aliasname"), role, block,
            isOnly: !rangeVar.Flag("inh"), hasColumnAliases: alias?.ListLength("colnames") > 0);
        _relationsByLocation.TryAdd(rangeVar.Location(), index);
        _locations[index] = rangeVar.Location();
        return index;
    }

    /// <summary>Lists a relation known by name only, in a block of its own.</summary>
    public int AddRelation(string? schema, string name, RelationRole role) => Add(schema, name, null, role, NewBlock(), false, false);

    public void MarkNullable(int relation) => _relations[relation] = _relations[relation] with { IsNullable = true };

    public void MarkTableSample(int relation) => _relations[relation] = _relations[relation] with { HasTableSample = true };

    /// <summary>Makes a relation's columns reachable by unqualified names of its block.</summary>
    public void Expose(int block, IEnumerable<int> relations) => _blocks[block].AddRange(relations);

    public void AddPin(int relation, ColumnPin pin)
    {
        if (_pinCount++ < MaxFacts)
        {
            _pins[relation].Add(pin);
        }
    }

    public void AddBound(int relation, ColumnBound bound)
    {
        if (_pinCount++ < MaxFacts)
        {
            _bounds[relation].Add(bound);
        }
    }

    public void AddEquality(int from, string fromColumn, int to, string toColumn)
    {
        if (from != to && _equalities.Count < MaxFacts)
        {
            _equalities.Add(new ColumnEquality(from, fromColumn, to, toColumn));
        }
    }

    public void AddFunction(string? schema, string name) => _functions.Add(new FunctionUse(schema, name));

    public void AddFilter(int relation, TreeNode node, ImmutableArray<string> unqualified)
    {
        if (Filters.Count < MaxFacts)
        {
            Filters.Add((relation, node, unqualified));
        }
    }

    /// <summary>The byte at which a relation's name stands, or -1.</summary>
    public int LocationOf(int relation) => _locations[relation];

    /// <summary>The relation whose name stands at that byte, or -1.</summary>
    public int RelationAt(int location) => location >= 0 && _relationsByLocation.TryGetValue(location, out var index) ? index : -1;

    private int Add(string? schema, string name, string? alias, RelationRole role, int block, bool isOnly, bool hasColumnAliases)
    {
        _relations.Add(new RelationUse(_relations.Count, schema, name, alias, role, block, [], isOnly, false, hasColumnAliases));
        _pins.Add([]);
        _bounds.Add([]);
        _locations.Add(-1);
        return _relations.Count - 1;
    }
}
