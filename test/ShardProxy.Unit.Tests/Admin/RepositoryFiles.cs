using NUnit.Framework;

namespace ShardProxy.Unit.Tests.Admin;

/// <summary>Finds the repository's own files from where the tests run.</summary>
internal static class RepositoryFiles
{
    public static string Path(params string[] parts)
    {
        var directory = new DirectoryInfo(TestContext.CurrentContext.TestDirectory);
        while (directory is not null && !File.Exists(System.IO.Path.Combine(directory.FullName, "ShardProxy.sln")))
        {
            directory = directory.Parent;
        }

        Assert.That(directory, Is.Not.Null, "the tests run outside the repository");
        return System.IO.Path.Combine([directory!.FullName, .. parts]);
    }
}
