using System.Text;
using ShardProxy.DataPath.Routing;
using ShardProxy.DataPath.Servers;
using ShardProxy.DataPath.Sessions;
using ShardProxy.Model.Topology;
using ShardProxy.Sql;
using ShardProxy.Wire.Messages;

namespace ShardProxy.DataPath.Execution;

/// <summary>
/// Runs DDL about what tables use (<see cref="SharedDdl"/>) on a node other than the home node, which has done it already. A node that misses what the
/// statement refers to is passed over if it does not have the object either: nothing there can use it. Where it has an object of that name the nodes
/// would differ, so the statement fails on all.
/// </summary>
internal static class SharedDdlRunner
{
    private static readonly byte[] Savepoint = "SAVEPOINT shardproxy_ddl"u8.ToArray();

    /// <summary>Runs it in the open transaction, or outside any.</summary>
    /// <returns>The result; one that was passed over is without error, and says so in <see cref="SharedDdlOutcome.Lacks"/>.</returns>
    /// <exception cref="EndOfStreamException">The server was lost.</exception>
    public static async ValueTask<SharedDdlOutcome> RunAsync(ServerConnection server, NodeCommand sql, UtilitySummary utility, bool isInTransaction)
    {
        if (isInTransaction)
        {
            SideDialog.Send(server, Savepoint);
        }

        var result = await SideDialog.RunAsync(server, sql).ConfigureAwait(false);
        if (result.IsOk || !IsMissing(result.Error!.SqlState))
        {
            if (isInTransaction && result.IsOk)
            {
                await SideDialog.RunAsync(server, "RELEASE SAVEPOINT shardproxy_ddl").ConfigureAwait(false);
            }

            return new SharedDdlOutcome(result, null);
        }

        if (isInTransaction)
        {
            await SideDialog.RunAsync(server, "ROLLBACK TO SAVEPOINT shardproxy_ddl; RELEASE SAVEPOINT shardproxy_ddl").ConfigureAwait(false);
        }

        if (utility.Verb == UtilityVerb.Comment)
        {
            return new SharedDdlOutcome(result with { ErrorPayload = null }, null);
        }

        var isAbsent = Existing(utility) is { } question
            ? await SideDialog.RunAsync(server, question).ConfigureAwait(false) is { IsOk: true, Rows: [[[(byte)'f']]] }
            : utility.Verb is UtilityVerb.Create or UtilityVerb.Drop;
        return isAbsent ? new SharedDdlOutcome(result with { ErrorPayload = null }, result.Error!.Message) : new SharedDdlOutcome(result, null);
    }

    /// <summary>Tells the client that an object was made on the home node alone.</summary>
    public static void Notice(Session session, UtilitySummary utility, Node node, string lacks)
    {
        if (utility.Verb == UtilityVerb.Create)
        {
            ClientReplies.Notice(session.Output, "00000", $"made on the home node only: node \"{node.Name}\" lacks what it refers to ({lacks})");
        }
    }

    // undefined_object, undefined_function, undefined_table, invalid_schema_name.
    private static bool IsMissing(string sqlState) => sqlState is "42704" or "42883" or "42P01" or "3F000";

    /// <summary>Asks whether the node has an object of one of the names; null when names do not tell.</summary>
    private static string? Existing(UtilitySummary utility)
    {
        if (utility.Names.IsEmpty)
        {
            return null;
        }

        return utility.Object switch
        {
            UtilityObject.Schema => $"SELECT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname IN ({Plain()}))",
            UtilityObject.Extension => $"SELECT EXISTS (SELECT FROM pg_catalog.pg_extension WHERE extname IN ({Plain()}))",
            UtilityObject.Type => Qualified("pg_type", "typname", "typnamespace"),
            UtilityObject.Function => Qualified("pg_proc", "proname", "pronamespace"),
            UtilityObject.Index => Qualified("pg_class", "relname", "relnamespace"),
            _ => null,
        };

        string Plain() => string.Join(", ", utility.Names.Select(n => SqlIdentifier.Literal(n.Name)));

        string Qualified(string catalog, string name, string schema) =>
            $"SELECT EXISTS (SELECT FROM pg_catalog.{catalog} o JOIN pg_catalog.pg_namespace n ON n.oid = o.{schema} WHERE "
            + string.Join(" OR ", utility.Names.Select(n => $"(o.{name} = {SqlIdentifier.Literal(n.Name)}{(n.Schema is null ? "" : $" AND n.nspname = {SqlIdentifier.Literal(n.Schema)}")})")) + ")";
    }
}

/// <summary>What became of shared DDL on one node.</summary>
/// <param name="Result">Its result.</param>
/// <param name="Lacks">What the node lacks, in PostgreSQL's words, when it was passed over.</param>
internal sealed record SharedDdlOutcome(DialogResult Result, string? Lacks);
