using NUnit.Framework;
using ShardProxy.TestKit.Wire;

namespace ShardProxy.Functional.Tests.DataPath;

/// <summary>
/// Protects statements in the syntax of a PostgreSQL newer than the parser: on unsharded tables the server answers them, with rows where it knows
/// the syntax and with its own error where it does not; where one names a sharded or replicated table it is refused, never guessed.
/// </summary>
[TestFixture]
internal sealed class NewerSyntaxTests : DataPathFixture
{
    private const string Merge = "MERGE INTO {0} t USING (VALUES (1, 'new'), (2, 'two')) s (id, v) ON t.id = s.id WHEN MATCHED THEN UPDATE SET v = s.v "
        + "WHEN NOT MATCHED THEN INSERT VALUES (s.id, s.v) RETURNING merge_action(), t.id";

    protected override Placement Tables { get; } = new Placement().Sharded("a", "id int4, v text", "id").Replicated("ref", "id int4, v text");

    protected override string Ddl => "CREATE TABLE a (id int PRIMARY KEY, v text); CREATE TABLE ref (id int PRIMARY KEY, v text)";

    protected override string HomeDdl => "CREATE TABLE plain (id int PRIMARY KEY, v text); INSERT INTO plain VALUES (1, 'one')";

    [TestCase(17, Merge, "UPDATE|1;INSERT|2")]
    [TestCase(18, "UPDATE {0} SET v = 'newer' WHERE id = 1 RETURNING WITH (OLD AS before) before.v, v", "one|newer")]
    [TestCase(17, "SELECT j.x FROM {0}, JSON_TABLE('[1,2]', '$[*]' COLUMNS (x int PATH '$')) j WHERE id = 1", "1;2")]
    public async Task NewerSyntaxIsTheServersOnUnshardedTables(int since, string sql, string rows)
    {
        using var direct = await DirectLoginAsync(0);
        var isKnown = int.Parse((await direct.QueryAsync("SHOW server_version_num")).Rows[0][0]!, System.Globalization.CultureInfo.InvariantCulture) / 10000 >= since;
        using var client = await Proxy.LoginAsync();
        foreach (var extended in new[] { false, true })
        {
            await client.QueryAsync("BEGIN");
            var text = sql.Replace("{0}", "plain", StringComparison.Ordinal);
            var reply = extended ? await client.ExecuteAsync(text) : await client.QueryAsync(text);
            Assert.That(reply.SqlState, Is.EqualTo(isKnown ? null : "42601"), reply.ToString());
            if (isKnown)
            {
                Assert.That(reply.Rows.Select(r => string.Join('|', r)), Is.EqualTo(rows.Split(';')), reply.ToString());
            }

            Assert.That((await client.QueryAsync("ROLLBACK")).Status, Is.EqualTo('I'));
        }

        foreach (var table in new[] { "a", "ref", "public.a", "\"a\"" })
        {
            var text = sql.Replace("{0}", table, StringComparison.Ordinal);
            foreach (var reply in new[] { await client.QueryAsync(text), await client.ExecuteAsync(text) })
            {
                // What the server cannot read either, it says in its own words.
                Assert.That((reply.SqlState, reply.Status), Is.EqualTo((isKnown ? "0A000" : "42601", 'I')), reply.ToString());
                if (isKnown)
                {
                    Assert.That(reply.Errors.Single().Field('D'), Does.StartWith("SHP-209"));
                }
            }
        }
    }
}
