using System.Buffers.Binary;
using System.Net;
using NUnit.Framework;
using ShardProxy.TestKit.Clusters;
using ShardProxy.TestKit.Wire;
using static ShardProxy.TestKit.Wire.Frontend;

namespace ShardProxy.Functional.Tests.DataPath;

/// <summary>
/// Protects everyone from one hostile client: whatever it sends, it gets an error or a closed connection, and the next client is served
/// at once by a proxy whose server connections are all in order.
/// </summary>
[TestFixture]
internal sealed class HostileInputTests : DataPathFixture
{
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(2);

    // No message names the table "untouched": a mutated one may well be a valid statement that writes to the others and commits.
    protected override Placement Tables { get; } = new Placement()
        .Sharded("a", "id int4, v text", "id").Sharded("untouched", "id int4, v text", "id").Replicated("ref", "id int4, v text");

    protected override string Ddl => "CREATE TABLE a (id int PRIMARY KEY, v text); CREATE TABLE untouched (id int PRIMARY KEY, v text); CREATE TABLE ref (id int PRIMARY KEY, v text);";

    // Small, so that one spoiled server connection is met by the next client.
    protected override int PoolSize => 2;

    private static IEnumerable<TestCaseData> AfterLogin()
    {
        foreach (var (name, bytes) in Messages())
        {
            yield return new TestCaseData(bytes).SetArgDisplayNames(name);
        }
    }

