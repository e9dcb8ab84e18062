using System.Collections.Immutable;

namespace ShardProxy.Admin.Backend;

/// <summary>Migrations, queued, running and ended.</summary>
public interface IMigrationView
{
    /// <summary>Ordered by id; a bounded number of ended ones is kept.</summary>
    ImmutableArray<MigrationSnapshot> Migrations();
}
