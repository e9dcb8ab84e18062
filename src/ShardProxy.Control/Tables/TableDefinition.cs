using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Text.RegularExpressions;
using ShardProxy.Model.Topology;

namespace ShardProxy.Control.Tables;

/// <summary>
/// A column as pg_catalog describes it, with everything needed to create it elsewhere. <paramref name="IsByteOrdered"/>: its type has no collation, or one that
/// orders by the bytes of UTF-8.
/// </summary>
internal sealed partial record ColumnDefinition(
    int Number, string Name, uint TypeOid, int TypeModifier, string TypeSql, string? CollationSql, bool HasBuiltInDeterministicCollation, bool IsNotNull,
    string? DefaultSql, char Identity, bool IsGenerated, string? OwnedSequence, string? SequenceName, bool IsByteOrdered)
{
    private const int MaxConstantLength = 1000;

    public TableColumn ToColumn() => new(Name, TypeOid, TypeModifier, IsNotNull, IsGenerated) { Default = ToDefault() };

    private ColumnDefault? ToDefault()
    {
        if (Identity is 'a' or 'd')
        {
            return new ColumnDefault(ColumnDefaultKind.Sequence, SequenceName!, Identity);
        }

        return IsGenerated || DefaultSql is null ? null
            : SequenceName is not null && Draw().IsMatch(DefaultSql) ? new ColumnDefault(ColumnDefaultKind.Sequence, SequenceName)
            : DefaultSql == "gen_random_uuid()" ? new ColumnDefault(ColumnDefaultKind.RandomUuid, "")
            : DefaultSql.Length <= MaxConstantLength && Constant().IsMatch(DefaultSql) ? new ColumnDefault(ColumnDefaultKind.Constant, DefaultSql)
            : DefaultSql.Length <= MaxConstantLength && IsMoment(DefaultSql) ? new ColumnDefault(ColumnDefaultKind.Moment, DefaultSql)
            : new ColumnDefault(ColumnDefaultKind.Expression, "");
    }

    // Every word outside strings is the transaction's time, or what PostgreSQL itself computes from it alike on every node.
    private static bool IsMoment(string sql)
    {
        var bare = Quoted().Replace(sql, "''");
        return Time().IsMatch(bare) && Word().Matches(bare).All(w => MomentWords.Contains(w.Value)) && !Quoted().Matches(sql).Any(q => Present().IsMatch(q.Value));
    }

    private static readonly FrozenSet<string> MomentWords = new[]
    {
        "now", "transaction_timestamp", "current_timestamp", "current_date", "current_time", "localtimestamp", "localtime", "timezone", "at", "time", "zone", "with", "without",
        "timestamp", "date", "interval", "text", "character", "varying", "integer", "bigint", "numeric", "double", "precision", "date_trunc", "date_part", "extract", "epoch",
        "from", "to_char", "make_interval", "year", "month", "day", "hour", "minute", "second",
    }.ToFrozenSet(StringComparer.OrdinalIgnoreCase);

    // As pg_get_expr writes them.
    [GeneratedRegex(@"^nextval\('([^']|'')+'::regclass\)$", RegexOptions.CultureInvariant)]
    private static partial Regex Draw();

    [GeneratedRegex("'(?:[^']|'')*'", RegexOptions.CultureInvariant)]
    private static partial Regex Quoted();

    [GeneratedRegex(@"[A-Za-z_""][A-Za-z_0-9$""]*", RegexOptions.CultureInvariant)]
    private static partial Regex Word();

    [GeneratedRegex(@"\b(now|transaction_timestamp|current_timestamp|current_date|current_time|localtimestamp|localtime)\b", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex Time();

    [GeneratedRegex(@"\b(now|today|tomorrow|yesterday|allballs)\b", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex Present();

    [GeneratedRegex(@"^('([^'\\]|'')*'|\d+)(::(smallint|integer|bigint|text|uuid|character varying))?$", RegexOptions.CultureInvariant)]
    private static partial Regex Constant();
}

/// <summary>A constraint, index or trigger: its name and the SQL that pg_catalog reconstructs.</summary>
internal sealed record NamedDefinition(string Name, string Sql);

/// <summary>A unique or exclusion index with the numbers of the columns whose equality it rests on; 0 stands for an expression or another operator.</summary>
internal sealed record UniqueIndex(string Name, ImmutableArray<int> Columns);

/// <summary>A table on the home node, as far as it can be carried to another node.</summary>
internal sealed record TableDefinition
{
    public required QualifiedName Name { get; init; }

    /// <summary>pg_class.relkind.</summary>
    public required char Kind { get; init; }

    /// <summary>The partitioned table that this one is a partition of.</summary>
    public QualifiedName? Parent { get; init; }

    /// <summary>What follows PARTITION BY; null for a table with rows of its own.</summary>
    public string? PartitionKeySql { get; init; }

    /// <summary>FOR VALUES … or DEFAULT, of a partition.</summary>
    public string? BoundSql { get; init; }

    /// <summary>All partitions below a partitioned table, parents before their partitions.</summary>
    public ImmutableArray<TableDefinition> Partitions { get; init; } = [];

    /// <summary>pg_class.relpersistence.</summary>
    public required char Persistence { get; init; }

    public required bool Inherits { get; init; }

    public required bool HasRowSecurity { get; init; }

    public required bool HasRules { get; init; }

    public required string OwnerSql { get; init; }

    /// <summary>Storage parameters such as <c>fillfactor=70</c>, or null.</summary>
    public required string? Options { get; init; }

    public ImmutableArray<ColumnDefinition> Columns { get; init; } = [];

    /// <summary>CHECK, PRIMARY KEY, UNIQUE and EXCLUDE constraints.</summary>
    public ImmutableArray<NamedDefinition> Constraints { get; init; } = [];

    /// <summary>FOREIGN KEY constraints of this table.</summary>
    public ImmutableArray<NamedDefinition> ForeignKeys { get; init; } = [];

    /// <summary>Foreign keys from and to this table.</summary>
    public ImmutableArray<ForeignKey> References { get; init; } = [];

    /// <summary>CREATE INDEX statements of indexes behind no constraint.</summary>
    public ImmutableArray<NamedDefinition> Indexes { get; init; } = [];

    public ImmutableArray<UniqueIndex> UniqueIndexes { get; init; } = [];

    /// <summary>CREATE TRIGGER statements.</summary>
    public ImmutableArray<NamedDefinition> Triggers { get; init; } = [];

    /// <summary>GRANT statements.</summary>
    public ImmutableArray<string> Grants { get; init; } = [];

    /// <summary>
    /// Statements for what has no place in CREATE TABLE: how columns are stored, extended statistics, replica identity, triggers that do not fire as new ones do,
    /// rights on columns. For when indexes and triggers are there.
    /// </summary>
    public ImmutableArray<string> Settings { get; init; } = [];

    /// <summary>This one and all its partitions, parents first.</summary>
    public IEnumerable<TableDefinition> Tree => Partitions.Prepend(this);

    /// <summary>Foreign keys from and to it and its partitions, each once.</summary>
    public IEnumerable<ForeignKey> AllReferences => Tree.SelectMany(t => t.References).Distinct();

    /// <summary>The same with columns of these names NOT NULL, in its partitions too.</summary>
    public TableDefinition WithNotNull(ImmutableArray<string> names) => this with
    {
        Columns = [.. Columns.Select(c => c with { IsNotNull = c.IsNotNull || names.Contains(c.Name) })],
        Partitions = [.. Partitions.Select(p => p.WithNotNull(names))],
    };

    /// <summary>How its partitions are placed: as the table itself, by the columns of the same names.</summary>
    public IEnumerable<PlacedTable> PlacedPartitions(PlacedTable placed)
    {
        var key = placed.KeyColumns.Select(i => placed.Columns[i].Name).ToList();
        return Partitions.Select(p => placed with
        {
            Name = p.Name,
            Parent = p.Parent,
            IsPartitioned = p.PartitionKeySql is not null,
            Columns = [.. p.Columns.Select(c => c.ToColumn() with { IsNotNull = c.IsNotNull || key.Contains(c.Name) })],
            KeyColumns = [.. key.Select(k => p.Columns.IndexOf(p.Columns.First(c => c.Name == k)))],
        });
    }
}
