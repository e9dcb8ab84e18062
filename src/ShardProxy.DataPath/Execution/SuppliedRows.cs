using System.Globalization;
using System.Text;
using ShardProxy.DataPath.Servers;
using ShardProxy.DataPath.Sessions;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Topology;
using ShardProxy.Sql;

namespace ShardProxy.DataPath.Execution;

/// <summary>
/// The rows of a query, to be written into the text of a statement that reads them on other nodes: as arrays, column by column, which a server reads much
/// faster than a list of VALUES. They have the names, types and collations of the query's columns.
/// </summary>
internal sealed class SuppliedRows
{
    private const int MaxRows = 50_000;

    /// <summary>Bound on the bytes of all rows.</summary>
    public const int MaxBytes = 32 * 1024 * 1024;

    private readonly List<byte[]?[]> _rows = [];
    private readonly List<string> _casts = [];
    private readonly string[] _names;
    private long _bytes;

    private SuppliedRows(byte[] rowDescription)
    {
        _names = RowShape.Names(rowDescription);
        Types = RowShape.Types(rowDescription);
    }

    /// <summary>The columns' types.</summary>
    public uint[] Types { get; }

    public IReadOnlyList<byte[]?[]> Rows => _rows;

    public int ColumnIndex(string name) => Array.IndexOf(_names, name);

    /// <summary>Fetches the rows, wherever they are. Null when the client has been told an error.</summary>
    /// <param name="session">The session; in a transaction.</param>
    /// <param name="table">The routing table.</param>
    /// <param name="home">The home node's server.</param>
    /// <param name="shape">The client's statement.</param>
    /// <param name="command">With its parameters.</param>
    /// <param name="query">A query that stands alone.</param>
    /// <param name="wrap">Makes the query that is run from what answers this one; null for the same.</param>
    /// <exception cref="EndOfStreamException">A server was lost.</exception>
    public static async ValueTask<SuppliedRows?> ReadAsync(
        Session session, RoutingTable table, ServerConnection home, StatementShape shape, NodeCommand command, byte[] query, Func<string, string>? wrap = null)
    {
        var (source, refusal) = await PullInsertQuery.SourceAsync(session, table, command, query).ConfigureAwait(false);
        if (source is null)
        {
            session.Fail(refusal!);
            return null;
        }

        var whole = wrap is null ? query : Encoding.UTF8.GetBytes(wrap(Encoding.UTF8.GetString(query)));
        var described = await StatementCheck.RunAsync(home, whole, command.ParameterTypes ?? []).ConfigureAwait(false);
        if (!described.IsOk)
        {
            session.Fail(described.ErrorPayload!);
            return null;
        }

        var rows = new SuppliedRows(described.RowDescription ?? []);
        if (!await rows.ReadTypesAsync(session, home, command, whole).ConfigureAwait(false))
        {
            return null;
        }

        GatheredStatement? gathered = null;
        try
        {
            if (source.Gather is { } gather
                && (gathered = await GatherExecutor.KeepAsync(session, gather, table, source.Shape, command with { Sql = query }).ConfigureAwait(false)) is null)
            {
                return null;
            }

            var servers = new List<ServerConnection>();
            foreach (var node in source.Nodes)
            {
                servers.Add(await SessionServers.GetAsync(session, table.Node(node)).ConfigureAwait(false));
            }

            var select = gathered is null ? whole : wrap is null ? gathered.Sql : Encoding.UTF8.GetBytes(wrap(Encoding.UTF8.GetString(gathered.Sql)));
            var (isDone, error) = await PulledCursor.ReadAsync(
                session, gathered is null ? servers : [gathered.Workspace], command with { Sql = select }, shape, batch => ValueTask.FromResult(rows.Add(session, batch))).ConfigureAwait(false);
            if (error is not null)
            {
                session.Fail(error);
            }

            return isDone ? rows : null;
        }
        finally
        {
            if (gathered is not null)
            {
                await gathered.EndAsync(session).ConfigureAwait(false);
            }
        }
    }

    /// <summary>For the rows that a write returns; they are added later. Null when the client has been told an error.</summary>
    /// <param name="session">The session; in a transaction.</param>
    /// <param name="home">The home node's server.</param>
    /// <param name="rowDescription">Of the write; empty when it returns none.</param>
    /// <param name="text">Its text.</param>
    /// <param name="shape">Its shape.</param>
    public static async ValueTask<SuppliedRows?> ForReturnedAsync(Session session, ServerConnection home, byte[] rowDescription, string text, StatementShape shape)
    {
        var rows = new SuppliedRows(rowDescription);
        return await rows.ReadTypesAsync(session, home, default, null).ConfigureAwait(false) && (rows.Types.Length == 0 || await HasDefaultCollationsAsync(session, home, text, shape).ConfigureAwait(false)) ? rows : null;
    }

