using System.Globalization;
using System.Text;
using ShardProxy.DataPath.Routing;
using ShardProxy.DataPath.Servers;
using ShardProxy.DataPath.Sessions;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Topology;
using ShardProxy.Sql;

namespace ShardProxy.DataPath.Execution;

/// <summary>
/// The texts of a write that reads rows which the nodes of its target do not have (<see cref="SuppliedPlanner"/>). A query in parentheses that can stand alone
/// is run once, wherever its rows are, and its result takes its place; of a query that needs the row that is written, and of FROM and USING, the tables are
/// fetched instead, as far as conditions on them alone tell.
/// </summary>
internal sealed class SuppliedWrite
{
    private const string Savepoint = "shardproxy_part";

    private readonly Session _session;
    private readonly RoutingTable _table;
    private readonly StatementShape _shape;
    private readonly NodeCommand _command;
    private readonly ServerConnection _home;
    private readonly WriteText _text;
    private readonly PlacedTable?[] _placed;
    private readonly int _target;
    private readonly HashSet<int> _inPlace;
    private readonly bool _computesOnce;
    private readonly string? _time;
    private readonly List<WritePatch> _patches = [];
    private readonly MergePlacement? _merge;
    private SuppliedRows? _mergeRows;
    private int[] _mergeNodes = [];

    private SuppliedWrite(Session session, RoutingTable table, StatementShape shape, NodeCommand command, string? time, ServerConnection home)
    {
        (_session, _table, _shape, _command, _time, _home) = (session, table, shape, command, time, home);
        _text = new WriteText(command.Sql, shape);
        _placed = new PlacedTable?[shape.Relations.Length];
        foreach (var relation in shape.Relations)
        {
            RelationResolver.Resolve(table, relation.Schema, relation.Name, session.HasDefaultSearchPath, out _placed[relation.Index]);
        }

        _target = shape.Relations.Single(r => r.Role != RelationRole.Read).Index;
        _inPlace = SuppliedPlanner.InPlace(shape, _placed, _target);
        _merge = shape.Kind == StatementKind.Merge ? MergePlacement.Of(shape, _placed, _target) : null;
        if (_merge is { Source: MergeSource.Own })
        {
            _inPlace.Add(shape.Supplied!.Merge!.SourceRelation);
        }

        _computesOnce = _placed[_target] is not null && SuppliedPlanner.MayDifferByOrder(shape);
    }

    private SuppliedQuery Parts => _shape.Supplied!;

    /// <summary>Fetches what the statement needs. Null when the client has been told an error.</summary>
    /// <param name="session">The session; in a transaction.</param>
    /// <param name="table">The routing table.</param>
    /// <param name="shape">The statement; the home node has read it.</param>
    /// <param name="command">With the types of its parameters.</param>
    /// <param name="time">The moment to put in the place of now(), or null.</param>
    /// <param name="home">The home node's server.</param>
    /// <exception cref="EndOfStreamException">A server was lost.</exception>
    public static async ValueTask<SuppliedWrite?> ReadAsync(Session session, RoutingTable table, StatementShape shape, NodeCommand command, string? time, ServerConnection home)
    {
        var write = new SuppliedWrite(session, table, shape, command, time, home);
        return await write.ReadAsync().ConfigureAwait(false) ? write : null;
    }

    /// <summary>The statement for a node.</summary>
    public byte[] For(Node node)
    {
        var patches = new List<WritePatch>(_patches);
        if (_mergeRows is { } rows)
        {
            patches.Add(MergeSourcePatch(rows.Query(i => _mergeNodes[i] == node.Id)));
        }

        // While a range of the group moves, a node may have rows of it that it does not own.
        if (_placed[_target] is { } target && _table.Moves.Any(m => m.GroupId == target.GroupId))
        {
            if (_merge is null)
            {
                patches.AddRange(_text.PredicatePatches(Router.OwnedPredicate(_table, target, node.Id, Alias(_target))));
            }
            else if (_merge.Source == MergeSource.Own)
            {
                // Rows of the target that it does not own match none of these.
                var relation = Parts.Merge!.SourceRelation;
                patches.Add(MergeSourcePatch($"SELECT * FROM {Name(relation)} AS {Alias(relation)} WHERE {Router.OwnedPredicate(_table, _placed[relation]!, node.Id, Alias(relation))}"));
            }
            else
            {
                patches.AddRange(_text.Narrowing(Parts.Merge!.Condition, $"AND ({Router.OwnedPredicate(_table, target, node.Id, Alias(_target))})"));
            }
        }

        return _text.With(patches);
    }