    private static IEnumerable<(string Name, byte[] Bytes)> Messages()
    {
        yield return ("length 0", Raw('Q', [], 0));
        yield return ("length 3", Raw('Q', [], 3));
        yield return ("negative length", Raw('Q', "SELECT 1\0"u8, -1));
        yield return ("smallest length", Raw('Q', "SELECT 1\0"u8, int.MinValue));
        yield return ("greatest length", Raw('Q', "SELECT 1\0"u8, int.MaxValue));
        yield return ("truncated", Raw('Q', "SELECT 1\0"u8, 100));
        yield return ("unknown type", Raw('?', "x"u8));
        yield return ("type 0", Raw('\0', "x"u8));
        yield return ("password again", Raw('p', "secret\0"u8));
        yield return ("server's message", Raw('Z', "I"u8));
        yield return ("query without end", Raw('Q', "SELECT 1"u8));
        yield return ("empty query message", Raw('Q', []));
        yield return ("NUL in a query", Raw('Q', "SELECT 1\0; SELECT 2\0"u8));
        yield return ("invalid UTF-8", Raw('Q', [.. "SELECT '"u8, 0xff, 0xfe, 0xc0, 0x80, .. "'\0"u8]));
        yield return ("invalid UTF-8 identifier", Raw('Q', [.. "SELECT * FROM \""u8, 0xed, 0xa0, 0x80, .. "\"\0"u8]));
        yield return ("unterminated everything", Query("SELECT $x$ 'a \" /* "));
        yield return ("long expression", Query("SELECT 1" + string.Concat(Enumerable.Repeat("+1", 100_000))));
        yield return ("long condition", Query("SELECT * FROM a WHERE " + string.Join(" OR ", Enumerable.Repeat("id=1", 100_000))));
        yield return ("deep parentheses", Query("SELECT " + new string('(', 100_000) + "1" + new string(')', 100_000)));
        yield return ("deep arrays", Query("SELECT " + string.Concat(Enumerable.Repeat("array[", 50_000))));
        yield return ("long IN list", Query("SELECT * FROM a WHERE id IN (" + string.Join(',', Enumerable.Range(0, 50_000)) + ")"));
        yield return ("long VALUES", Query("INSERT INTO a VALUES " + string.Join(',', Enumerable.Range(0, 50_000).Select(i => $"({i})"))));
        yield return ("many statements", Query(string.Concat(Enumerable.Repeat("SELECT 1;", 20_000))));
        yield return ("long expression, parsed", [.. Parse("SELECT 1" + string.Concat(Enumerable.Repeat("-1", 100_000))), .. Sync()]);
        yield return ("parse without end", [.. Raw('P', "name\0SELECT 1"u8), .. Sync()]);
        yield return ("parse with too many types", [.. Raw('P', [0, .. "SELECT 1\0"u8, 0x7f, 0xff]), .. Sync()]);
        yield return ("parse with minus one types", [.. Raw('P', [0, .. "SELECT 1\0"u8, 0xff, 0xff]), .. Sync()]);
        yield return ("parse with trailing bytes", [.. Raw('P', [0, .. "SELECT 1\0"u8, 0, 0, 1, 2, 3]), .. Sync()]);
        yield return ("bind of 65535 parameters", [.. Parse("SELECT $1"), .. Raw('B', [0, 0, 0, 0, 0xff, 0xff, 0, 0]), .. Sync()]);
        yield return ("bind with 65535 formats", [.. Parse("SELECT $1"), .. Raw('B', [0, 0, 0xff, 0xff, 0, 0, 0, 0]), .. Sync()]);
        yield return ("bind beyond the message", [.. Parse("SELECT $1"), .. Raw('B', [0, 0, 0, 0, 0, 1, 0x7f, 0xff, 0xff, 0xff, 0, 0]), .. Sync()]);
        yield return ("bind with a negative length", [.. Parse("SELECT $1"), .. Raw('B', [0, 0, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xf0, 0, 0]), .. Sync()]);
        yield return ("bind with an odd format", [.. Parse("SELECT $1"), .. Bind("", "", [77], ["1"u8.ToArray()], [99]), .. Execute(), .. Sync()]);
        yield return ("bind with wrong binary", [.. Parse("SELECT * FROM a WHERE id = $1"), .. Bind("", "", [1], [[1, 2, 3]], []), .. Execute(), .. Sync()]);
        yield return ("bind with minus one result formats", [.. Parse("SELECT 1"), .. Raw('B', [0, 0, 0, 0, 0, 0, 0xff, 0xff]), .. Sync()]);
        yield return ("bind without names", [.. Parse("SELECT 1"), .. Raw('B', "abc"u8), .. Sync()]);
        yield return ("empty bind", [.. Raw('B', []), .. Sync()]);
        yield return ("describe what", [.. Raw('D', "X\0"u8), .. Sync()]);
        yield return ("empty describe", [.. Raw('D', []), .. Sync()]);
        yield return ("empty execute", [.. Raw('E', []), .. Sync()]);
        yield return ("execute with a negative limit", [.. Parse("SELECT 1"), .. Bind(), .. Execute("", -5), .. Sync()]);
        yield return ("empty close", [.. Raw('C', []), .. Sync()]);
        yield return ("sync with a payload", [.. Raw('S', "payload"u8)]);
        yield return ("copy messages out of place", [.. CopyData("x"), .. CopyDone(), .. CopyFail("y"), .. Query("SELECT 1")]);
        yield return ("query in the middle of a copy", [.. Query("COPY ref FROM STDIN"), .. CopyData("1\ta\n"), .. Query("SELECT 1")]);
        yield return ("query in the middle of a split copy", [.. Query("COPY a FROM STDIN"), .. CopyData("1\ta\n"), .. Query("SELECT 1")]);
        yield return ("parse in the middle of an extended copy", [.. Parse("COPY ref FROM STDIN"), .. Bind(), .. Execute(), .. Parse("SELECT 1"), .. Sync()]);
        yield return ("copy fail without end", [.. Query("COPY a FROM STDIN"), .. Raw('f', "no end"u8)]);
        yield return ("copy cut off", [.. Query("COPY a FROM STDIN"), .. CopyData("1\ta\n2\t")]);
        yield return ("function call that is none", [.. Raw('F', [1, 2, 3])]);
        yield return ("function call of nothing", FunctionCall());
        yield return ("block cut off", [.. Query("BEGIN"), .. Query("INSERT INTO a VALUES (1)"), .. Raw('Q', "x"u8, 50)]);
        yield return ("start-up packet again", Startup([new("user", "app")]));
        yield return ("garbage", [.. Enumerable.Range(0, 5000).Select(i => (byte)((i * 7919) >> 3))]);
        yield return ("savepoint with a NUL name", Query("BEGIN; SAVEPOINT \"a\0b\""));
    }

