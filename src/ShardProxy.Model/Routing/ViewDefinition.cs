using System.Collections.Immutable;
using ShardProxy.Model.Topology;

namespace ShardProxy.Model.Routing;

/// <summary>A view over placed tables, which is read by putting its query in its place.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Sql">Its query as the server prints it, every name with its schema; without a semicolon.</param>
/// <param name="Readers">
/// Roles that may log in, and read both the view and every relation below it, sorted: for them it makes no difference that a view reads with its owner's rights.
/// </param>
public sealed record ViewDefinition(QualifiedName Name, string Sql, ImmutableArray<string> Readers)
{
    public bool Equals(ViewDefinition? other) => other is not null && Name == other.Name && Sql == other.Sql && Readers.SequenceEqual(other.Readers);

    public override int GetHashCode() => HashCode.Combine(Name, Sql, Readers.Length);
}
