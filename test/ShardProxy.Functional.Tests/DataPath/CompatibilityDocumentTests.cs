using System.Text;
using System.Text.RegularExpressions;
using NUnit.Framework;
using ShardProxy.Model.Fleet;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Topology;
using ShardProxy.TestKit.Wire;
using static ShardProxy.Functional.Tests.DataPath.CompatibilityClaims;

namespace ShardProxy.Functional.Tests.DataPath;

/// <summary>
/// Protects <c>docs/compatibility.md</c>: every row, bullet and paragraph of it is held, by statements run here against the proxy or by named
/// tests, and what is held stands in it. A line that is added, changed or taken away fails until <see cref="CompatibilityClaims"/> follows.
/// </summary>
internal sealed partial class CompatibilityDocumentTests : DataPathFixture
{
    protected override Placement Tables { get; } = new Placement()
        .Sharded("a", "id int8, v text, n numeric", "id")
        .Sharded("b", "a_id int8, v text", "a_id")
        .Sharded("names", "name text, v int4", "name")
        .Replicated("ref", "id int4, v text");

    protected override string Ddl => """
        CREATE TABLE a (id bigint PRIMARY KEY, v text, n numeric);
        CREATE TABLE b (a_id bigint PRIMARY KEY, v text);
        CREATE TABLE names (name text PRIMARY KEY, v int);
        CREATE TABLE ref (id int PRIMARY KEY, v text);
        """;

    protected override string HomeDdl => """
        CREATE TABLE plain (id int PRIMARY KEY, v text);
        INSERT INTO plain VALUES (1, 'one');
        CREATE VIEW a_view AS SELECT * FROM a;
        CREATE FUNCTION touches_a() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM a';
        """;

    [GeneratedRegex(@"SHP-\d{3}")]
    private static partial Regex Code { get; }

    private static IEnumerable<TestCaseData> WithExamples() => All.Where(c => c.Value.Examples.Length > 0).Select(c => new TestCaseData(c.Key).SetArgDisplayNames(c.Key));

    [OneTimeSetUp]
    public async Task PlaceAsync() => await Proxy.PublishAsync(
        t => new RoutingTable(t.Epoch + 1, t.PlacementVersion + 1, t.Nodes, t.Groups, t.Tables, [], [new QualifiedName("public", "a_view")], ["touches_a"]),
        DrainScope.None,
        TimeSpan.FromSeconds(10));

    [Test]
    public void EveryLineIsHeldAndNothingElse() => Assert.That(Lines().ToArray(), Is.EquivalentTo(All.Keys));

    [Test]
    public void TheTestsThatHoldALineExist()
    {
        var sources = Directory.EnumerateFiles(Path.Combine(Root(), "test"), "*.cs", SearchOption.AllDirectories).Select(File.ReadAllText).ToList();
        foreach (var (line, held) in All)
        {
            Assert.That(held.Examples.Length + held.Tests.Length, Is.Positive, line);
            foreach (var test in held.Tests)
            {
                var (fixture, method) = (test.Split('.')[0], test.Split('.')[1]);
                Assert.That(
                    sources.Any(s => Regex.IsMatch(s, $@"\bclass {fixture}\b") && Regex.IsMatch(s, $@"\[Test[^\n]*\][^;{{]*\b{method}\(")), Is.True, $"{line}: there is no test {test}");
            }
        }
    }

    [TestCaseSource(nameof(WithExamples))]
    public async Task ItIsAsTheDocumentSays(string line)
    {
        using var client = await Proxy.LoginAsync();
        foreach (var (sql, expected) in All[line].Examples)
        {
            var reply = await client.QueryAsync(sql);
            if (reply.Messages.Any(m => m.Type == 'G'))
            {
                await client.SendAsync(Frontend.CopyDone());
                reply = await client.ReadUntilReadyAsync();
            }

            var error = reply.Errors.Count == 0 ? "" : Encoding.UTF8.GetString(reply.Errors[0].Body);
            var answer = error.Length == 0 ? Runs : Code.Match(error) is { Success: true } code ? code.Value : reply.SqlState;
            Assert.That(answer, Is.EqualTo(expected), $"{sql}\n{error.Replace('\0', '\n')}");
            await client.QueryAsync("ROLLBACK");
        }
    }

    // A row by its first cell, a bullet by its bold words or its beginning, a paragraph below the first heading by its beginning.
    private static IEnumerable<string> Lines()
    {
        var sections = File.ReadAllText(Path.Combine(Root(), "docs", "compatibility.md")).Split("\n## ")[1..];
        foreach (var block in sections.SelectMany(s => s[(s.IndexOf('\n', StringComparison.Ordinal) + 1)..].Split("\n\n")).Select(b => b.Trim('\n')).Where(b => b.Length > 0))
        {
            if (block[0] == '|')
            {
                foreach (var row in block.Split('\n').Skip(2))
                {
                    yield return row.Split(" | ")[0].TrimStart('|', ' ');
                }
            }
            else if (block.StartsWith("- ", StringComparison.Ordinal))
            {
                foreach (var bullet in block[2..].Split("\n- "))
                {
                    yield return bullet.StartsWith("**", StringComparison.Ordinal) ? bullet.Split("**")[1] : Beginning(bullet);
                }
            }
            else
            {
                yield return Beginning(block);
            }
        }
    }

    private static string Beginning(string text) => string.Join(' ', text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries).Take(6));

    private static string Root()
    {
        var directory = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(directory, "ShardProxy.sln")))
        {
            directory = Path.GetDirectoryName(directory)!;
        }

        return directory;
    }
}