    [TestCaseSource(nameof(AfterLogin))]
    public async Task OneClientsGarbageIsItsOwnProblem(byte[] bytes)
    {
        using var witness = await Proxy.LoginAsync();
        using (var hostile = await Proxy.LoginAsync())
        {
            await hostile.SendAsync(bytes);

            // An answer, or the end: what it must not be is the proxy's end. Some of these wait for more bytes, like any server: they leave.
            hostile.CloseWriting();
            hostile.Deadline = TimeSpan.FromSeconds(20);
            var reply = await hostile.ReadUntilAsync('\0');
            Assert.That(reply.Messages.Where(m => m.Type == 'E').Select(m => m.Field('C')), Has.None.StartsWith("XX"), reply.ToString());
        }

        await ServesOthersAsync(witness);
    }

    [Test]
    public async Task OneClientsGarbageOfAnyKindIsItsOwnProblem([Values(10591493, null)] int? replay)
    {
        var seed = replay ?? Environment.TickCount;
        await TestContext.Out.WriteLineAsync($"seed {seed}");
        var random = new Random(seed);
        var honest = Messages().Select(m => m.Bytes).Where(b => b.Length < 5000).Concat(
        [
            Query("SELECT 1"), [.. Parse("SELECT * FROM a WHERE id = $1"), .. Bind(values: "1"), .. DescribePortal(), .. Execute(), .. Sync()],
            [.. Query("BEGIN"), .. Query("INSERT INTO a VALUES (1, 'x')"), .. Query("ROLLBACK")], [.. Query("COPY a FROM STDIN"), .. CopyData("5\tx\n"), .. CopyFail("no")],
        ]).ToArray();
        using var witness = await Proxy.LoginAsync();
        for (var round = 0; round < 200; round++)
        {
            using var hostile = await Proxy.LoginAsync();
            var bytes = new List<byte>();
            for (var i = random.Next(1, 6); i > 0; i--)
            {
                bytes.AddRange(honest[random.Next(honest.Length)]);
            }

            var mutated = bytes.ToArray();
            for (var i = random.Next(0, 4); i > 0; i--)
            {
                mutated[random.Next(mutated.Length)] = (byte)random.Next(256);
            }

            try
            {
                await hostile.SendAsync(mutated.AsMemory(0, random.Next(3) == 0 ? random.Next(mutated.Length) : mutated.Length));
                if (random.Next(2) == 0)
                {
                    hostile.Reset();
                }
                else
                {
                    hostile.CloseWriting();
                    await hostile.ReadUntilAsync('\0');
                }
            }
            catch (Exception e) when (e is IOException or EndOfStreamException)
            {
                // Cut off in the middle: its own problem.
            }

            if (round % 20 == 0)
            {
                await ServesOthersAsync(witness);
            }
        }

        await ServesOthersAsync(witness);
    }

    [Test]
    public async Task WhoLeavesBeforeTheStartUpPacketHearsNothing()
    {
        using var client = await ScriptedClient.ConnectAsync(new IPEndPoint(IPAddress.Loopback, Proxy.Port));
        await client.SendAsync(Terminate());
        Assert.That(await client.ReadByteAsync(), Is.Null);
    }

