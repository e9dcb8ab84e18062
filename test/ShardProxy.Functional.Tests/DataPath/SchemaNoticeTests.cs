using NUnit.Framework;
using ShardProxy.TestKit.Wire;
using static ShardProxy.TestKit.Wire.Frontend;

namespace ShardProxy.Functional.Tests.DataPath;

/// <summary>
/// Protects that no DDL goes by unnoticed, however it is sent: routing has to know of a view over a sharded table before the client that made it
/// can read it, or it would show one node's rows.
/// </summary>
internal sealed class SchemaNoticeTests : DataPathFixture
{
    private int _views;

    protected override Placement Tables { get; } = new Placement().Sharded("s", "k int8, n int4", "k");

    protected override string Ddl => "CREATE TABLE s (k bigint PRIMARY KEY, n int);";

    [TestCase("simple")]
    [TestCase("simple in a block")]
    [TestCase("prepared transaction")]
    [TestCase("one string")]
    [TestCase("extended")]
    [TestCase("extended in a block")]
    [TestCase("pipeline")]
    [TestCase("long pipeline")]
    public async Task EveryWayToSendDdlIsNoticed(string way)
    {
        var create = $"CREATE VIEW seen_{++_views} AS SELECT * FROM s";
        using var client = await Proxy.LoginAsync();
        var before = Proxy.SchemaChanges;
        switch (way)
        {
            case "simple":
                await client.QueryAsync(create);
                break;
            case "simple in a block":
                await client.QueryAsync("BEGIN");
                await client.QueryAsync(create);
                await client.QueryAsync("COMMIT");
                break;
            case "prepared transaction":
                await client.QueryAsync("BEGIN");
                await client.QueryAsync(create);
                await client.QueryAsync($"PREPARE TRANSACTION 'view_{Database}'");
                using (var other = await Proxy.LoginAsync())
                {
                    // Only now can it be read, and by anybody.
                    before = Proxy.SchemaChanges;
                    Assert.That((await other.QueryAsync($"COMMIT PREPARED 'view_{Database}'")).SqlState, Is.Null);
                }

                break;
            case "one string":
                await client.QueryAsync($"SELECT 1; {create}; SELECT 2");
                break;
            case "extended":
                await client.ExecuteAsync(create);
                break;
            case "extended in a block":
                await client.ExecuteAsync("BEGIN");
                await client.ExecuteAsync(create);
                await client.ExecuteAsync("COMMIT");
                break;
            default:
                byte[][] one = [Parse("SELECT 1"), Bind(), Execute()];
                var more = Enumerable.Repeat(one, way == "pipeline" ? 1 : 2_000).SelectMany(m => m);
                await client.SendAsync([Parse(create), Bind(), Execute(), .. more, Sync()]);
                await client.ReadUntilReadyAsync();
                break;
        }

        Assert.That((await client.QueryAsync("SELECT 1")).Errors, Is.Empty);
        Assert.That(Proxy.SchemaChanges, Is.GreaterThan(before));
        Assert.That(await DirectAsync(0, $"SELECT count(*) FROM pg_views WHERE viewname = 'seen_{_views}'"), Is.EqualTo(new[] { "1" }));
    }
}