    private async ValueTask<bool> ReadAsync()
    {
        if (_shape.Insert is { QueryTokens: not null })
        {
            return await ReadInsertAsync().ConfigureAwait(false);
        }

        var whole = new TokenSpan(0, int.MaxValue);
        if (_merge is { Source: MergeSource.ByKey })
        {
            return await ReadMergeSourceAsync().ConfigureAwait(false) && await ReadWithinAsync(whole, except: Parts.Merge!.Source).ConfigureAwait(false);
        }

        return await ReadWithinAsync(whole, except: null).ConfigureAwait(false);
    }

    // The queries directly inside a part of the statement, and the tables it names outside of them.
    private async ValueTask<bool> ReadWithinAsync(TokenSpan part, TokenSpan? except)
    {
        var inner = new List<TokenSpan>();
        foreach (var query in Parts.Queries.Where(q => IsIn(q, part) && q != part && (except is not { } left || !IsIn(q, left))))
        {
            if (inner.Count == 0 || !IsIn(query, inner[^1]))
            {
                inner.Add(query);
            }
        }

        foreach (var query in inner)
        {
            if (!await ReadQueryAsync(query).ConfigureAwait(false))
            {
                return false;
            }
        }

        foreach (var place in Places(part).Where(p => !_inPlace.Contains(p.Relation) && !inner.Exists(q => IsIn(p, q)) && (except is not { } left || !IsIn(p, left))))
        {
            if (await RowsAsync(Encoding.UTF8.GetBytes(TableQuery(_shape.Relations[place.Relation]))).ConfigureAwait(false) is not { } rows)
            {
                return false;
            }

            var use = _shape.Relations[place.Relation];
            _patches.Add(_text.Replacing(new TokenSpan(place.FirstToken, place.LastToken), $"({rows.Query()}){(use.Alias is null ? " AS " + SqlIdentifier.Quote(use.Name) : "")}"));
        }

        return true;
    }

    private async ValueTask<bool> ReadQueryAsync(TokenSpan query)
    {
        if (!_computesOnce && Places(query).All(p => _inPlace.Contains(p.Relation)))
        {
            return true;
        }

        var text = Timed(_text.Part(query));
        if (_text.Names(query, Parts.CteNames) || !await StandsAloneAsync(text).ConfigureAwait(false))
        {
            return await ReadWithinAsync(query, except: null).ConfigureAwait(false);
        }

        if (await RowsAsync(Encoding.UTF8.GetBytes(text)).ConfigureAwait(false) is not { } rows)
        {
            return false;
        }

        _patches.Add(_text.Replacing(query, rows.Query()));
        return true;
    }

    // Names are looked up inside a query first: what PostgreSQL can read alone means the same there, but for the names of WITH queries.
    private async ValueTask<bool> StandsAloneAsync(string query)
    {
        await SideDialog.RunAsync(_home, $"SAVEPOINT {Savepoint}").ConfigureAwait(false);
        var read = await StatementCheck.RunAsync(_home, Encoding.UTF8.GetBytes(query), _command.ParameterTypes ?? []).ConfigureAwait(false);
        await SideDialog.RunAsync(_home, $"{(read.IsOk ? "" : $"ROLLBACK TO {Savepoint}; ")}RELEASE {Savepoint}").ConfigureAwait(false);
        return read.IsOk;
    }

    private async ValueTask<bool> ReadInsertAsync()
    {
        var query = Encoding.UTF8.GetBytes(Timed(Encoding.UTF8.GetString(_text.InsertedQuery())));
        if (await PullInsertQuery.ReadAsync(_session, _home, Name(_target), null, _shape, _command, query).ConfigureAwait(false) is not { } columns
            || await SuppliedRows.ReadAsync(_session, _table, _home, _shape, _command, query, columns.Select).ConfigureAwait(false) is not { } rows)
        {
            return false;
        }

        _patches.AddRange(_text.QueryPatches(rows.Query()));
        return true;
    }

