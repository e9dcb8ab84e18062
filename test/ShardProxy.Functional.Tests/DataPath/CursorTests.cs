using System.Globalization;
using NUnit.Framework;
using ShardProxy.TestKit.Wire;

namespace ShardProxy.Functional.Tests.DataPath;

/// <summary>Protects SQL cursors over several nodes: each is read and closed where it was declared, whatever else the transaction does.</summary>
internal sealed class CursorTests : DataPathFixture
{
    protected override Placement Tables { get; } = new Placement().Sharded("t", "id int8, v text", "id");

    protected override string Ddl => "CREATE TABLE t (id bigint PRIMARY KEY, v text)";

    protected override string HomeDdl => """
        CREATE TABLE plain (id int);
        INSERT INTO plain VALUES (7), (8);
        CREATE FUNCTION opened() RETURNS refcursor LANGUAGE plpgsql AS $f$ DECLARE c refcursor := 'by_function'; BEGIN OPEN c FOR SELECT id FROM plain ORDER BY id; RETURN c; END $f$;
        """;

    [Test]
    public async Task EachIsReadWhereItWasDeclared([Values(false, true)] bool isExtended)
    {
        using var client = await Proxy.LoginAsync();
        foreach (var id in Enumerable.Range(1, 30))
        {
            await client.QueryAsync(string.Create(CultureInfo.InvariantCulture, $"INSERT INTO t VALUES ({id}, 'v{id}') ON CONFLICT DO NOTHING"));
        }

        var keys = (await OnEachNodeAsync("SELECT min(id) FROM t")).Select(r => r[0]).ToArray();
        Assert.That(keys, Is.Unique.And.None.Empty);
        Task<Transcript> RunAsync(string sql) => isExtended ? client.ExecuteAsync(sql) : client.QueryAsync(sql);
        async Task<string> OneAsync(string sql)
        {
            var reply = await RunAsync(sql);
            Assert.That(reply.Errors, Is.Empty, $"{sql}\n{reply}");
            return reply.Rows.Count == 0 ? "" : reply.Rows[0][0]!;
        }

        await OneAsync("BEGIN");
        await OneAsync("SELECT * FROM plain");
        for (var i = 0; i < keys.Length; i++)
        {
            await OneAsync($"DECLARE c{i} SCROLL CURSOR FOR SELECT v FROM t WHERE id = {keys[i]}");
        }

        await OneAsync("DECLARE \"Home\" CURSOR FOR SELECT id FROM plain ORDER BY id");
        for (var i = keys.Length - 1; i >= 0; i--)
        {
            Assert.That(await OneAsync($"FETCH NEXT FROM c{i}"), Is.EqualTo("v" + keys[i]));
            await OneAsync($"MOVE BACKWARD ALL IN c{i}");
            Assert.That(await OneAsync($"FETCH c{i}"), Is.EqualTo("v" + keys[i]));
        }

        Assert.That(await OneAsync("FETCH ABSOLUTE 1 \"Home\""), Is.EqualTo("7"));
        await OneAsync("CLOSE c1");
        Assert.That((await RunAsync("FETCH c1")).SqlState, Is.EqualTo("34000"));
        await OneAsync("ROLLBACK");

        await OneAsync($"DECLARE kept CURSOR WITH HOLD FOR SELECT v FROM t WHERE id = {keys[^1]}");
        await OneAsync("SELECT * FROM plain");
        Assert.That(await OneAsync("FETCH kept"), Is.EqualTo("v" + keys[^1]));
        await OneAsync("CLOSE kept");
        await OneAsync($"DECLARE kept CURSOR WITH HOLD FOR SELECT v FROM t WHERE id = {keys[^1]}");
        await OneAsync("CLOSE ALL");
        Assert.That(Proxy.Plane.Sessions().Any(s => s.IsPinned), Is.False, "its server is kept for a cursor that is closed");
        Assert.That((await RunAsync("FETCH kept")).SqlState, Is.EqualTo("34000"));

        await OneAsync("BEGIN");
        for (var i = 0; i < keys.Length; i++)
        {
            await OneAsync($"DECLARE c{i} CURSOR FOR SELECT v FROM t WHERE id = {keys[i]}");
        }

        await OneAsync("DECLARE \"all\" CURSOR FOR SELECT id FROM plain");
        await OneAsync("CLOSE \"all\"");
        await OneAsync("FETCH c1");
        await OneAsync("CLOSE ALL");
        for (var i = 0; i < keys.Length; i++)
        {
            await OneAsync($"SAVEPOINT s");
            Assert.That((await RunAsync($"FETCH c{i}")).SqlState, Is.EqualTo("34000"), "cursor " + i);
            await OneAsync("ROLLBACK TO s");
        }

        await OneAsync("COMMIT");
        await OneAsync("BEGIN");
        await OneAsync("SELECT opened()");
        Assert.That(await OneAsync("FETCH by_function"), Is.EqualTo("7"));
        await OneAsync("COMMIT");
    }
}
