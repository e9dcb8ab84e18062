using System.Text.RegularExpressions;
using NUnit.Framework;

namespace ShardProxy.Unit.Tests.Admin;

// Protects that every error of ours that a client or an operator can meet is explained in docs/errors.md, and nothing else is.
internal sealed class ErrorsDocumentTests
{
    [Test]
    public void EveryCodeOfTheSourceIsDocumentedAndNoOther()
    {
        var code = new Regex("SHP-[0-9]{3}");
        var used = Directory.EnumerateFiles(RepositoryFiles.Path("src"), "*.cs", SearchOption.AllDirectories)
            .Where(f => !f.Contains("/obj/", StringComparison.Ordinal))
            .SelectMany(File.ReadLines)
            .Where(line => !line.TrimStart().StartsWith("//", StringComparison.Ordinal))
            .SelectMany(line => code.Matches(line).Select(m => m.Value))
            .Distinct()
            .Order(StringComparer.Ordinal);
        var documented = Rows().Select(r => r.Code).ToList();
        Assert.That(documented, Is.All.Match(code));
        Assert.That(documented, Is.Ordered.Using((IComparer<string>)StringComparer.Ordinal));
        Assert.That(documented, Is.Unique);
        Assert.That(documented, Is.EqualTo(used));
    }

    [Test]
    public void EveryRowHasASqlStateAndAnExplanation()
    {
        foreach (var (code, sqlState, meaning, remedy) in Rows())
        {
            Assert.That(sqlState, Does.Match("^`[0-9A-Z]{5}`(, `[0-9A-Z]{5}`)*$"), code);
            Assert.That(meaning, Is.Not.Empty, code);
            Assert.That(remedy, Does.EndWith("."), code);
        }
    }

    private static IEnumerable<(string Code, string SqlState, string Meaning, string Remedy)> Rows() =>
        File.ReadLines(RepositoryFiles.Path("docs", "errors.md"))
            .Where(line => line.StartsWith("| SHP-", StringComparison.Ordinal))
            .Select(line => line.Trim('|', ' ').Split(" | "))
            .Select(cells => (cells[0].Trim(), cells[1].Trim(), cells[2].Trim(), cells[3].Trim()));
}
