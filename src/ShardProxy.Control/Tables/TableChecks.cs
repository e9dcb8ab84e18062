using System.Collections.Immutable;
using Npgsql;
using ShardProxy.Catalog;
using ShardProxy.Control.Nodes;
using ShardProxy.Model.Errors;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Topology;

namespace ShardProxy.Control.Tables;

/// <summary>What SHARD TABLE and REPLICATE TABLE refuse, each with the way out.</summary>
internal static class TableChecks
{
    /// <summary>Refusals that hold for both statements.</summary>
    public static void Distributable(TableDefinition table)
    {
        Refuse(table.Parent is not null, () => ControlErrors.IsPartition(table.Name.ToString(), table.Parent!.Value.ToString()));
        foreach (var part in table.Tree)
        {
            DistributableAlone(part);
        }
    }

    private static void DistributableAlone(TableDefinition table)
    {
        var name = table.Name.ToString();
        Refuse(table.Inherits, () => ControlErrors.Inherits(name));
        Refuse(table.Kind is not ('r' or 'p'), () => ControlErrors.NotATable(name, table.Kind switch
        {
            'v' => "a view",
            'm' => "a materialised view",
            'f' => "a foreign table",
            'S' => "a sequence",
            _ => "no ordinary table",
        }));
        Refuse(table.Persistence != 'p', () => ControlErrors.UnsupportedTableFeature(
            name, table.Persistence == 'u' ? "is unlogged, so its changes cannot be followed" : "is temporary", "Use an ordinary table: ALTER TABLE … SET LOGGED."));
        Refuse(table.HasRowSecurity, () => ControlErrors.UnsupportedTableFeature(name, "has row security, whose policies are not carried to other nodes", "Disable it first."));
        Refuse(table.HasRules, () => ControlErrors.UnsupportedTableFeature(name, "has rewrite rules", "Drop them first."));
        Refuse(table.Columns.IsEmpty, () => ControlErrors.UnsupportedTableFeature(name, "has no columns", "Add some."));
    }

    /// <summary>Refuses foreign keys that could not be kept once the table is placed as <paramref name="state"/> has it. Those that will wait, with what they wait for.</summary>
    public static ImmutableArray<ShardProxyError> ForeignKeys(TableDefinition table, CatalogState state)
    {
        var waiting = ImmutableArray.CreateBuilder<ShardProxyError>();
        foreach (var key in table.AllReferences)
        {
            var verdict = ForeignKeyRule.Judge(key, state.FindTable(key.Child), state.FindTable(key.Parent), out var error);
            Refuse(verdict == ForeignKeyVerdict.Refused, () => error!);

            // What a partition has of its table's keys waits with them.
            if (verdict == ForeignKeyVerdict.Waits && state.FindTable(key.Parent)?.Parent is null)
            {
                waiting.Add(error!);
            }
        }

        return waiting.ToImmutable();
    }

    /// <summary>The key's columns and types.</summary>
    public static (ImmutableArray<ColumnDefinition> Columns, ImmutableArray<KeyType> Types) Key(TableDefinition table, ImmutableArray<string> names, ShardingMethod method)
    {
        var columns = names.Select(n => table.Columns.FirstOrDefault(c => c.Name == n)
            ?? throw new ShardProxyException(ControlErrors.ColumnUnknown(table.Name.ToString(), n))).ToImmutableArray();
        var types = columns.Select(c => KeyTypes.FromOid(c.TypeOid) is { } type && c.HasBuiltInDeterministicCollation && (method == ShardingMethod.Range || KeyTypes.CanHash(type))
            ? type
            : throw new ShardProxyException(method == ShardingMethod.Range
                ? ControlErrors.RangeKeyTypeUnsupported(c.Name, c.TypeSql)
                : ControlErrors.KeyTypeUnsupported(c.Name, c.TypeSql))).ToImmutableArray();
        if (method == ShardingMethod.Range && columns.FirstOrDefault(c => !c.IsByteOrdered) is { } other)
        {
            throw new ShardProxyException(ControlErrors.RangeKeyOrder(other.Name));
        }

        var numbers = columns.Select(c => c.Number).ToHashSet();
        Refuse(numbers.Count != columns.Length, () => ControlErrors.UnsupportedTableFeature(table.Name.ToString(), "has a column named twice in its shard key", "Name each once."));
        foreach (var part in table.Tree)
        {
            var inPart = part.Columns.Where(c => names.Contains(c.Name)).Select(c => c.Number).ToHashSet();
            foreach (var index in part.UniqueIndexes)
            {
                Refuse(!inPart.IsSubsetOf(index.Columns), () => ControlErrors.UniqueWithoutKey(part.Name.ToString(), index.Name));
            }
        }

        return (columns, types);
    }

    /// <summary>Refuses NULLs in the key. True for the columns that still need NOT NULL.</summary>
    public static async Task<ImmutableArray<ColumnDefinition>> NullableAsync(
        NpgsqlConnection home, TableDefinition table, ImmutableArray<ColumnDefinition> key, CancellationToken cancellationToken)
    {
        var nullable = key.Where(c => !c.IsNotNull).ToImmutableArray();
        foreach (var column in nullable)
        {
            var hasNulls = await home.ScalarAsync<bool>($"SELECT EXISTS (SELECT FROM {table.Name} WHERE {SqlIdentifier.Quote(column.Name)} IS NULL)", cancellationToken);
            Refuse(hasNulls, () => ControlErrors.KeyHasNulls(table.Name.ToString(), column.Name));
        }

        return nullable;
    }

    private static void Refuse(bool isRefused, Func<ShardProxyError> error)
    {
        if (isRefused)
        {
            throw new ShardProxyException(error());
        }
    }
}
