using System.Xml.Linq;
using NUnit.Framework;

namespace ShardProxy.Architecture.Tests;

// Protects the cut between the planes: who may refer to whom, and what may not enter an assembly at all.
[TestFixture]
internal sealed class ReferenceTableTests
{
    private static readonly Dictionary<string, string[]> Allowed = new()
    {
        ["ShardProxy.Model"] = [],
        ["ShardProxy.Wire"] = [],
        ["ShardProxy.Sql"] = ["ShardProxy.Model"],
        ["ShardProxy.Planning"] = ["ShardProxy.Model"],
        ["ShardProxy.Catalog"] = ["ShardProxy.Model"],
        ["ShardProxy.DataPath"] = ["ShardProxy.Model", "ShardProxy.Wire", "ShardProxy.Sql"],
        ["ShardProxy.Control"] = ["ShardProxy.Model", "ShardProxy.Planning", "ShardProxy.Catalog"],
        ["ShardProxy.Admin"] = ["ShardProxy.Model", "ShardProxy.Catalog", "ShardProxy.Control"],
        ["ShardProxy.LocalCluster"] = ["ShardProxy.Model"],
    };

    private static IEnumerable<string> Assemblies => Allowed.Keys;

    [Test]
    public void Every_assembly_of_the_product_is_in_the_table()
    {
        var projects = SourceTree.Files.Where(f => f.StartsWith("src/", StringComparison.Ordinal) && f.EndsWith(".csproj", StringComparison.Ordinal))
            .Select(f => Path.GetFileNameWithoutExtension(f)).Where(name => name != "ShardProxy");
        Assert.That(projects, Is.EquivalentTo(Allowed.Keys));
    }

    [TestCaseSource(nameof(Assemblies))]
    public void Built_references_keep_to_the_table(string assembly)
    {
        var own = AssemblyFacts.Of(assembly).References.Where(r => r.StartsWith("ShardProxy", StringComparison.OrdinalIgnoreCase));
        Assert.That(own, Is.SubsetOf(Allowed[assembly]));
    }

    [TestCaseSource(nameof(Assemblies))]
    public void Project_references_keep_to_the_table(string assembly)
    {
        Assert.That(Items(assembly, "ProjectReference").Select(r => Path.GetFileNameWithoutExtension(r.Replace('\\', '/'))), Is.SubsetOf(Allowed[assembly]));
    }

    [Test]
    public void The_vocabulary_has_no_packages() => Assert.That(Items("ShardProxy.Model", "PackageReference"), Is.Empty);

    [Test]
    public void The_data_path_knows_no_client_library_retry_library_or_web_server()
    {
        var facts = AssemblyFacts.Of("ShardProxy.DataPath");
        Assert.That(facts.References.Concat(facts.Types).Where(n => StartsWithAny(n, "Npgsql", "Polly", "Microsoft.AspNetCore")), Is.Empty);
    }

    [Test]
    public void Planning_does_no_io_and_reads_no_clock()
    {
        var facts = AssemblyFacts.Of("ShardProxy.Planning");
        // System.IO's exceptions say "bad data" and do no I/O.
        var types = facts.Types.Where(t => StartsWithAny(t, "System.IO.", "System.Net.", "System.Diagnostics.Stopwatch", "System.Diagnostics.Process", "System.Threading.Timer", "System.Environment")
            && !t.EndsWith("Exception", StringComparison.Ordinal));
        var members = facts.Members.Where(m => StartsWithAny(
            m, "System.DateTime.get_Now", "System.DateTime.get_UtcNow", "System.DateTime.get_Today", "System.DateTimeOffset.get_Now", "System.DateTimeOffset.get_UtcNow",
            "System.TimeProvider.get_System", "System.Random.get_Shared", "System.Console.", "System.Guid.NewGuid", "System.Guid.CreateVersion7"));
        Assert.That(types.Concat(members), Is.Empty);
    }

    [Test]
    public void Parser_types_stay_inside_the_parsing_room()
    {
        Assert.That(AssemblyFacts.Of("ShardProxy.Sql").PublicTypes.Where(t => t.StartsWith("ShardProxy.Sql.Parsing.", StringComparison.Ordinal)), Is.Empty);
        foreach (var assembly in Assemblies.Append("ShardProxy").Where(a => a != "ShardProxy.Sql"))
        {
            Assert.That(
                AssemblyFacts.Of(assembly).Types.Where(t => t.StartsWith("ShardProxy.Sql.Parsing.", StringComparison.Ordinal)), Is.Empty, assembly);
        }

        var outside = SourceTree.CSharp("src")
            .Where(f => f.StartsWith("src/ShardProxy.Sql/", StringComparison.Ordinal) && !f.StartsWith("src/ShardProxy.Sql/Parsing/", StringComparison.Ordinal));
        Assert.That(outside.Where(f => SourceTree.Read(f).Contains("System.Text.Json", StringComparison.Ordinal)), Is.Empty, "the parser's tree is JSON");
    }

    [Test]
    public void The_demos_schedule_is_unknown_to_those_who_have_to_find_it_out()
    {
        string[] blind = ["ShardProxy.Planning", "ShardProxy.Control", "ShardProxy.DataPath", "ShardProxy.Admin", "ShardProxy.Catalog", "ShardProxy.Model"];
        foreach (var assembly in blind)
        {
            Assert.That(AssemblyFacts.Of(assembly).References, Does.Not.Contain("shardproxy"), assembly);
            Assert.That(
                SourceTree.CSharp($"src/{assembly}").Where(f => SourceTree.Read(f).Contains("ShardProxy.Demo", StringComparison.Ordinal)), Is.Empty, assembly);
        }

        Assert.That(SourceTree.CSharp("src").Where(f => SourceTree.Read(f).Contains("namespace ShardProxy.Demo", StringComparison.Ordinal)),
            Is.All.StartsWith("src/ShardProxy/Demo/"));
    }

    private static bool StartsWithAny(string name, params string[] starts) => starts.Any(s => name.StartsWith(s, StringComparison.Ordinal));

    private static IEnumerable<string> Items(string assembly, string kind) =>
        XDocument.Load(Path.Combine(SourceTree.Root, "src", assembly, assembly + ".csproj")).Descendants(kind).Select(e => (string)e.Attribute("Include")!);
}
