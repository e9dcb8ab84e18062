using System.Net;
using System.Text;
using NUnit.Framework;
using ShardProxy.TestKit.Wire;
using static ShardProxy.TestKit.Wire.Frontend;

namespace ShardProxy.Functional.Tests.DataPath;

/// <summary>
/// Protects laws 2 and 3 when servers go away: a write whose outcome is unknown says 08007 and is never sent twice, a block that lost a part
/// can only be rolled back, and the next client has a working server. The servers are fakes that cut the connection where a test wants it.
/// </summary>
[TestFixture]
internal sealed class ServerLossTests
{
    private static readonly Placement Tables = new Placement().Sharded("a", "id int4, v text", "id").Replicated("ref", "id int4, v text");

    // By PostgreSQL's hash, in ranges that alternate between the nodes: found in Key().
    private readonly Dictionary<int, string> _keys = [];

    [TestCase("SELECT v FROM plain", "08006")]
    [TestCase("INSERT INTO plain VALUES (1)", "08007")]
    [TestCase("SELECT unknown_function()", "08007")]
    public async Task AStatementOutsideABlock(string sql, string sqlState)
    {
        foreach (var extended in new[] { false, true })
        {
            var cut = 1;
            await using var home = FakeBackend.Start(text => text == sql && Interlocked.Exchange(ref cut, 0) == 1 ? FakeReply.Reset() : FakeReply.Command("OK"));
            await using var proxy = await StartAsync(home);
            using var client = await proxy.LoginAsync();
            var reply = extended ? await client.ExecuteAsync(sql) : await client.QueryAsync(sql);
            Assert.That((reply.SqlState, reply.Status), Is.EqualTo((sqlState, 'I')), reply.ToString());
            Assert.That(home.Received.Count(m => m.Type is 'Q' or 'P' && Encoding.UTF8.GetString(m.Body).Contains(sql, StringComparison.Ordinal)), Is.EqualTo(1), "it was sent again");
            Assert.That((await client.QueryAsync("SELECT 2")).ToString(), Is.EqualTo("C[OK]\nZ[I]"));
        }
    }

    [Test]
    public async Task AStatementCutInTheMiddleOfItsRows()
    {
        var rows = FakeReply.Rows(["x"], ["1"], ["2"]);
        await using var home = FakeBackend.Start(text => text == "SELECT rows" ? FakeReply.Raw(Backend.RowDescription("x"), Backend.DataRow("1"), Backend.DataRow("22")[..^1]).Then(FakeReply.Cut()) : rows);
        await using var proxy = await StartAsync(home);
        using var client = await proxy.LoginAsync();
        await client.SendAsync(Query("SELECT rows"));

        // Half a row was passed on already: the stream cannot be mended, so it ends.
        var messages = new List<WireMessage>();
        try
        {
            while (await client.ReadAsync() is { } message)
            {
                messages.Add(message);
            }
        }
        catch (EndOfStreamException)
        {
            // Inside the row.
        }

        Assert.That(messages.Select(m => m.Type), Is.EqualTo("TD"), "an answer was made up");
        using var next = await proxy.LoginAsync();
        Assert.That((await next.QueryAsync("SELECT 1")).Types, Is.EqualTo("TDDCZ"));
    }

    /// <summary>The same over several nodes, where the proxy carries the rows itself.</summary>
    [TestCase("SELECT v AS cut FROM a")]
    [TestCase("UPDATE a SET v = 'cut' RETURNING v")]
    public async Task AStatementOverNodesCutInTheMiddleOfItsRows(string sql)
    {
        await using var first = FakeBackend.Start(text => text.Contains("cut", StringComparison.Ordinal)
            ? FakeReply.Raw(Backend.RowDescription("v"), Backend.DataRow("1"), Backend.DataRow("22")[..^1]).Then(FakeReply.Cut())
            : FakeReply.Command("OK"));
        await using var second = FakeBackend.Start(_ => FakeReply.Command("OK"));
        await using var proxy = await StartAsync(first, second);
        using var client = await proxy.LoginAsync();
        await client.SendAsync(Query(sql));
        var messages = new List<WireMessage>();
        try
        {
            while (await client.ReadAsync() is { } message)
            {
                messages.Add(message);
            }
        }
        catch (EndOfStreamException)
        {
            // Inside the row.
        }

        Assert.That(messages.Select(m => m.Type), Is.EqualTo("TD"), "an answer was made up");
    }

