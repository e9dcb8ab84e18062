using System.Text.RegularExpressions;
using NUnit.Framework;

namespace ShardProxy.Architecture.Tests;

// Protects the operator who reads a step's name in the journal or in an error: docs/operations.md has every step that a move enters, and no other.
[TestFixture]
internal sealed partial class MoveStepTests
{
    [Test]
    public void The_table_of_steps_has_those_that_a_move_enters()
    {
        var entered = Directory.EnumerateFiles(Path.Combine(SourceTree.Root, "src", "ShardProxy.Control", "Migration"), "*.cs", SearchOption.AllDirectories)
            .SelectMany(file => Entering().Matches(File.ReadAllText(file)))
            .SelectMany(call => Literal().Matches(call.Value).Select(l => l.Groups[1].Value))
            .ToHashSet(StringComparer.Ordinal);
        var table = File.ReadLines(Path.Combine(SourceTree.Root, "docs", "operations.md")).SkipWhile(l => !l.StartsWith("| step | what it does |", StringComparison.Ordinal)).Skip(2)
            .TakeWhile(l => l.StartsWith("| `", StringComparison.Ordinal)).Select(l => l.Split('`')[1]).ToList();
        Assert.That(entered, Has.Count.GreaterThan(10), "the calls are not found any more");
        Assert.That(table, Is.EquivalentTo(entered));
    }

    // To the end of the statement: a step's name may be one of two.
    [GeneratedRegex(@"\.EnterAsync\([^;]*?(cancellationToken|stopToken)", RegexOptions.Singleline)]
    private static partial Regex Entering();

    [GeneratedRegex("\"([a-z ]+)\"")]
    private static partial Regex Literal();
}
