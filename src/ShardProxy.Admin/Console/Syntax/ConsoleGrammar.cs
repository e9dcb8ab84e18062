using System.Collections.Immutable;

namespace ShardProxy.Admin.Console.Syntax;

/// <summary>The list of every console statement: the one source for HELP, hints and the check of docs/console.md.</summary>
internal static class ConsoleGrammar
{
    public static readonly ImmutableArray<StatementSyntax> Statements =
    [
        new("SHARD TABLE", "SHARD TABLE t BY HASH | RANGE (col[, col…]) [COLOCATE WITH u] [NOWAIT]", "Spreads a table over the nodes by a hash, or by the order, of its key columns."),
        new("REPLICATE TABLE", "REPLICATE TABLE t [NOWAIT]", "Makes a table a reference table: every row on every node."),
        new("UNSHARD TABLE", "UNSHARD TABLE t [NOWAIT]", "Brings a table back to the home node, online."),
        new("SPLIT RANGE", "SPLIT RANGE id AT ('bound'[, …])", "Cuts a range in two at a hash or a key; the lower part keeps its id. Moves no row."),
        new("MERGE RANGES", "MERGE RANGES a, b", "Makes one range of two neighbours on one node. Moves no row."),
        new("MOVE RANGE", "MOVE RANGE id TO node [NOWAIT]", "Moves a range to another node, online and verified."),
        new("CANCEL MIGRATION", "CANCEL MIGRATION n", "Stops a migration before its cutover and undoes it."),
        new("ROLLBACK MIGRATION", "ROLLBACK MIGRATION n [NOWAIT]", "Brings a moved range back to where it was."),
        new("ADD NODE", "ADD NODE name 'uri' [CAPACITY n]", "Adds a node.", IsAvailable: false),
        new("DRAIN NODE", "DRAIN NODE name", "Moves every range off a node.", IsAvailable: false),
        new("REMOVE NODE", "REMOVE NODE name", "Removes a drained node.", IsAvailable: false),
        new("SET PLANNER MODE", "SET PLANNER MODE off|advise|approve|automatic [FOR GROUP g]", "Says what the planner may do by itself."),
        new("APPROVE PLAN", "APPROVE PLAN n", "Lets a waiting plan run."),
        new("EXPLAIN PLAN", "EXPLAIN PLAN n", "Shows why a plan was made and what it is expected to change."),
        new("EXPLAIN ROUTE", "EXPLAIN ROUTE statement", "Shows which nodes a statement would go to; runs nothing."),
        new("SHOW NODES", "SHOW NODES", "Lists the nodes."),
        new("SHOW TABLES", "SHOW TABLES", "Lists sharded and replicated tables."),
        new("SHOW GROUPS", "SHOW GROUPS", "Lists table groups."),
        new("SHOW RANGES", "SHOW RANGES", "Lists ranges with owner, state, size and load."),
        new("SHOW LOAD", "SHOW LOAD", "Shows the load of nodes and ranges over the last window."),
        new("SHOW GRAPH", "SHOW GRAPH", "Shows which tables are used together.", IsAvailable: false),
        new("SHOW HOT KEYS", "SHOW HOT KEYS", "Shows the keys with the most load.", IsAvailable: false),
        new("SHOW FORECASTS", "SHOW FORECASTS", "Shows the predicted load of every range, step by step."),
        new("SHOW PLANS", "SHOW PLANS", "Lists the planner's last plans with their reasons."),
        new("SHOW MIGRATIONS", "SHOW MIGRATIONS", "Lists migrations with progress."),
        new("SHOW DRIFT", "SHOW DRIFT", "Lists where sharded and replicated tables differ between the nodes."),
        new("SHOW PROXIES", "SHOW PROXIES", "Lists the proxies that share the catalog, which of them leads, and which are silent."),
        new("SHOW REDIRECTIONS", "SHOW REDIRECTIONS", "Lists the last statements that were held, read ahead or fenced because a range moved."),
        new("SHOW ALERTS", "SHOW ALERTS", "Lists alerts.", IsAvailable: false),
        new("SHOW SESSIONS", "SHOW SESSIONS", "Lists client sessions."),
        new("SHOW POOLS", "SHOW POOLS", "Lists server connection pools."),
        new("SHOW STATEMENTS", "SHOW STATEMENTS", "Lists statement shapes, the most called first; literals are left out."),
        new("SHOW CONFIG", "SHOW CONFIG", "Shows the configuration in force, secrets masked."),
        new("SHOW VERSION", "SHOW VERSION", "Shows the version of this proxy."),
        new("PAUSE", "PAUSE [database]", "Holds what begins anew on a database, or on all, and returns when nothing is under way there."),
        new("RESUME", "RESUME [database]", "Lets held transactions go on."),
        new("RELOAD", "RELOAD", "Reads the configuration file, the user file and the certificates again; what cannot change while the proxy runs is listed."),
        new("KILL", "KILL session", "Ends a client session, by its id in SHOW SESSIONS."),
        new("HELP", "HELP", "Lists these statements."),
    ];

    /// <summary>
    /// The statement most like <paramref name="words"/>: compared word by word with the keywords, by the share of edits needed.
    /// </summary>
    public static StatementSyntax Nearest(ReadOnlySpan<string> words)
    {
        var best = Statements[^1];
        var bestCost = double.MaxValue;
        foreach (var candidate in Statements)
        {
            var keywords = candidate.Keywords.Split(' ');
            var cost = 0.0;
            for (var i = 0; i < keywords.Length; i++)
            {
                // The first word says most about what was meant.
                var weight = i == 0 ? 2.0 : 1.0;
                cost += weight * (i < words.Length ? EditShare(words[i].ToUpperInvariant(), keywords[i]) : 0.6);
            }

            cost /= keywords.Length + 1;
            if (cost < bestCost)
            {
                (best, bestCost) = (candidate, cost);
            }
        }

        return best;
    }

    /// <summary>Edits between two words as a share of the longer one: 0 equal, 1 nothing in common.</summary>
    private static double EditShare(string a, string b)
    {
        var previous = new int[b.Length + 1];
        var current = new int[b.Length + 1];
        for (var j = 0; j <= b.Length; j++)
        {
            previous[j] = j;
        }

        for (var i = 1; i <= a.Length; i++)
        {
            current[0] = i;
            for (var j = 1; j <= b.Length; j++)
            {
                var substitution = previous[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
                current[j] = Math.Min(substitution, Math.Min(previous[j], current[j - 1]) + 1);
            }

            (previous, current) = (current, previous);
        }

        return (double)previous[b.Length] / Math.Max(a.Length, b.Length);
    }
}
