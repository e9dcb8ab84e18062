using System.Globalization;
using NUnit.Framework;
using ShardProxy.TestKit.Wire;

namespace ShardProxy.Functional.Tests.DataPath;

/// <summary>Protects against deadlocks that no single node can see: the youngest of the transactions is ended with 40P01, the others go on.</summary>
[TestFixture]
internal sealed class DeadlockTests : DataPathFixture
{
    private const int Rows = 12;

    protected override Placement Tables { get; } = new Placement().Sharded("a", "id int4, v int4", "id");

    protected override string Ddl => "CREATE TABLE a (id int PRIMARY KEY, v int NOT NULL DEFAULT 0);";

    [SetUp]
    public async Task FillAsync()
    {
        await DirectOnAllAsync("TRUNCATE a");
        using var client = await Proxy.LoginAsync();
        for (var id = 1; id <= Rows; id++)
        {
            Assert.That((await client.QueryAsync($"INSERT INTO a VALUES ({id})")).Errors, Is.Empty);
        }
    }

    [Test]
    public async Task TheYoungestEndsAndTheOtherGoesOn()
    {
        var (first, second) = ((await DirectAsync(0, "SELECT min(id) FROM a")).Single(), (await DirectAsync(1, "SELECT min(id) FROM a")).Single());
        using var old = await Proxy.LoginAsync();
        using var young = await Proxy.LoginAsync();
        await Must(old, "BEGIN");
        await Must(old, $"UPDATE a SET v = 1 WHERE id = {first}");
        await Must(young, "BEGIN");
        await Must(young, $"UPDATE a SET v = 2 WHERE id = {second}");
        var waiting = old.QueryAsync($"UPDATE a SET v = v + 10 WHERE id = {second}");
        var victim = await young.QueryAsync($"UPDATE a SET v = v + 20 WHERE id = {first}");
        Assert.That((victim.SqlState, victim.Errors.Single().Field('D'), victim.Status), Is.EqualTo(("40P01", "SHP-146", 'E')), victim.ToString());
        await Must(young, "ROLLBACK");
        Assert.That((await waiting).Tags, Is.EqualTo(new[] { "UPDATE 1" }));
        await Must(old, "COMMIT");
        Assert.That((await old.QueryAsync($"SELECT v FROM a WHERE id IN ({first}, {second}) ORDER BY id")).Rows.Select(r => r[0]).Order(), Is.EqualTo(new[] { "1", "10" }));
        Assert.That((await young.QueryAsync("SELECT 1")).Errors, Is.Empty);
    }

    [Test]
    public async Task ALongWaitThatIsNoCircleIsLeftAlone()
    {
        var (first, second) = ((await DirectAsync(0, "SELECT min(id) FROM a")).Single(), (await DirectAsync(1, "SELECT min(id) FROM a")).Single());
        using var holder = await Proxy.LoginAsync();
        using var waiter = await Proxy.LoginAsync();
        foreach (var client in new[] { holder, waiter })
        {
            await Must(client, "BEGIN");
        }

        await Must(holder, $"UPDATE a SET v = 1 WHERE id IN ({first})");
        await Must(holder, $"UPDATE a SET v = 1 WHERE id IN ({second})");
        await Must(waiter, "SELECT 1 FROM a WHERE id = 0");
        var waiting = waiter.QueryAsync($"UPDATE a SET v = 2 WHERE id = {first}");
        await Must(holder, "SELECT pg_sleep(1.5)");
        await Must(holder, "COMMIT");
        Assert.That((await waiting).Errors, Is.Empty);
        await Must(waiter, "ROLLBACK");
    }

    [Test]
    public async Task ManyClientsInAnyOrderAllComeToTheirEnd()
    {
        var seed = Environment.TickCount;
        TestContext.Out.WriteLine($"seed {seed}");
        var deadlocks = 0;
        var committed = 0;
        await Task.WhenAll(Enumerable.Range(0, 8).Select(async number =>
        {
            var random = new Random(seed + number);
            using var client = await Proxy.LoginAsync();
            client.Deadline = TimeSpan.FromSeconds(60);
            for (var transaction = 0; transaction < 5;)
            {
                await Must(client, "BEGIN");
                var ids = Enumerable.Range(1, Rows).OrderBy(_ => random.Next()).Take(3).ToList();
                string? error = null;
                foreach (var id in ids)
                {
                    var reply = await client.QueryAsync(string.Create(CultureInfo.InvariantCulture, $"UPDATE a SET v = v + 1 WHERE id = {id}"));
                    if (reply.Errors.Count > 0)
                    {
                        error = reply.SqlState;
                        Assert.That(error, Is.EqualTo("40P01"), reply.ToString());
                        break;
                    }
                }

                await Must(client, error is null ? "COMMIT" : "ROLLBACK");
                if (error is null)
                {
                    transaction++;
                    Interlocked.Increment(ref committed);
                }
                else
                {
                    Interlocked.Increment(ref deadlocks);
                }
            }
        }));
        TestContext.Out.WriteLine($"{committed} transactions, {deadlocks} ended for a deadlock");
        using var reader = await Proxy.LoginAsync();
        Assert.That((await reader.QueryAsync("SELECT sum(v) FROM a")).Rows.Single().Single(), Is.EqualTo((committed * 3).ToString(CultureInfo.InvariantCulture)));
    }

    private static async Task Must(ScriptedClient client, string sql)
    {
        var reply = await client.QueryAsync(sql);
        Assert.That(reply.Errors, Is.Empty, sql + reply);
    }
}
