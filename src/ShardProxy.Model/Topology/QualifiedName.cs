namespace ShardProxy.Model.Topology;

/// <summary>A schema-qualified name of a relation, both parts as PostgreSQL stores them (already case-folded).</summary>
public readonly record struct QualifiedName(string Schema, string Name)
{
    /// <summary>The name as it appears in SQL text, quoted where PostgreSQL would need it.</summary>
    public override string ToString() => $"{SqlIdentifier.Quote(Schema)}.{SqlIdentifier.Quote(Name)}";
}