    private static IEnumerable<TestCaseData> BeforeLogin()
    {
        byte[] Packet(int length, params byte[] rest)
        {
            var bytes = new byte[4 + rest.Length];
            BinaryPrimitives.WriteInt32BigEndian(bytes, length);
            rest.CopyTo(bytes, 4);
            return bytes;
        }

        (string, byte[])[] cases =
        [
            ("nothing", []), ("length 0", Packet(0)), ("negative length", Packet(-8)), ("huge length", Packet(int.MaxValue, 0, 3, 0, 0)), ("too short", Packet(6, 0, 3)),
            ("protocol 2", Startup(2 << 16, [])), ("protocol 9", Startup(9 << 16, [])), ("no user", Startup([new("database", "app")])), ("empty user", Startup([new("user", "")])),
            ("odd parameters", Packet(16, 0, 3, 0, 0, (byte)'u', (byte)'s', 0, (byte)'x', 0, 0, 0, 0)), ("no terminator", Packet(13, 0, 3, 0, 0, (byte)'u', 0, (byte)'x', 0, 1)),
            ("HTTP", "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"u8.ToArray()), ("TLS hello", [0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]), ("ssl again and again", [.. SslRequest(), .. SslRequest(), .. SslRequest(), .. SslRequest()]),
            ("query before login", Query("SELECT 1")), ("cancel of nobody", CancelRequest(123456, 1)), ("short cancel", Packet(12, 4, 0xd2, 0x16, 0x2e, 0, 0, 0, 1)),
            ("password first", Password("x")), ("query for password", [.. Startup([new("user", TestCluster.User)]), .. Query("SELECT 1")]),
            ("unknown mechanism", [.. Startup([new("user", TestCluster.User)]), .. SaslInitialResponse("SCRAM-SHA-256-PLUS", [1])]),
            ("garbage for SCRAM", [.. Startup([new("user", TestCluster.User)]), .. SaslInitialResponse("SCRAM-SHA-256", "n,,n=,r="u8.ToArray())]),
            ("huge password", [.. Startup([new("user", TestCluster.User)]), .. Raw('p', [], 1 << 30)]),
            ("replication", Startup([new("user", TestCluster.User), new("replication", "database")])),
        ];
        return cases.Select(c => new TestCaseData(c.Item2).SetArgDisplayNames(c.Item1));
    }

    [TestCaseSource(nameof(BeforeLogin))]
    public async Task NobodyGetsInWithGarbage(byte[] bytes)
    {
        using var witness = await Proxy.LoginAsync();
        using var hostile = await ScriptedClient.ConnectAsync(new IPEndPoint(IPAddress.Loopback, Proxy.Port));
        await hostile.SendAsync(bytes);
        hostile.CloseWriting();
        hostile.Deadline = TimeSpan.FromSeconds(10);
        try
        {
            var reply = await hostile.ReadUntilAsync('\0');
            Assert.That(reply.Messages.Where(m => m.Type == 'R' && m.Authentication().Code == 0), Is.Empty, "it was let in");
        }
        catch (InvalidDataException)
        {
            // The one-byte answers to encryption requests are no messages.
        }
        catch (EndOfStreamException)
        {
            // Likewise.
        }

        await ServesOthersAsync(witness);
    }

    [Test]
    public async Task PasswordsAreProven()
    {
        foreach (var (user, password) in new[] { (TestCluster.User, "wrong"), (TestCluster.User, ""), ("nobody", TestCluster.Password), ("postgres", "x") })
        {
            using var client = await ScriptedClient.ConnectAsync(new IPEndPoint(IPAddress.Loopback, Proxy.Port));
            var reply = await client.StartAsync(user, Database, password);
            Assert.That((reply.SqlState, reply.Errors.Single().Field('S')), Is.EqualTo(("28P01", "FATAL")), reply.ToString());
            Assert.That(await client.ReadAsync(), Is.Null, "the connection stays open");
        }

        using var right = await Proxy.LoginAsync();
        Assert.That((await right.QueryAsync("SELECT current_user")).Rows.Single().Single(), Is.EqualTo(TestCluster.User));
        using var missing = await ScriptedClient.ConnectAsync(new IPEndPoint(IPAddress.Loopback, Proxy.Port));
        Assert.That((await missing.StartAsync(TestCluster.User, "no_such_database", TestCluster.Password)).SqlState, Is.EqualTo("3D000"), "the home node says so");
    }

