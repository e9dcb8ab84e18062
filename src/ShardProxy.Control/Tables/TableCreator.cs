using System.Collections.Immutable;
using System.Globalization;
using System.Text;
using Npgsql;
using ShardProxy.Control.Nodes;
using ShardProxy.Model.Topology;

namespace ShardProxy.Control.Tables;

/// <summary>
/// Creates a table on a node from its definition on the home node. Sequences behind serial and identity columns become one per node,
/// interleaved, so that no two nodes hand out the same number.
/// </summary>
internal static class TableCreator
{
    /// <param name="connection">To the node; everything is done in one transaction.</param>
    /// <param name="nodeName">The node's name.</param>
    /// <param name="table">From the home node.</param>
    /// <param name="dependencies">What the table needs, from the home node.</param>
    /// <param name="isSharded">A replicated table keeps no sequence default: every node would compute another value for the same row.</param>
    /// <param name="interleave">Position of the node and number of nodes.</param>
    public static async Task CreateAsync(
        NpgsqlConnection connection, string nodeName, TableDefinition table, ImmutableArray<TableDependency> dependencies, bool isSharded, (int Index, int Count, long Start) interleave, CancellationToken cancellationToken)
    {
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);

        // The definitions come from a session whose search_path is the default; role settings of this one must not change their meaning.
        await connection.RunAsync("SET LOCAL client_min_messages = warning; SET LOCAL search_path = pg_catalog", cancellationToken);
        await DependencyCreator.CreateAsync(connection, nodeName, table.Name.ToString(), dependencies, cancellationToken);
        await connection.RunAsync("SET LOCAL search_path TO DEFAULT", cancellationToken);
        foreach (var sql in table.Tree.SelectMany(t => Statements(t, isSharded, interleave)).Concat(table.Tree.SelectMany(t => t.Settings)))
        {
            await connection.RunAsync(sql, cancellationToken);
        }

