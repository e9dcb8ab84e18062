using ShardProxy.TestKit.Clusters;
using ShardProxy.TestKit.Wire;
using static ShardProxy.TestKit.Wire.Frontend;

namespace ShardProxy.Stress.Hostile;

/// <summary>Honest traffic, from which <see cref="Mutator"/> makes the other kind.</summary>
internal static class Corpus
{
    /// <summary>What a client may send before it is let in. None of it proves a password.</summary>
    public static readonly byte[][] BeforeLogin =
    [
        Startup([new("user", TestCluster.User), new("database", TestCluster.Database)]),
        Startup([new("user", TestCluster.User), new("database", "shardproxy")]),
        Startup((3 << 16) | 2, [new("user", TestCluster.User), new("_pq_.unknown", "1")]),
        Startup([new("user", TestCluster.User), new("options", "-c work_mem=64kB -c search_path=a\\ b,public"), new("client_encoding", "LATIN1")]),
        Startup([new("user", TestCluster.User), new("replication", "database")]),
        SslRequest(), GssEncryptionRequest(), CancelRequest(1, 2), Password("wrong"),
        SaslInitialResponse("SCRAM-SHA-256", "n,,n=,r=abcdefghijklmnop"u8.ToArray()), SaslInitialResponse("SCRAM-SHA-256-PLUS", "p=tls-server-end-point,,n=,r=x"u8.ToArray()),
        SaslResponse("c=biws,r=abcdefghijklmnop,p=AAAA"u8.ToArray()), Query("SELECT 1"), Terminate(),
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n"u8.ToArray(), [0x16, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3],
    ];

    /// <summary>What a client may send once it is in; tables <c>plain</c> and <c>spread</c> exist.</summary>
    public static readonly byte[][] AfterLogin =
    [
        Query("SELECT 1"), Query("SELECT 1; SELECT 2"), Query(""), Query("SELECT * FROM spread WHERE id = 7"), Query("SELECT count(*) FROM spread"),
        Query("BEGIN"), Query("COMMIT"), Query("ROLLBACK"), Query("SAVEPOINT s"), Query("ROLLBACK TO s"), Query("INSERT INTO spread VALUES (7, 'x') ON CONFLICT DO NOTHING"),
        Query("UPDATE plain SET v = v WHERE id = 1"), Query("SELECT $$ unterminated"), Query("SELECT 'é' /* c */ -- d"), Query("SET work_mem = '1MB'"), Query("RESET ALL"),
        Query("SET application_name = 'evil'"), Query("LISTEN c"), Query("NOTIFY c, 'x'"), Query("UNLISTEN *"), Query("PREPARE q AS SELECT 1"), Query("EXECUTE q"),
        Query("DISCARD ALL"), Query("CREATE TEMP TABLE IF NOT EXISTS tt (a int)"), Query("DECLARE c CURSOR FOR SELECT generate_series(1, 1000)"), Query("FETCH 10 FROM c"),
        Query("COPY plain TO STDOUT"), Query("COPY plain FROM STDIN"), Query("COPY spread FROM STDIN"), CopyData("1\tx\n"), CopyData("1\t"), CopyDone(), CopyFail("no"),
        Query("SELECT repeat('x', 100000) FROM generate_series(1, 50)"), Query("SELECT pg_sleep(0.01)"), Query("DO $$ BEGIN RAISE NOTICE 'n'; END $$"),
        Query("SELECT pg_advisory_lock(1)"), Query("SELECT pg_advisory_unlock_all()"), Query("SELECT set_config('search_path', 'public', false)"),
        Parse("SELECT * FROM spread WHERE id = $1"), Parse("SELECT $1::int + $2::int", "two"), Parse("SELECT 1", "one"), Parse("bad syntax here", "bad"),
        Bind(values: "1"), Bind("two", "p", "1", "2"), Bind("one"), Bind("", "", [1], [[0, 0, 0, 7]], [1]), DescribeStatement("two"), DescribePortal("p"), DescribePortal(),
        Execute(), Execute("p", 1), Execute("", 5), CloseStatement("two"), ClosePortal("p"), Sync(), Sync(), Sync(), Flush(), FunctionCall(), Terminate(),
        Raw('F', [0, 0, 5, 120, 0, 0, 0, 0, 0, 0]), Raw('p', "x\0"u8), Raw('?', "??"u8), Raw('Q', "SELECT 1\0"u8, 2_000_000_000), Raw('d', new byte[5000]),
    ];
}
