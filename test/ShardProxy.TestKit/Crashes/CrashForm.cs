using ShardProxy.TestKit.Wire;

namespace ShardProxy.TestKit.Crashes;

/// <summary>One kind of write over several nodes that is either done or not, whenever the proxy dies.</summary>
/// <param name="Name">For the output.</param>
/// <param name="Messages">What the client sends, for rows that only this number has; each ends with ReadyForQuery.</param>
/// <param name="State">What to ask each node for afterwards, past the proxy; the nodes' numbers are added.</param>
/// <param name="Undone">Their sum before.</param>
/// <param name="Done">Their sum after.</param>
internal sealed record CrashForm(string Name, Func<int, byte[][]> Messages, Func<int, string> State, long Undone, long Done)
{
    /// <summary>Rows of each number in a table that it starts from, and that it makes.</summary>
    public const int Rows = 6;

    public const string Ddl = """
        CREATE TABLE a (id int PRIMARY KEY, n int, v text);
        CREATE TABLE b (k text PRIMARY KEY, n int, id int);
        CREATE TABLE r (id int PRIMARY KEY, n int, v text);
        CREATE TABLE p (id int PRIMARY KEY, n int);
        """;

    public static readonly string[] Placement = ["SHARD TABLE a BY HASH (id)", "SHARD TABLE b BY HASH (k)", "REPLICATE TABLE r"];

    /// <summary>The rows that a number's form starts from.</summary>
    public static IEnumerable<string> Start(int n)
    {
        var (first, last) = (n * 100, (n * 100) + Rows - 1);
        yield return $"INSERT INTO a SELECT i, {n}, 'old' FROM generate_series({first}, {last}) i";
        yield return $"INSERT INTO b SELECT 'b' || i, {n}, i FROM generate_series({first}, {last}) i";
        yield return $"INSERT INTO p SELECT i, {n} FROM generate_series({first}, {last}) i";
        yield return $"INSERT INTO r VALUES ({first}, {n}, 'old')";
    }

