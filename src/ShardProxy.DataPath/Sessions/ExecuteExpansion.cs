using System.Text;
using ShardProxy.DataPath.Execution;
using ShardProxy.DataPath.Routing;
using ShardProxy.DataPath.Servers;
using ShardProxy.Model.Topology;
using ShardProxy.Sql;

namespace ShardProxy.DataPath.Sessions;

/// <summary>
/// EXECUTE of a statement that SQL has prepared over placed tables: the prepared query takes its place, with the arguments, in their parameters' types, in
/// the places of the parameters. The server that has the statement checks the arguments first, so that the errors are its own.
/// </summary>
internal static class ExecuteExpansion
{
    /// <summary>The statement is such an EXECUTE.</summary>
    public static bool Concerns(Session session, StatementShape shape) =>
        shape is { Kind: StatementKind.Execute, Prepared.Name: { } name }
        && session is { IsSharded: true, IsTransparent: false }
        && session.Prepared.Find(name) is not { IsGone: false }
        && StatementNames.FindSql(session, name) is { Statement: { Query: not null } statement }
        && StatementNames.NamesPlaced(session, statement.Shape, session.Services.Holder.Current)
        && shape.Functions.All(PureFunctions.Contains);

    /// <summary>
    /// The statement that runs in its place. A result without one: the client has been told an error. Null: it cannot be had, and the EXECUTE is refused.
    /// </summary>
    public static async ValueTask<(byte[]? Query, bool)?> ExpandAsync(Session session, StatementShape shape, ReadOnlyMemory<byte> execute)
    {
        var name = shape.Prepared!.Name!;
        if (StatementNames.FindSql(session, name) is not var (statement, holder))
        {
            return null;
        }

        try
        {
            var server = await SessionServers.GetAsync(session, holder.Node).ConfigureAwait(false);
            if (server != holder)
            {
                return null;
            }

            var check = await SideDialog.RunAsync(server, (byte[])[.. "EXPLAIN "u8, .. execute.Span]).ConfigureAwait(false);
            if (!check.IsOk)
            {
                session.Fail(check.ErrorPayload!);
                return (null, false);
            }

            statement.ParameterTypes ??= await TypesAsync(server, name).ConfigureAwait(false);
        }
        catch (EndOfStreamException)
        {
            ServerLoss.Report(session, holder, mayHaveWritten: false);
            return (null, false);
        }

        // PostgreSQL does not look at arguments where none are wanted.
        var arguments = ExecuteText.Arguments(execute.Span);
        return statement.ParameterTypes is { } types && (types.Length == 0 || types.Length == arguments.Count)
            && ExecuteText.Bind(statement.Query!, [.. arguments.Zip(types, (a, t) => $"({a}\n)::{t}")]) is { } query
                ? (query, true)
                : null;
    }

    private static async ValueTask<string[]?> TypesAsync(ServerConnection server, string name)
    {
        var known = await SideDialog.RunAsync(
            server, $"SELECT pg_catalog.unnest(parameter_types)::pg_catalog.text FROM pg_catalog.pg_prepared_statements WHERE name = {SqlIdentifier.Literal(name)}").ConfigureAwait(false);
        return known.IsOk ? [.. known.Rows.Select(r => Encoding.UTF8.GetString(r[0]!))] : null;
    }
}