    /// <summary>A server that says what it was not asked is closed: what it says next would be another client's answer.</summary>
    [Test]
    public async Task AServerThatAnswersUnaskedIsNotUsedAgain()
    {
        byte[][] surplus = [Backend.CommandComplete("OK"), Backend.ReadyForQuery('I'), Backend.BindComplete(), Backend.RowDescription("x"), Backend.DataRow("wrong"), Backend.CommandComplete("SELECT 1")];
        await using var home = FakeBackend.Start(text => text == "SELECT surplus" ? FakeReply.Raw(surplus) : FakeReply.Command("OK"));
        await using var proxy = await StartAsync(home);
        using (var client = await proxy.LoginAsync())
        {
            await client.SendAsync(Query("SELECT surplus"));
            try
            {
                while (await client.ReadAsync() is not null)
                {
                    // Whatever it is told: its connection ends.
                }
            }
            catch (EndOfStreamException)
            {
                // In the middle of something.
            }
        }

        for (var i = 0; i < 5; i++)
        {
            using var next = await proxy.LoginAsync();
            Assert.That((await next.QueryAsync("SELECT 2")).ToString(), Is.EqualTo("C[OK]\nZ[I]"));
        }
    }

    [Test]
    public async Task ABlockThatLostAPartCanOnlyBeRolledBack()
    {
        await using var first = FakeBackend.Start(_ => FakeReply.Command("OK"));
        await using var second = FakeBackend.Start(text => text.Contains("cut", StringComparison.Ordinal) ? FakeReply.Reset() : FakeReply.Command("OK"));
        await using var proxy = await StartAsync(first, second);
        using var client = await proxy.LoginAsync();
        await client.QueryAsync("BEGIN");
        await client.QueryAsync($"INSERT INTO a VALUES ({Key(proxy, 1)}, 'x')");
        await client.QueryAsync($"INSERT INTO a VALUES ({Key(proxy, 2)}, 'x')");
        await client.QueryAsync("SAVEPOINT s");
        var lost = await client.QueryAsync($"UPDATE a SET v = 'cut' WHERE id = {Key(proxy, 2)}");
        Assert.That((lost.SqlState, lost.Status), Is.EqualTo(("08006", 'E')), lost.ToString());

        // The savepoint would bring back a block that has silently lost one insert.
        var back = await client.QueryAsync("ROLLBACK TO s");
        Assert.That((back.SqlState, back.Status), Is.EqualTo(("08006", 'E')), back.ToString());
        Assert.That((await client.QueryAsync("COMMIT")).ToString(), Is.EqualTo("C[ROLLBACK]\nZ[I]"));
        Assert.That(Texts(first), Has.Member("ROLLBACK").And.None.StartsWith("COMMIT").And.None.StartsWith("PREPARE"));
        Assert.That((await client.QueryAsync("SELECT 1")).SqlState, Is.Null);
    }

    [Test]
    public async Task ACommitOfOneWriterWithoutAnAnswerIsUnknown()
    {
        await using var home = FakeBackend.Start(text => text == "COMMIT" ? FakeReply.Reset() : FakeReply.Command("OK"));
        await using var proxy = await StartAsync(home);
        using var client = await proxy.LoginAsync();
        await client.QueryAsync("BEGIN");
        await client.QueryAsync("INSERT INTO plain VALUES (1)");
        var reply = await client.QueryAsync("COMMIT");
        Assert.That((reply.SqlState, reply.Status), Is.EqualTo(("08007", 'I')), reply.ToString());
        Assert.That(Texts(home).Count(t => t == "COMMIT"), Is.EqualTo(1), "it was sent again");
    }

    [TestCase("PREPARE TRANSACTION", "08006", false)]
    [TestCase("SELECT shardproxy.record_commit", "08007", false)]
    [TestCase("COMMIT PREPARED", null, true)]
    public async Task ACommitOverNodesCutAtEachStep(string step, string? sqlState, bool committed)
    {
        // Fakes answer with the tags of the real thing.
        FakeReply Reply(string text) => text.StartsWith(step, StringComparison.Ordinal) ? FakeReply.Reset() : FakeReply.Command(
            text.Contains("COMMIT PREPARED", StringComparison.Ordinal) ? "COMMIT PREPARED" : text.StartsWith("PREPARE", StringComparison.Ordinal) ? "PREPARE TRANSACTION" : text.EndsWith("COMMIT", StringComparison.Ordinal) ? "COMMIT" : "OK");
        await using var first = FakeBackend.Start(Reply);
        await using var second = FakeBackend.Start(Reply);
        await using var proxy = await StartAsync(first, second);
        using var client = await proxy.LoginAsync();
        await client.QueryAsync("BEGIN");
        await client.QueryAsync($"INSERT INTO a VALUES ({Key(proxy, 1)}, 'x')");
        await client.QueryAsync($"INSERT INTO a VALUES ({Key(proxy, 2)}, 'x')");
        var reply = await client.QueryAsync("COMMIT");
        Assert.That((reply.SqlState, reply.Tags.SingleOrDefault(), reply.Status), Is.EqualTo((sqlState, committed ? "COMMIT" : null, 'I')), reply.ToString());
        if (step == "PREPARE TRANSACTION")
        {
            Assert.That(Texts(first), Has.Member("ROLLBACK"), "the deciding part is not undone");
            Assert.That(Texts(first), Has.None.Contains("record_commit"));
        }
        else if (!committed)
        {
            Assert.That(Texts(second), Has.None.StartsWith("COMMIT PREPARED").And.None.StartsWith("ROLLBACK PREPARED"), "an unknown decision was guessed");
        }

        Assert.That((await client.QueryAsync("SELECT 1")).SqlState, Is.Null);
    }