    public static readonly CrashForm[] All =
    [
        new("INSERT of several rows", n => Query($"INSERT INTO a VALUES {string.Join(", ", New(n).Select(i => $"({i}, {n}, 'new')"))}"), NewRows, 0, Rows),
        new("INSERT … SELECT pulled from another group", n => Query($"INSERT INTO a SELECT id + 50, n, 'new' FROM b WHERE n = {n}"), NewRows, 0, Rows),
        new("INSERT … SELECT with ON CONFLICT", n => Query($"INSERT INTO a SELECT id, n, 'new' FROM b WHERE n = {n} ON CONFLICT (id) DO UPDATE SET v = excluded.v"), Changed, 0, Rows),
        new("UPDATE on all nodes", n => Query($"UPDATE a SET v = 'new' WHERE n = {n}"), Changed, 0, Rows),
        new("UPDATE with rows of another group", n => Query($"UPDATE a SET v = 'new' FROM b WHERE b.id = a.id AND b.n = {n}"), Changed, 0, Rows),
        new("DELETE on all nodes", n => Query($"DELETE FROM a WHERE n = {n}"), n => $"SELECT count(*) FROM a WHERE n = {n}", Rows, 0),
        new("UPDATE of the key", n => Moves(n), n => $"SELECT coalesce(sum(CASE WHEN id % 100 < 50 THEN 1 ELSE 100 END), 0) FROM a WHERE n = {n}", Rows, 100 * Rows),
        new("WITH that writes", n => Query($"WITH gone AS (DELETE FROM b WHERE n = {n} RETURNING id, n), u AS (UPDATE p SET n = -n WHERE n = {n}) INSERT INTO a SELECT id + 50, n, 'new' FROM gone"),
            n => $"SELECT (SELECT count(*) FROM a WHERE n = {n} AND v = 'new') - (SELECT count(*) FROM b WHERE n = {n}) * 100", -100 * Rows, Rows),
        new("MERGE", n => Query($"MERGE INTO a USING (SELECT id + 2 AS id FROM p WHERE n = {n}) s ON a.id = s.id WHEN MATCHED THEN UPDATE SET v = 'new' WHEN NOT MATCHED THEN INSERT VALUES (s.id, {n}, 'new')"), Changed, 0, Rows),
        new("a string of statements", n => Query($"INSERT INTO a VALUES {string.Join(", ", New(n).Select(i => $"({i}, {n}, 'new')"))}; DELETE FROM b WHERE n = {n}; UPDATE r SET v = 'new' WHERE n = {n}"),
            n => $"SELECT (SELECT count(*) FROM a WHERE n = {n} AND v = 'new') + (SELECT count(*) FROM r WHERE n = {n} AND v = 'new') * 10 - (SELECT count(*) FROM b WHERE n = {n}) * 100", -100 * Rows, Rows + 30),
        new("CREATE TABLE AS", n => Query($"CREATE TABLE made_{n} AS SELECT * FROM a WHERE n = {n}"),
            n => $"SELECT coalesce((SELECT 100 + (pg_relation_size(oid) > 0)::int FROM pg_class WHERE relname = 'made_{n}'), 0)", 0, 101),
        new("CREATE TYPE", n => Query($"CREATE TYPE kind_{n} AS ENUM ('x')"), n => $"SELECT count(*) FROM pg_type WHERE typname = 'kind_{n}'", 0, 3),
        new("a pipeline without a block", n => Pipeline(n), NewRows, 0, Rows),
        new("INSERT into a replicated table", n => Query($"INSERT INTO r VALUES ({(n * 100) + 50}, {n}, 'new')"), n => $"SELECT count(*) FROM r WHERE n = {n} AND v = 'new'", 0, 3),
        new("UPDATE of a replicated table", n => Query($"UPDATE r SET v = 'new' WHERE n = {n}"), n => $"SELECT count(*) FROM r WHERE n = {n} AND v = 'new'", 0, 3),
        new("COPY", n => [Sum([Frontend.Query("COPY a FROM STDIN"), Frontend.CopyData(string.Concat(New(n).Select(i => $"{i}\t{n}\tnew\n"))), Frontend.CopyDone()])], NewRows, 0, Rows),
        new("a block with savepoints", n =>
            [
                .. Query("BEGIN"), .. Query($"UPDATE a SET v = 'new' WHERE n = {n}"), .. Query("SAVEPOINT s"), .. Query($"DELETE FROM a WHERE n = {n}"), .. Query("ROLLBACK TO s"),
                .. Query($"UPDATE r SET v = 'new' WHERE n = {n}"), .. Query("COMMIT"),
            ],
            n => $"SELECT (SELECT count(*) FROM a WHERE n = {n} AND v = 'new') + (SELECT count(*) FROM r WHERE n = {n} AND v = 'new') * 10", 0, Rows + 30),
    ];

    private static IEnumerable<int> New(int n) => Enumerable.Range((n * 100) + 50, Rows);

    private static string NewRows(int n) => $"SELECT count(*) FROM a WHERE n = {n} AND v = 'new' AND id % 100 >= 50";

    private static string Changed(int n) => $"SELECT count(*) FROM a WHERE n = {n} AND v = 'new'";

    private static byte[][] Query(string sql) => [Frontend.Query(sql)];

    private static byte[] Sum(IEnumerable<byte[]> messages) => [.. messages.SelectMany(m => m)];

    private static byte[][] Pipeline(int n) =>
        [Sum([.. New(n).SelectMany(i => new[] { Frontend.Parse("INSERT INTO a VALUES ($1, $2, 'new')", ""), Frontend.Bind("", "", $"{i}", $"{n}"), Frontend.Execute() }), Frontend.Sync()])];

    // Each moves one row; all in one transaction.
    private static byte[][] Moves(int n) =>
        [.. Query("BEGIN"), .. Enumerable.Range(n * 100, Rows).SelectMany(i => Query($"UPDATE a SET id = {i + 50}, v = 'new' WHERE id = {i}")), .. Query("COMMIT")];
}
