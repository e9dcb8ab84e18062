using System.Collections.Immutable;
using System.Globalization;
using ShardProxy.DataPath.Routing;
using ShardProxy.DataPath.Servers;
using ShardProxy.DataPath.Sessions;
using ShardProxy.Model.Fleet;
using ShardProxy.Model.Topology;
using ShardProxy.Sql;

namespace ShardProxy.DataPath.Execution;

/// <summary>Makes the keys that an INSERT leaves to their defaults, and the statement that has them.</summary>
internal static class DefaultKeyValues
{
    /// <summary>The plan of an INSERT whose keys have to be made, or null.</summary>
    public static RoutePlan? PlanOf(Session session, StatementShape shape) =>
        shape.Insert is not null && session.IsSharded
        && RoutePlanner.PlanFor(shape, session.Services.Holder.Current, session.HasDefaultSearchPath) is { Kind: RouteKind.DefaultKeys } plan ? plan : null;

    /// <summary>
    /// The statement with the values as literals, and its parameters' types if they have been looked up; null when they could not be made, which the client
    /// has been told.
    /// </summary>
    public static async ValueTask<(byte[] Text, uint[]? ParameterTypes)?> WithLiteralsAsync(Session session, RoutePlan plan, StatementShape shape, NodeCommand command)
    {
        if (await MakeAsync(session, plan, shape.Insert!).ConfigureAwait(false) is not { } values)
        {
            return null;
        }

        uint[]? types = null;
        if (plan.DefaultedKeys.Any(k => k.IsComputed) && (types = await ComputedKeys.MakeAsync(session, plan, shape, command, values).ConfigureAwait(false)) is null)
        {
            return null;
        }

        var text = Text(plan, shape.Insert!, command.Sql, (row, index) => plan.DefaultedKeys[index].IsComputed ? values[index]![row] : Literal(plan.DefaultedKeys[index], values[index]?[row]));
        Note(session, plan, values);
        return (text, types);
    }

    /// <summary>The statement with a parameter for each value that is not the same for every row, numbered behind its own.</summary>
    public static byte[] WithParameters(RoutePlan plan, StatementShape shape, ReadOnlyMemory<byte> statement)
    {
        var made = Made(plan).ToList();
        return Text(plan, shape.Insert!, statement, (row, index) => made.IndexOf(index) is >= 0 and var place
            ? string.Create(CultureInfo.InvariantCulture, $"${shape.ParameterCount + 1 + (row * made.Count) + place}")
            : Literal(plan.DefaultedKeys[index], null));
    }

    /// <summary>Types of those parameters.</summary>
    public static IEnumerable<uint> ParameterTypes(RoutePlan plan, InsertSummary insert) =>
        Enumerable.Range(0, insert.RowCount).SelectMany(_ => Made(plan)).Select(i => plan.DefaultedKeys[i].Column.TypeOid);

    /// <summary>Their values as text, in order; null when a sequence refused, which the client has been told.</summary>
    public static async ValueTask<List<string>?> ParametersAsync(Session session, RoutePlan plan, StatementShape shape)
    {
        if (await MakeAsync(session, plan, shape.Insert!).ConfigureAwait(false) is not { } values)
        {
            return null;
        }

        Note(session, plan, values);
        return [.. Enumerable.Range(0, shape.Insert!.RowCount).SelectMany(row => Made(plan).Select(i => values[i]![row]))];
    }

    private static IEnumerable<int> Made(RoutePlan plan) =>
        plan.DefaultedKeys.Index().Where(k => !k.Item.IsComputed && k.Item.Column.Default is { Kind: ColumnDefaultKind.Sequence or ColumnDefaultKind.RandomUuid }).Select(k => k.Index);

