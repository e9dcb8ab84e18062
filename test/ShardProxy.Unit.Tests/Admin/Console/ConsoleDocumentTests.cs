using NUnit.Framework;
using ShardProxy.Admin.Console;
using ShardProxy.Admin.Console.Syntax;

namespace ShardProxy.Unit.Tests.Admin.Console;

// Protects docs/console.md: every statement of the grammar is in it, and the columns it promises are the ones that come.
internal sealed class ConsoleDocumentTests
{
    private readonly string _document = File.ReadAllText(RepositoryFiles.Path("docs", "console.md"));

    [Test]
    public void EveryStatementIsDocumented()
    {
        foreach (var statement in ConsoleGrammar.Statements)
        {
            var written = statement.Syntax.Replace("|", "\\|", StringComparison.Ordinal);
            Assert.That(_document, Does.Contain($"`{written}`"), statement.Keywords);
        }
    }

    [Test]
    public async Task TheColumnsAreTheOnesThatCome()
    {
        var console = new ConsoleEngine(new AdminFixture().Backend);
        foreach (var view in Enum.GetValues<ConsoleView>())
        {
            var reply = await console.ExecuteAsync($"SHOW {view}", "admin", CancellationToken.None);
            Assert.That(_document, Does.Contain($"| `SHOW {view.ToString().ToUpperInvariant()}` | {string.Join(", ", reply.Columns.Select(c => c.Name))} |"));
        }
    }
}