    [Test]
    public async Task APreparedPartThatRolledBackInsteadIsNotCommitted()
    {
        await using var first = FakeBackend.Start(text => FakeReply.Command(text.EndsWith("COMMIT", StringComparison.Ordinal) ? "COMMIT" : "OK"));
        await using var second = FakeBackend.Start(text => FakeReply.Command(text.StartsWith("PREPARE", StringComparison.Ordinal) ? "ROLLBACK" : "OK"));
        await using var proxy = await StartAsync(first, second);
        using var client = await proxy.LoginAsync();
        await client.QueryAsync("BEGIN");
        await client.QueryAsync($"INSERT INTO a VALUES ({Key(proxy, 1)}, 'x')");
        await client.QueryAsync($"INSERT INTO a VALUES ({Key(proxy, 2)}, 'x')");
        Assert.That((await client.QueryAsync("COMMIT")).SqlState, Is.EqualTo("40000"));
        Assert.That(Texts(first), Has.None.Contains("record_commit"));
    }

    [Test]
    public async Task IdleConnectionsThatDiedAreNobodysProblem()
    {
        await using var home = FakeBackend.Start(_ => FakeReply.Command("OK"));
        await using var proxy = await StartAsync(home);
        var clients = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => proxy.LoginAsync()));
        for (var round = 0; round < 200; round++)
        {
            await Task.WhenAll(clients.Select(c => c.QueryAsync("SELECT 1")));
            await home.SendToAllAsync(Backend.ErrorResponse("57P01", "terminating connection due to administrator command", "FATAL"));
            await UntilAsync(() =>
            {
                // One that was being opened for a client which another served first may come late.
                home.CutAll();
                return home.OpenConnections == 0;
            });

            var replies = await Task.WhenAll(clients.Select((c, i) => i % 2 == 0 ? c.QueryAsync("SELECT 1") : c.ExecuteAsync("SELECT 1")));
            foreach (var reply in replies)
            {
                // Cut while the request was under way: told, never hung and never closed.
                Assert.That(reply.SqlState, Is.Null.Or.EqualTo("08006"), reply.ToString());
                Assert.That(reply.Status, Is.EqualTo('I'));
            }

            Assert.That((await Task.WhenAll(clients.Select(c => c.QueryAsync("SELECT 1")))).Select(r => r.SqlState), Is.All.Null, $"round {round}");
        }
    }

    [Test]
    public async Task ADeadConnectionIsReplacedBeforeTheClientsFirstWord()
    {
        // SET is brought to a connection that turns out dead: another takes its place.
        var dead = new HashSet<string>();
        await using var home = FakeBackend.Start(text => text.StartsWith("SET", StringComparison.Ordinal) && text.Contains("work_mem", StringComparison.Ordinal) && dead.Add(text) ? FakeReply.Reset() : FakeReply.Command("SET"));
        await using var proxy = await StartAsync(home);
        using var client = await ScriptedClient.LoginAsync(proxy.Port, "app", "app", "app-secret", default, ("work_mem", "5MB"));
        Assert.That((await client.QueryAsync("SELECT 1")).SqlState, Is.Null);
    }

    [Test]
    public async Task AServerThatCannotBeReachedIsAnErrorOfTheStatement()
    {
        await using var home = FakeBackend.Start(_ => FakeReply.Command("OK"));
        var gone = FakeBackend.Start();
        var address = gone.EndPoint;
        await gone.DisposeAsync();
        await using var proxy = await ProxyUnderTest.StartAsync([home.EndPoint, address], "app", Tables);
        using var client = await proxy.LoginAsync();
        var key = Key(proxy, 2);
        Assert.That((await client.QueryAsync($"SELECT * FROM a WHERE id = {key}")).Errors.Single().Field('D'), Does.StartWith("SHP-303"));
        await client.QueryAsync("BEGIN");
        Assert.That((await client.QueryAsync($"SELECT * FROM a WHERE id = {key}")).Status, Is.EqualTo('E'));
        Assert.That((await client.QueryAsync("ROLLBACK")).ToString(), Is.EqualTo("C[ROLLBACK]\nZ[I]"));
        Assert.That((await client.QueryAsync("SELECT 1")).SqlState, Is.Null);
    }

    [Test]
    public async Task AParseWithoutAServerIsAnsweredAtItsSync()
    {
        var gone = FakeBackend.Start();
        await using var proxy = await ProxyUnderTest.StartAsync([gone.EndPoint], "app", Tables, o => o with { NodeDownWait = TimeSpan.FromMilliseconds(200) });
        using var client = await proxy.LoginAsync();
        await gone.DisposeAsync();
        await client.SendAsync(Parse("SELECT 1"), Sync());
        var reply = await client.ReadUntilReadyAsync();
        Assert.That((reply.SqlState, reply.Status), Is.EqualTo(("08001", 'I')), reply.ToString());
    }

    [Test]
    public async Task AServerThatBreaksTheProtocolIsNotUsedAgain()
    {
        await using var home = FakeBackend.Start(text => text switch
        {
            "SELECT nonsense" => FakeReply.Raw([(byte)'?', 0, 0, 0, 4]),
            "SELECT unasked" => FakeReply.Raw(Backend.ParseComplete()),
            "SELECT short" => FakeReply.Raw([(byte)'D', 0, 0, 0, 1]),
            _ => FakeReply.Command("OK"),
        });
        await using var proxy = await StartAsync(home);
        foreach (var sql in new[] { "SELECT nonsense", "SELECT unasked", "SELECT short" })
        {
            using var client = await proxy.LoginAsync();
            await client.SendAsync(Query(sql));
            Assert.That((await client.ReadUntilReadyAsync()).SqlState, Is.EqualTo("08P01").Or.EqualTo("08006"));
            using var next = await proxy.LoginAsync();
            Assert.That((await next.QueryAsync("SELECT 1")).ToString(), Is.EqualTo("C[OK]\nZ[I]"));
        }
    }

    [Test]
    public async Task ACancelReachesTheServerAtWorkAndNobodyElse()
    {
        var gate = new TaskCompletionSource();
        await using var home = FakeBackend.Start(text => text == "SELECT long" ? FakeReply.Stall(gate.Task).Then(FakeReply.Error("57014", "canceling statement due to user request")) : FakeReply.Command("OK"));
        await using var proxy = await StartAsync(home);
        using var client = await proxy.LoginAsync();
        await client.CancelAsync(new IPEndPoint(IPAddress.Loopback, proxy.Port));
        Assert.That(home.Cancels, Is.Empty, "an idle session was cancelled");
        await client.SendAsync(Query("SELECT long"));
        await UntilAsync(() => Texts(home).Contains("SELECT long"));
        using (var stranger = await ScriptedClient.ConnectAsync(new IPEndPoint(IPAddress.Loopback, proxy.Port)))
        {
            await stranger.SendAsync(CancelRequest(client.ProcessId, client.SecretKey ^ 1));
            await stranger.ReadAsync();
        }

        Assert.That(home.Cancels, Is.Empty, "a wrong key was taken");
        await client.CancelAsync(new IPEndPoint(IPAddress.Loopback, proxy.Port));
        await home.WaitForCancelAsync(new CancellationTokenSource(TimeSpan.FromSeconds(10)).Token);
        gate.SetResult();
        Assert.That((await client.ReadUntilReadyAsync()).SqlState, Is.EqualTo("57014"));
        Assert.That((await client.QueryAsync("SELECT 1")).ToString(), Is.EqualTo("C[OK]\nZ[I]"));
        Assert.That(home.Cancels, Has.Count.EqualTo(1));
    }

    private static Task<ProxyUnderTest> StartAsync(params FakeBackend[] nodes) => ProxyUnderTest.StartAsync([.. nodes.Select(n => n.EndPoint)], "app", Tables);

    private static List<string> Texts(FakeBackend backend) =>
        [.. backend.Received.Where(m => m.Type == 'Q').Select(m => System.Text.Encoding.UTF8.GetString(m.Body).TrimEnd('\0'))];

    private static async Task UntilAsync(Func<bool> condition)
    {
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(10));
        while (!condition())
        {
            deadline.Token.ThrowIfCancellationRequested();
            await Task.Yield();
        }
    }

    /// <summary>A key that the proxy's table puts on that node.</summary>
    private string Key(ProxyUnderTest proxy, int nodeId)
    {
        if (!_keys.TryGetValue(nodeId, out var key))
        {
            var value = Enumerable.Range(1, 1000).First(i => proxy.Plane.Current.Groups[0].Locate(Model.Keys.KeyHash.Int64(i, Model.Keys.KeyHash.FirstSeed)).NodeId == nodeId);
            _keys[nodeId] = key = value.ToString(System.Globalization.CultureInfo.InvariantCulture);
        }

        return key;
    }
}
