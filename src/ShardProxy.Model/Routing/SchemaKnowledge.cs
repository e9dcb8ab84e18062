using System.Collections.Frozen;
using System.Collections.Immutable;
using ShardProxy.Model.Topology;

namespace ShardProxy.Model.Routing;

/// <summary>What the home node's catalogs say about views, functions and triggers, as far as statements over placed tables depend on it. Immutable.</summary>
public sealed class SchemaKnowledge
{
    public static readonly SchemaKnowledge Empty = new([], [], []);

    private readonly FrozenDictionary<QualifiedName, ViewDefinition> _views;
    private readonly FrozenSet<string> _pureFunctions;
    private readonly FrozenSet<QualifiedName> _opaqueTargets;
    private readonly FrozenSet<string> _opaqueTargetNames;
    private readonly FrozenSet<string> _referenceNames = [];

    public SchemaKnowledge(ImmutableArray<ViewDefinition> views, ImmutableArray<string> pureFunctions, ImmutableArray<QualifiedName> opaqueTargets)
    {
        Views = views;
        PureFunctions = pureFunctions;
        OpaqueTargets = opaqueTargets;
        _views = views.ToFrozenDictionary(v => v.Name);
        _pureFunctions = pureFunctions.ToFrozenSet(StringComparer.Ordinal);
        _opaqueTargets = opaqueTargets.ToFrozenSet();
        _opaqueTargetNames = opaqueTargets.Select(t => t.Name).ToFrozenSet(StringComparer.Ordinal);
    }

    /// <summary>Views over placed tables, sorted by name.</summary>
    public ImmutableArray<ViewDefinition> Views { get; }

    /// <summary>
    /// Unqualified names, sorted, whose every user function only computes: IMMUTABLE or STABLE, and its body names no relation, no clock and no setting.
    /// </summary>
    public ImmutableArray<string> PureFunctions { get; }

    /// <summary>Relations, sorted, whose writing runs code that names placed tables: triggers, rules, defaults, checks, policies.</summary>
    public ImmutableArray<QualifiedName> OpaqueTargets { get; }

    /// <summary>How nodes that number the user's types otherwise than the home node number them, by node id.</summary>
    public ImmutableArray<NodeTypes> Types { get; init; } = [];

    /// <summary>Foreign keys from or to placed tables, sorted by child and name.</summary>
    public ImmutableArray<ForeignKey> ForeignKeys
    {
        get;
        init
        {
            field = value;
            _referenceNames = value.SelectMany(k => new[] { k.Child.Name, k.Parent.Name }).ToFrozenSet(StringComparer.Ordinal);
        }
    }

    = [];

    /// <summary>A table of that unqualified name has a foreign key, or is referenced by one, as listed in <see cref="ForeignKeys"/>.</summary>
    public bool IsInForeignKey(string unqualifiedName) => _referenceNames.Contains(unqualifiedName);

    public ViewDefinition? FindView(QualifiedName name) => _views.GetValueOrDefault(name);

    public bool IsPureFunction(string name) => _pureFunctions.Contains(name);

    /// <param name="schema">Null when it cannot be told: then any schema's counts.</param>
    /// <param name="name">The relation's name.</param>
    public bool IsOpaqueTarget(string? schema, string name) =>
        _opaqueTargetNames.Contains(name) && (schema is null || _opaqueTargets.Contains(new QualifiedName(schema, name)));

    /// <summary>The same knowledge with other foreign keys.</summary>
    public SchemaKnowledge WithForeignKeys(IEnumerable<ForeignKey> keys) => new(Views, PureFunctions, OpaqueTargets)
    {
        Types = Types,
        ForeignKeys = [.. keys.Distinct().OrderBy(k => k.Child.ToString(), StringComparer.Ordinal).ThenBy(k => k.Name, StringComparer.Ordinal)],
    };

    public bool SameAs(SchemaKnowledge other)
    {
        ArgumentNullException.ThrowIfNull(other);
        return Views.SequenceEqual(other.Views) && PureFunctions.SequenceEqual(other.PureFunctions) && OpaqueTargets.SequenceEqual(other.OpaqueTargets)
            && Types.SequenceEqual(other.Types) && ForeignKeys.SequenceEqual(other.ForeignKeys);
    }
}