    // Each source row goes to the owner of the key that it matches and would be inserted with.
    private async ValueTask<bool> ReadMergeSourceAsync()
    {
        var target = _placed[_target]!;
        var with = Parts.CteNames.Count > 0 ? _text.Part(new TokenSpan(0, MergeToken() - 1)) + " " : "";
        if (await RowsAsync(Encoding.UTF8.GetBytes(Timed($"{with}SELECT * FROM {_text.Part(Parts.Merge!.Source)}"))).ConfigureAwait(false) is not { } rows)
        {
            return false;
        }

        int[] fields = [.. _merge!.KeyColumns.Select(rows.ColumnIndex)];
        if (!fields.Select((f, i) => f >= 0 && AreAlike(rows.Types[f], target.Columns[target.KeyColumns[i]].TypeOid)).All(same => same))
        {
            _session.Fail(RoutingErrors.UnprovenKey);
            return false;
        }

        var key = new CopyKey(target, _table.Group(target.GroupId), _session.Relay.Told?.IsUtc == true);
        _mergeNodes = new int[rows.Rows.Count];
        for (var i = 0; i < _mergeNodes.Length; i++)
        {
            key.Begin();
            var isHome = false;
            foreach (var _ in fields)
            {
                // No row has a NULL in its key: it matches nothing, and a server refuses to insert it.
                var value = rows.Rows[i][fields[key.Next]];
                isHome |= value is null;
                var outcome = key.AddText(value ?? "0"u8);
                isHome |= outcome == Model.Keys.KeyHashOutcome.Invalid;
                if (value is not null && outcome == Model.Keys.KeyHashOutcome.Unsupported)
                {
                    _session.Fail(RoutingErrors.UnprovenKey);
                    return false;
                }
            }

            _mergeNodes[i] = isHome ? _table.Group(target.GroupId).Ranges[0].NodeId : key.NodeId;
        }

        _mergeRows = rows;
        return true;
    }

    // Values that are equal have the same text.
    private static bool AreAlike(uint type, uint other) => type == other || (IsInteger(type) && IsInteger(other)) || (type is 25 or 1043 && other is 25 or 1043);

    private static bool IsInteger(uint type) => type is 20 or 21 or 23;

    // The word in front of INTO and the target.
    private int MergeToken()
    {
        var at = _shape.Gather!.Places.Single(p => p.Relation == _target).FirstToken;
        while (!_text.Part(new TokenSpan(at, at)).Equals("merge", StringComparison.OrdinalIgnoreCase))
        {
            at--;
        }

        return at;
    }

    private WritePatch MergeSourcePatch(string query) =>
        _text.Replacing(Parts.Merge!.Source, string.Create(CultureInfo.InvariantCulture, $"({query}) AS {SqlIdentifier.Quote(Parts.Merge.SourceName!)}"));

    private ValueTask<SuppliedRows?> RowsAsync(byte[] query) => SuppliedRows.ReadAsync(_session, _table, _home, _shape, _command, query);

    private string Timed(string text) => _time is null ? text : TransactionTimeText.Replace(text, _time);

    private string TableQuery(RelationUse use)
    {
        var table = _placed[use.Index];
        var alias = Alias(use.Index);
        var columns = table is null || _shape.Gather!.HasStar ? alias + ".*"
            : string.Join(", ", table.Columns.Where(c => _shape.Gather.Words.Contains(c.Name)).DefaultIfEmpty(table.Columns[0]).Select(c => $"{alias}.{SqlIdentifier.Quote(c.Name)}"));

        // Which columns an unsharded table has is not known here: only conditions that name theirs in full are sure to be its own.
        var filters = _shape.Gather!.Filters
            .Where(f => f.Relation == use.Index && f.Unqualified.All(c => table is not null && table.ColumnIndex(c) >= 0))
            .Select(f => $"({Timed(_text.Part(new TokenSpan(f.FirstToken, f.LastToken)))}\n)")
            .ToList();
        return $"SELECT {columns} FROM {(use.IsOnly ? "ONLY " : "")}{Name(use.Index)} AS {alias}{(filters.Count > 0 ? " WHERE " + string.Join(" AND ", filters) : "")}";
    }

    // The query of SET (a, b) = (SELECT …) is in the tree once for each column.
    private IEnumerable<RelationPlace> Places(TokenSpan part) => _shape.Gather!.Places.Where(p => IsIn(p, part)).DistinctBy(p => p.FirstToken);

    private static bool IsIn(TokenSpan inner, TokenSpan outer) => inner.First >= outer.First && inner.Last <= outer.Last;

    private static bool IsIn(RelationPlace place, TokenSpan part) => place.FirstToken >= part.First && place.LastToken <= part.Last;

    private string Alias(int relation) => SqlIdentifier.Quote(_shape.Relations[relation].Alias ?? _shape.Relations[relation].Name);

    private string Name(int relation) =>
        _shape.Relations[relation] is { Schema: { } schema, Name: var name } ? new QualifiedName(schema, name).ToString() : SqlIdentifier.Quote(_shape.Relations[relation].Name);
}