    [Test]
    public async Task ASlowLoginIsCutOff()
    {
        await using var proxy = await ProxyUnderTest.StartAsync(Cluster, Database, Tables, o => o with { LoginTimeout = TimeSpan.FromMilliseconds(300) });
        using var silent = await ScriptedClient.ConnectAsync(new IPEndPoint(IPAddress.Loopback, proxy.Port));
        using var slow = await ScriptedClient.ConnectAsync(new IPEndPoint(IPAddress.Loopback, proxy.Port));
        await slow.SendAsync(Startup([new("user", TestCluster.User)]));
        await slow.ReadAsync();
        Assert.That(await silent.ReadAsync(), Is.Null);
        Assert.That((await slow.ReadUntilAsync('\0')).Status, Is.Null);
        using var next = await proxy.LoginAsync();
        Assert.That((await next.QueryAsync("SELECT 1")).Status, Is.EqualTo('I'));
    }

    [Test]
    public async Task AFloodOfMessagesCostsItsSenderOnly()
    {
        await using var proxy = await StartProxyAsync(poolSize: 5);
        using var witness = await proxy.LoginAsync();
        using (var syncs = await proxy.LoginAsync())
        {
            await syncs.SendAsync([.. Enumerable.Repeat(Sync(), 20_000).SelectMany(s => s)]);
            for (var i = 0; i < 20_000; i++)
            {
                Assert.That((await syncs.ReadAsync())!.Type, Is.EqualTo('Z'));
            }
        }

        // Requests that are never synced and replies that are never read: memory stays bounded, and the work of others goes on.
        using var hoarder = await proxy.LoginAsync();
        var before = GC.GetTotalMemory(forceFullCollection: true);
        byte[] batch = [.. Enumerable.Repeat<byte[]>([.. Bind("p"), .. Execute(), .. CloseStatement("none")], 5_000).SelectMany(b => b)];
        await hoarder.SendAsync(Parse("SELECT repeat('x', 1000)", "p"));
        using var stop = new CancellationTokenSource(TimeSpan.FromSeconds(3));
        try
        {
            for (var i = 0; i < 200; i++)
            {
                await hoarder.SendAsync(batch, stop.Token);
            }
        }
        catch (OperationCanceledException)
        {
            // The proxy takes no more until the client reads: just what it should do.
        }

        Assert.That(GC.GetTotalMemory(forceFullCollection: true) - before, Is.LessThan(64 << 20));
        await ServesOthersAsync(witness, proxy);
    }

    private async Task ServesOthersAsync(ScriptedClient witness, ProxyUnderTest? proxy = null)
    {
        witness.Deadline = Soon;
        Assert.That((await witness.QueryAsync("SELECT 'still here'")).ToString(), Is.EqualTo("T[?column?:25]\nD[still here]\nC[SELECT 1]\nZ[I]"));
        using var next = await (proxy ?? Proxy).LoginAsync();
        next.Deadline = Soon;

        // Through every server connection of the pools.
        for (var i = 0; i < 4; i++)
        {
            Assert.That((await next.QueryAsync("BEGIN")).ToString(), Is.EqualTo("C[BEGIN]\nZ[T]"));
            Assert.That((await next.ExecuteAsync("SELECT count(*) FROM untouched")).ToString(), Is.EqualTo("1\n2\nT[count:20]\nD[0]\nC[SELECT 1]\nZ[T]"));
            Assert.That((await witness.QueryAsync("SELECT v FROM untouched WHERE id = 3")).Types, Is.EqualTo("TCZ"));
            Assert.That((await next.QueryAsync("COMMIT")).ToString(), Is.EqualTo("C[COMMIT]\nZ[I]"));
        }
    }
}