    // By key column its value for each row; null for those that are the same for every row.
    private static async ValueTask<string[]?[]?> MakeAsync(Session session, RoutePlan plan, InsertSummary insert)
    {
        var rows = insert.RowCount;
        var values = new string[]?[plan.DefaultedKeys.Length];
        foreach (var index in Made(plan))
        {
            if ((values[index] = await DrawAsync(session, plan.DefaultedKeys[index].Column.Default!, rows).ConfigureAwait(false)) is null)
            {
                return null;
            }
        }

        return values;
    }

    /// <summary>Values of a default that is a sequence or a random UUID, as text; null when the sequence refused, which the client has been told.</summary>
    public static async ValueTask<string[]?> DrawAsync(Session session, ColumnDefault made, int count)
    {
        if (made.Kind == ColumnDefaultKind.RandomUuid)
        {
            return [.. Enumerable.Range(0, count).Select(_ => Guid.NewGuid().ToString())];
        }

        try
        {
            var role = made.IsIdentity ? null : session.Settings[SessionSettings.Role] is { Text: not "none" and not "NONE" } own ? RoleName(own.Text) : session.Identity.User;
            var numbers = await session.Services.Sequences.TakeAsync(made.Text, role, count, session.Connection.Closed).ConfigureAwait(false);
            return [.. numbers.Select(n => n.ToString(CultureInfo.InvariantCulture))];
        }
        catch (SequenceException e)
        {
            session.Fail(e.SqlState, e.Message);
            return null;
        }
        catch (TimeoutException e)
        {
            throw new ServerUnavailableException(PoolErrors.Unreachable(session.HomeNode.Name, e.Message));
        }
        catch (OperationCanceledException)
        {
            throw new ClientGoneException();
        }
    }

    // As SET ROLE took it: a name or a literal.
    private static string RoleName(string sql) =>
        sql.Length > 1 && sql[0] == sql[^1] && sql[0] is '"' or '\'' ? sql[1..^1].Replace($"{sql[0]}{sql[0]}", $"{sql[0]}", StringComparison.Ordinal) : sql;

    private static byte[] Text(RoutePlan plan, InsertSummary insert, ReadOnlyMemory<byte> statement, Func<int, int, string?> value) =>
        Text(plan.Tables[0], plan.DefaultedKeys, insert, statement, value);

    /// <summary>The statement with values for some columns: by row and index into <paramref name="columns"/>, as SQL; null leaves what is there.</summary>
    public static byte[] Text(PlacedTable table, ImmutableArray<DefaultedKey> columns, InsertSummary insert, ReadOnlyMemory<byte> statement, Func<int, int, string?> value)
    {
        var width = insert.Source == InsertSource.DefaultValues ? 0 : insert.Rows[0].Length;
        return InsertText.WithValues(
            statement,
            insert,
            [.. columns.Select(k => new AddedColumn(SqlIdentifier.Quote(k.Column.Name), k.Position))],
            table.Columns.Take(width).Select(c => SqlIdentifier.Quote(c.Name)),
            value,
            overrides: !insert.HasOverriding && columns.Any(k => !k.IsComputed && k.Column.Default is { Identity: 'a' }));
    }

    private static string Literal(DefaultedKey key, string? made) => key.Column.Default switch
    {
        null => "NULL",
        { Kind: ColumnDefaultKind.Constant or ColumnDefaultKind.Moment } same => same.Text,
        { Kind: ColumnDefaultKind.RandomUuid } => $"'{made}'",
        _ => made!,
    };

    // What currval and lastval mean from now on, as after nextval: whether the rows are stored or not.
    private static void Note(Session session, RoutePlan plan, string[]?[] values)
    {
        foreach (var (index, key) in plan.DefaultedKeys.Index())
        {
            if (!key.IsComputed && key.Column.Default is { Kind: ColumnDefaultKind.Sequence } sequence)
            {
                session.DrawnNumbers.Note(sequence.Text, values[index]![^1]);
            }
        }

        // Of several the server would say the one it drew last.
        session.DrawnNumbers.IsLast &= plan.Tables[0].Columns.Count(c => c.Default is { Kind: ColumnDefaultKind.Sequence or ColumnDefaultKind.Expression }) == 1;
    }
}