        await transaction.CommitAsync(cancellationToken);
    }

    /// <summary>
    /// Adds the foreign keys, which PostgreSQL checks for all rows that are there. Both tables' rows have to be. Waits for locks on the referenced tables no
    /// longer than ten seconds.
    /// </summary>
    public static async Task AddForeignKeysAsync(NpgsqlConnection connection, TableDefinition table, CancellationToken cancellationToken)
    {
        if (table.Tree.All(t => t.ForeignKeys.IsEmpty))
        {
            return;
        }

        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        await connection.RunAsync("SET LOCAL lock_timeout = '10s'", cancellationToken);
        foreach (var sql in table.Tree.SelectMany(t => t.ForeignKeys.Select(k => $"ALTER TABLE {t.Name} ADD CONSTRAINT {SqlIdentifier.Quote(k.Name)} {k.Sql}")))
        {
            await connection.RunAsync(sql, cancellationToken);
        }

        await transaction.CommitAsync(cancellationToken);
    }

    /// <summary>
    /// Gives the home node's own sequences their place in the interleaving: they go on with the number behind the other nodes' first ones, whatever
    /// they have drawn before, if anything.
    /// </summary>
    /// <param name="table">Its definition.</param>
    /// <param name="nodes">Number of nodes.</param>
    /// <param name="start">As in <see cref="CreateAsync"/>: not below any number drawn so far.</param>
    public static IEnumerable<string> HomeSequenceStatements(TableDefinition table, int nodes, long start)
    {
        foreach (var (part, column) in SequenceColumns(table))
        {
            yield return SequenceStatement(part, column, nodes, start + nodes);
        }
    }

    // A partition's column mostly draws from its parent's sequence: each sequence once.
    private static IEnumerable<(QualifiedName Table, ColumnDefinition Column)> SequenceColumns(TableDefinition table) => table.Tree
        .SelectMany(t => t.Columns.Where(HasSequence).Select(c => (t.Name, Column: c)))
        .DistinctBy(c => c.Column.OwnedSequence ?? $"{c.Name} {c.Column.Name}");

    /// <summary>
    /// The number behind which the numbers of a table's columns go on. From here to the end of the transaction nobody draws: proxies do so for statements that wait, and what
    /// they draw must lie below.
    /// </summary>
    /// <param name="home">In a transaction on the home node.</param>
    /// <param name="table">Its definition.</param>
    /// <param name="nodes">Over how many nodes numbers will be interleaved; with one only for a look.</param>
    /// <param name="cancellationToken">Ends the call.</param>
    public static async Task<long> TakeSequencesAsync(NpgsqlConnection home, TableDefinition table, int nodes, CancellationToken cancellationToken)
    {
        long highest = 0;
        foreach (var (part, column) in SequenceColumns(table))
        {
            if (nodes > 1)
            {
                await home.RunAsync(SequenceStatement(part, column, nodes), cancellationToken);
            }

            highest = Math.Max(highest, await HighestNumberAsync(home, part, column, cancellationToken));
        }

        return highest;
    }

    /// <summary>The number before the one that the sequence behind a column gives next, drawn or not: who restarted it wanted it there. 0 where there is none.</summary>
    public static async Task<long> HighestNumberAsync(NpgsqlConnection connection, QualifiedName table, ColumnDefinition column, CancellationToken cancellationToken) =>
        await connection.ScalarAsync<string>("SELECT pg_catalog.pg_get_serial_sequence($1, $2)", cancellationToken, table.ToString(), column.Name) is { } sequence
            ? await connection.ScalarAsync<long>($"SELECT CASE WHEN is_called THEN last_value ELSE last_value - 1 END FROM {sequence}", cancellationToken)
            : 0;

    /// <summary>Has the sequence behind a column count otherwise, from a number on if one is given. Nobody else draws from it until the transaction ends.</summary>
    public static string SequenceStatement(QualifiedName table, ColumnDefinition column, int increment, long? next = null)
    {
        var counting = string.Create(CultureInfo.InvariantCulture, $"INCREMENT BY {increment}");
        var place = next is { } number ? string.Create(CultureInfo.InvariantCulture, $" RESTART WITH {number}") : "";
        return column.OwnedSequence is { } sequence
            ? $"ALTER SEQUENCE {sequence} {counting}{place}"
            : $"ALTER TABLE {table} ALTER COLUMN {SqlIdentifier.Quote(column.Name)} SET {counting}{place}";
    }

    /// <summary>True when the column draws from a sequence.</summary>
    public static bool HasSequence(ColumnDefinition column) => column.OwnedSequence is not null || column.Identity is 'a' or 'd';

    private static IEnumerable<string> Statements(TableDefinition table, bool isSharded, (int Index, int Count, long Start) interleave)
    {
        var options = $"INCREMENT BY {interleave.Count} START WITH {interleave.Start + interleave.Index}";
        foreach (var column in table.Columns.Where(c => c.OwnedSequence is not null && isSharded))
        {
            yield return $"CREATE SEQUENCE IF NOT EXISTS {column.OwnedSequence} {options}";
        }

        var columns = table.Columns.Select(c => ColumnSql(c, isSharded, options));
        var storage = table.Options is { } parameters ? $" WITH ({parameters})" : "";
        var partitions = table.PartitionKeySql is { } key ? $" PARTITION BY {key}" : "";
        yield return $"CREATE TABLE {table.Name} ({string.Join(", ", columns)}){partitions}{storage}";
        foreach (var constraint in table.Constraints)
        {
            yield return $"ALTER TABLE {table.Name} ADD CONSTRAINT {SqlIdentifier.Quote(constraint.Name)} {constraint.Sql}";
        }

        foreach (var index in table.Indexes)
        {
            yield return index.Sql;
        }

        // Its constraints and indexes, made before, are those of the parent's that they are like.
        if (table.Parent is { } parent)
        {
            yield return $"ALTER TABLE {parent} ATTACH PARTITION {table.Name} {table.BoundSql}";
        }

        foreach (var trigger in table.Triggers)
        {
            yield return trigger.Sql;
        }

        yield return $"ALTER TABLE {table.Name} OWNER TO {table.OwnerSql}";
        foreach (var column in table.Columns.Where(c => c.OwnedSequence is not null && isSharded && table.Parent is null))
        {
            yield return $"ALTER SEQUENCE {column.OwnedSequence} OWNER TO {table.OwnerSql}";
            yield return $"ALTER SEQUENCE {column.OwnedSequence} OWNED BY {table.Name}.{SqlIdentifier.Quote(column.Name)}";
        }

        foreach (var grant in table.Grants)
        {
            yield return grant;
        }
    }

    private static string ColumnSql(ColumnDefinition column, bool isSharded, string sequenceOptions)
    {
        var sql = new StringBuilder().Append(SqlIdentifier.Quote(column.Name)).Append(' ').Append(column.TypeSql);
        if (column.CollationSql is { } collation)
        {
            sql.Append(" COLLATE ").Append(collation);
        }

        if (column.IsGenerated)
        {
            sql.Append($" GENERATED ALWAYS AS ({column.DefaultSql}) STORED");
        }
        else if (column.Identity is 'a' or 'd')
        {
            sql.Append(isSharded ? $" GENERATED {(column.Identity == 'a' ? "ALWAYS" : "BY DEFAULT")} AS IDENTITY ({sequenceOptions})" : "");
        }
        else if (column.DefaultSql is { } expression && (isSharded || column.OwnedSequence is null))
        {
            sql.Append(" DEFAULT ").Append(expression);
        }

        return sql.Append(column.IsNotNull ? " NOT NULL" : "").ToString();
    }
}
