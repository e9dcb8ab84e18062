using ShardProxy.DataPath.Routing;
using ShardProxy.Model.Routing;
using ShardProxy.Sql;

namespace ShardProxy.DataPath.Sessions;

/// <summary>
/// Views and functions over placed tables, and tables with foreign keys to sharded ones, that the session's open transaction has made, or given other names. The catalog hears of them when it has committed;
/// until then a statement that names one would run on the home node, on a part of the rows: it is refused.
/// </summary>
internal sealed class UnseenCode
{
    private readonly HashSet<string> _names = new(StringComparer.Ordinal);
    private long _transaction;
    private readonly HashSet<string> _partitions = new(StringComparer.Ordinal);
    private bool _hasUnknownNames;

    /// <summary>Before a statement runs: notes what it makes. One that fails takes its transaction with it.</summary>
    public static void Note(Session session, StatementShape shape, RoutingTable table)
    {
        var current = session.Unseen is { } known && known._transaction == session.Transaction.Number ? known : null;

        // A trigger that calls such a function makes its table one that may not be written.
        var isCode = shape.Utility is { Verb: UtilityVerb.Create or UtilityVerb.Rename, Object: UtilityObject.View or UtilityObject.MaterializedView or UtilityObject.Function }
            || (shape.Utility is { Verb: UtilityVerb.Create, Object: UtilityObject.Other } && shape.Functions.Any(f => current?._names.Contains(f.Name) == true));
        if (!isCode || shape.Utility is not { } utility)
        {
            return;
        }

        if (!IsOverPlaced(shape, table, current))
        {
            return;
        }

        current ??= session.Unseen = new UnseenCode { _transaction = session.Transaction.Number };
        current._hasUnknownNames |= utility.Verb != UtilityVerb.Create;
        foreach (var name in utility.Names)
        {
            current._names.Add(name.Name);
        }
    }

    /// <summary>After it has run: notes the partition of a placed table that a statement has made.</summary>
    public static void NotePartition(Session session, StatementShape shape)
    {
        if (shape.CreatesPartition)
        {
            Current(session)._partitions.UnionWith(shape.Utility!.Names.Select(n => n.Name));
        }
    }

    /// <summary>Notes a table that the transaction has made and whose foreign key nobody can check yet.</summary>
    public static void Note(Session session, string table)
    {
        Current(session)._names.Add(table);
    }

    /// <summary>The statement names a partition that the transaction has made: where its rows are is not known to the catalog yet, in whatever statement.</summary>
    public bool IsPartitionNamedBy(Session session, StatementShape shape) =>
        _partitions.Count > 0 && _transaction == session.Transaction.Number
        && (shape.Relations.Any(r => _partitions.Contains(r.Name)) || shape.Identifiers.Any(_partitions.Contains)
            || shape.Utility?.Names.Any(n => _partitions.Contains(n.Name)) == true);

    /// <summary>The statement names something whose rows are not known to be whole.</summary>
    public bool IsNamedBy(Session session, StatementShape shape, RoutingTable table)
    {
        if (_transaction != session.Transaction.Number)
        {
            session.Unseen = null;
            return false;
        }

        return shape.Kind is not (StatementKind.OtherDdl or StatementKind.DropTable or StatementKind.AlterTable) && NamesAny(shape, table);
    }

    private static UnseenCode Current(Session session) => session.Unseen is { } known && known._transaction == session.Transaction.Number
        ? known
        : session.Unseen = new UnseenCode { _transaction = session.Transaction.Number };

    private bool NamesAny(StatementShape shape, RoutingTable table) =>
        shape.Functions.Any(f => _names.Contains(f.Name) || (_hasUnknownNames && f.Schema != "pg_catalog" && !BuiltinFunctions.Contains(f.Name)))
            || shape.Identifiers.Any(_names.Contains)
            || shape.Relations.Any(r => _names.Contains(r.Name) || (_hasUnknownNames && !table.IsPlacedName(r.Name)));

    private static bool IsOverPlaced(StatementShape shape, RoutingTable table, UnseenCode? known) =>
        shape.Relations.Select(r => r.Name).Concat(shape.Functions.Select(f => f.Name)).Concat(shape.Identifiers)
            .Any(n => table.IsPlacedName(n) || table.OpaqueFunctions.Contains(n) || known?._names.Contains(n) == true);
}
