using System.Text.RegularExpressions;
using NUnit.Framework;

namespace ShardProxy.Architecture.Tests;

// Protects the cheap rules of the house: what a reader may rely on in every file without looking.
[TestFixture]
internal sealed partial class TidyTests
{
    private const int MaximumLines = 500;

    // Put together, so that this file does not break its own rule.
    private static readonly string[] Unfinished = ["TO" + "DO", "FIX" + "ME", "HA" + "CK", "NotImplemented" + "Exception"];

    [Test]
    public void No_file_says_that_it_is_unfinished() =>
        Assert.That(Offenders(SourceTree.CSharp("src", "test", "bench"), line => Unfinished.Any(word => Regex.IsMatch(line, $@"\b{word}\b"))), Is.Empty);

    [Test]
    public void Time_comes_in_as_a_time_provider() =>
        Assert.That(Offenders(SourceTree.CSharp("src"), line => WallClock().IsMatch(line)), Is.Empty);

    [Test]
    public void Files_of_the_product_stay_short() =>
        Assert.That(SourceTree.CSharp("src").Where(f => SourceTree.Read(f).Count(c => c == '\n') > MaximumLines), Is.Empty);

    [Test]
    public void Partial_types_are_only_for_source_generators() =>
        Assert.That(
            SourceTree.CSharp("src").Where(f => SourceTree.Read(f) is var text && PartialType().IsMatch(text) && !Generator().IsMatch(text)),
            Is.Empty);

    [Test]
    public void Nothing_in_the_tree_names_a_machine_or_a_private_host()
    {
        var text = SourceTree.Files.Where(f => !f.EndsWith(".png", StringComparison.Ordinal) && !f.EndsWith(".ico", StringComparison.Ordinal)).ToList();
        Assert.That(Offenders(text, line => MachinePath().IsMatch(line)), Is.Empty);
        // Compose files and their readers name services, which are hosts there.
        Assert.That(
            Offenders(
                text.Where(f => !f.StartsWith("docker/", StringComparison.Ordinal)),
                line => Address().Matches(line).Any(m => !IsPublic(m.Groups["host"].Value))),
            Is.Empty);
    }

    [Test]
    public void Documents_name_only_paths_that_exist()
    {
        var documents = SourceTree.Files.Where(f => f.EndsWith(".md", StringComparison.Ordinal) && !f.Contains("/baselines/", StringComparison.Ordinal)).ToList();
        Assert.That(documents, Is.Not.Empty);
        var missing =
            from document in documents
            from Match match in RepositoryPath().Matches(SourceTree.Read(document))
            let path = match.Value.TrimEnd('.', '/', ',')
            where !SourceTree.Exists(path)
            select $"{document}: {path}";
        Assert.That(missing.Distinct(), Is.Empty);
    }

    [Test]
    public void Links_in_documents_lead_somewhere()
    {
        var missing =
            from document in SourceTree.Files.Where(f => f.EndsWith(".md", StringComparison.Ordinal))
            from Match match in Link().Matches(SourceTree.Read(document))
            let target = match.Groups[1].Value.Split('#')[0]
            where target.Length > 0 && !target.Contains("://", StringComparison.Ordinal) && !target.StartsWith("mailto:", StringComparison.Ordinal)
            let path = Path.Combine(Path.GetDirectoryName(document) ?? "", target)
            where !SourceTree.Exists(path)
            select $"{document}: {target}";
        Assert.That(missing, Is.Empty);
    }

    private static IEnumerable<string> Offenders(IEnumerable<string> files, Func<string, bool> isBad) =>
        from file in files
        from line in SourceTree.Read(file).Split('\n').Select((text, index) => (text, number: index + 1))
        where isBad(line.text)
        select $"{file}:{line.number}: {line.text.Trim()}";

    private static bool IsPublic(string host) =>
        host is "localhost" or "127.0.0.1" or "[::1]" or "0.0.0.0"
        || (host.Contains('.', StringComparison.Ordinal) && !NumericHost().IsMatch(host) && !PrivateSuffix().IsMatch(host));

    [GeneratedRegex(@"\bDateTime(Offset)?\.(Utc)?Now\b|\bDateTime\.Today\b")]
    private static partial Regex WallClock();

    [GeneratedRegex(@"\bpartial\s+(record\s+)?(class|struct|record|interface)\b")]
    private static partial Regex PartialType();

    [GeneratedRegex(@"\[(LoggerMessage|LibraryImport|GeneratedRegex|JsonSerializable)\(")]
    private static partial Regex Generator();

    [GeneratedRegex(@"(?<![\w.*…-])/(work|root|Users/\w+|home/(?!linuxbrew)\w+)/")]
    private static partial Regex MachinePath();

    [GeneratedRegex(@"https?://(?:[^/\s@""'`<>{}]+@)?(?<host>\[[0-9a-f:]+\]|[A-Za-z0-9.-]+)")]
    private static partial Regex Address();

    [GeneratedRegex(@"^[0-9.]+$")]
    private static partial Regex NumericHost();

    [GeneratedRegex(@"\.(local|internal|lan|corp|intranet|home)$")]
    private static partial Regex PrivateSuffix();

    [GeneratedRegex(@"(?<![\w./$-])(src|test|bench|docker|docs|\.ci|\.github)/[\w./-]*\w")]
    private static partial Regex RepositoryPath();

    [GeneratedRegex(@"\]\(([^)\s]+)\)")]
    private static partial Regex Link();
}
