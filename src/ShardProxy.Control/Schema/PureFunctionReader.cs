using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Text.RegularExpressions;
using Npgsql;
using ShardProxy.Control.Nodes;

namespace ShardProxy.Control.Schema;

/// <summary>
/// Finds the user's functions that only compute, so that PostgreSQL may call them where it finishes a statement over several nodes, apart from the client's
/// transaction. What the owner declares is not enough: IMMUTABLE is often said of a function that reads a table. So the words of the body must not be a
/// relation's name, a clock, a setting, or run SQL made at run time. Functions in C have no words: of those only IMMUTABLE ones are taken.
/// The words of an aggregate are the names of the functions it is made of.
/// </summary>
internal static partial class PureFunctionReader
{
    private const string FunctionsSql = """
        SELECT p.proname, l.lanname, p.provolatile, p.prokind, CASE
            WHEN p.prokind = 'a' THEN (SELECT string_agg(s.proname, ' ') FROM pg_aggregate a JOIN pg_proc s
              ON s.oid IN (a.aggtransfn, a.aggfinalfn, a.aggcombinefn, a.aggserialfn, a.aggdeserialfn, a.aggmtransfn, a.aggminvtransfn, a.aggmfinalfn) WHERE a.aggfnoid = p.oid)
            WHEN p.prosqlbody IS NULL THEN p.prosrc ELSE pg_get_functiondef(p.oid) END
        FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
        WHERE p.pronamespace NOT IN (SELECT oid FROM pg_namespace WHERE nspname IN ('pg_catalog', 'information_schema', 'shardproxy', 'shardproxy_catalog'))
        """;

    // PostgreSQL's own catalogs are what the words with pg_ stand for.
    private const string RelationsSql = """
        SELECT DISTINCT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND n.nspname <> 'pg_catalog' AND n.nspname NOT LIKE 'pg\_toast%'
        """;

    private static readonly FrozenSet<string> Forbidden = FrozenSet.Create(
        StringComparer.OrdinalIgnoreCase,
        "age", "clock_timestamp", "current_catalog", "current_date", "current_query", "current_role", "current_schema", "current_schemas", "current_setting", "current_time", "current_timestamp",
        "current_user", "currval", "dblink", "execute", "gen_random_uuid", "information_schema", "lastval", "listen", "localtime", "localtimestamp", "nextval", "notify", "now", "perform", "query_to_xml",
        "raise", "random", "random_normal", "session_user", "set", "set_config", "setseed", "setval", "statement_timestamp", "table_to_xml", "timeofday", "transaction_timestamp", "today", "tomorrow", "user",
        "yesterday");

    /// <returns>Names, sorted, each once; one is left out if any function of that name is more than pure.</returns>
    public static async Task<ImmutableArray<string>> ReadAsync(NpgsqlConnection home, CancellationToken cancellationToken)
    {
        var functions = await home.RowsAsync(
            FunctionsSql, r => new Function(r.GetString(0), r.GetString(1), r.GetChar(2), r.GetChar(3), r.GetString(4)), cancellationToken);
        if (functions.Count == 0)
        {
            return [];
        }

        return Find(functions, (await home.RowsAsync(RelationsSql, r => r.GetString(0), cancellationToken)).ToHashSet(StringComparer.OrdinalIgnoreCase));
    }

    internal static ImmutableArray<string> Find(IReadOnlyList<Function> functions, IReadOnlySet<string> relations)
    {
        var candidates = functions.GroupBy(f => f.Name, StringComparer.Ordinal)
            .Where(g => g.All(f => f.Kind is 'f' or 'a' && MayBePure(f)))
            .ToDictionary(g => g.Key, g => g.Where(f => f.Kind == 'a' || f.Language is "sql" or "plpgsql").SelectMany(f => Words(f.Source)).ToHashSet(StringComparer.OrdinalIgnoreCase), StringComparer.Ordinal);
        var others = functions.Select(f => f.Name).Where(n => !candidates.ContainsKey(n)).ToHashSet(StringComparer.OrdinalIgnoreCase);
        bool hasShrunk;
        do
        {
            hasShrunk = false;
            foreach (var (name, words) in candidates)
            {
                if (words.Overlaps(relations) || words.Overlaps(Forbidden) || words.Overlaps(others) || words.Any(w => w.StartsWith("pg_", StringComparison.OrdinalIgnoreCase)))
                {
                    candidates.Remove(name);
                    others.Add(name);
                    hasShrunk = true;
                }
            }
        }
        while (hasShrunk);

        return [.. candidates.Keys.Order(StringComparer.Ordinal)];
    }

    private static bool MayBePure(Function function) => function.Language switch
    {
        "sql" or "plpgsql" => function.Volatility is 'i' or 's',
        "c" or "internal" => function.Volatility == 'i',
        _ => false,
    };

    private static IEnumerable<string> Words(string source) => Word().Matches(source).Select(m => m.Value);

    [GeneratedRegex(@"[\p{L}_][\p{L}\p{Nd}_$]*", RegexOptions.CultureInvariant)]
    private static partial Regex Word();

    /// <summary>A row of pg_proc; the source of an aggregate is the names of its functions.</summary>
    internal sealed record Function(string Name, string Language, char Volatility, char Kind, string Source);
}