    /// <summary>A SELECT that gives the rows, or some of them, in their order.</summary>
    /// <param name="takes">Which; null for all.</param>
    public string Query(Func<int, bool>? takes = null)
    {
        var taken = takes is null ? _rows : [.. _rows.Where((_, i) => takes(i))];
        if (_names.Length == 0)
        {
            return string.Create(CultureInfo.InvariantCulture, $"SELECT FROM pg_catalog.generate_series(1, {taken.Count})");
        }

        var text = new StringBuilder("SELECT ");
        for (var i = 0; i < _names.Length; i++)
        {
            text.Append(CultureInfo.InvariantCulture, $"{(i > 0 ? ", " : "")}shardproxy_rows.c{i}{_casts[i]} AS {SqlIdentifier.Quote(_names[i])}");
        }

        text.Append(" FROM ROWS FROM (pg_catalog.unnest(");
        for (var i = 0; i < _names.Length; i++)
        {
            text.Append(i > 0 ? "), pg_catalog.unnest(" : "").Append(SqlIdentifier.Literal(ArrayText(taken, i))).Append("::pg_catalog.text[]");
        }

        return text.Append(")) AS shardproxy_rows (").AppendJoin(", ", _names.Select((_, i) => string.Create(CultureInfo.InvariantCulture, $"c{i}"))).Append(')').ToString();
    }

    // An array's text (PostgreSQL documentation, "Array Input and Output Syntax").
    private static string ArrayText(List<byte[]?[]> rows, int column)
    {
        var text = new StringBuilder("{");
        for (var i = 0; i < rows.Count; i++)
        {
            text.Append(i > 0 ? "," : "");
            if (rows[i][column] is { } value)
            {
                text.Append('"').Append(Encoding.UTF8.GetString(value).Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal)).Append('"');
            }
            else
            {
                text.Append("NULL");
            }
        }

        return text.Append('}').ToString();
    }

    // What makes the text of each column its value again.
    private async ValueTask<bool> ReadTypesAsync(Session session, ServerConnection home, NodeCommand command, byte[]? query)
    {
        var known = await SideDialog.RunAsync(
            home,
            $"""
            SELECT t.oid, pg_catalog.format_type(t.oid, -1), t.typcollation <> 0, {CopyLine.IsExactSql}
            FROM pg_catalog.pg_type t WHERE t.oid IN (25, {string.Join(", ", Types)}{(Types.Length == 0 ? "25" : "")})
            """).ConfigureAwait(false);
        if (!Passed(session, known))
        {
            return false;
        }

        if (known.Rows.Count == 0 || known.Rows[0][3] is not [(byte)'t'])
        {
            session.Fail(ExecutionErrors.LossyText);
            return false;
        }

        var types = known.Rows.ToDictionary(r => uint.Parse(r[0], CultureInfo.InvariantCulture), r => (Name: Encoding.UTF8.GetString(r[1]!), HasCollation: r[2] is [(byte)'t']));
        var collations = new Dictionary<int, string>();
        int[] collated = [.. Enumerable.Range(0, Types.Length).Where(i => types[Types[i]].HasCollation)];
        if (collated.Length > 0 && query is not null)
        {
            var columns = string.Join(", ", Types.Select((_, i) => string.Create(CultureInfo.InvariantCulture, $"c{i}")));
            var ask = $"SELECT {string.Join(", ", collated.Select(i => $"pg_catalog.pg_collation_for(q.c{i})"))} FROM (VALUES (1)) AS d LEFT JOIN ({Encoding.UTF8.GetString(query)}\n) AS q ({columns}) ON false";
            var found = await SideDialog.RunAsync(home, command with { Sql = Encoding.UTF8.GetBytes(ask), TextResults = true }).ConfigureAwait(false);
            if (!Passed(session, found))
            {
                return false;
            }

            for (var i = 0; i < collated.Length; i++)
            {
                if (found.Rows[0][i] is not { } collation)
                {
                    session.Fail(ExecutionErrors.GatherRefused);
                    return false;
                }

                collations[collated[i]] = Encoding.UTF8.GetString(collation);
            }
        }

        for (var i = 0; i < Types.Length; i++)
        {
            _casts.Add($"::{types[Types[i]].Name}{(collations.TryGetValue(i, out var collation) && collation != "\"default\"" ? " COLLATE " + collation : "")}");
        }

        return true;
    }

    // What a write returns is of its tables' columns: where they have no collation of their own and its text names none, it has the default one.
    private static async ValueTask<bool> HasDefaultCollationsAsync(Session session, ServerConnection home, string text, StatementShape shape)
    {
        var tables = string.Join(", ", shape.Relations.Select(u => SqlIdentifier.Literal(u.Schema is { } schema ? new QualifiedName(schema, u.Name).ToString() : SqlIdentifier.Quote(u.Name))));
        var own = await SideDialog.RunAsync(
            home, $"SELECT 1 FROM pg_catalog.pg_attribute WHERE attrelid = ANY (ARRAY[{tables}]::pg_catalog.regclass[]) AND attnum > 0 AND NOT attisdropped AND attcollation NOT IN (0, 100)").ConfigureAwait(false);
        if (!Passed(session, own))
        {
            return false;
        }

        if (own.Rows.Count > 0 || text.Contains("collate", StringComparison.OrdinalIgnoreCase))
        {
            session.Fail(ExecutionErrors.GatherRefused);
            return false;
        }

        return true;
    }

    /// <summary>Adds rows, as text; false when the client has been told that they are too many.</summary>
    public bool Add(Session session, List<byte[]?[]> batch)
    {
        _rows.AddRange(batch);
        _bytes += batch.Sum(r => r.Sum(v => 8L + (v?.Length ?? 0)));
        if (_rows.Count <= MaxRows && _bytes <= MaxBytes)
        {
            return true;
        }

        session.Fail(ExecutionErrors.TooManyPulledRows);
        return false;
    }

    private static bool Passed(Session session, DialogResult result)
    {
        if (!result.IsOk)
        {
            session.Fail(result.ErrorPayload!);
        }

        return result.IsOk;
    }
}
