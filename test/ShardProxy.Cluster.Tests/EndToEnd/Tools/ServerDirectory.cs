namespace ShardProxy.Cluster.Tests.EndToEnd.Tools;

/// <summary>A directory for <c>dev --data</c> that is kept over restarts and removed at the test's end.</summary>
internal sealed class ServerDirectory : IDisposable
{
    private readonly string _parent = Directory.CreateTempSubdirectory("shardproxy-test-").FullName;

    public ServerDirectory()
    {
        // The servers run as another user when the test runs as root: they must get through here.
        File.SetUnixFileMode(_parent, (UnixFileMode)0b111_101_101);
        Path = System.IO.Path.Combine(_parent, "data");
    }

    /// <summary>What to give to <c>--data</c>; it does not exist yet.</summary>
    public string Path { get; }

    public void Dispose() => Directory.Delete(_parent, recursive: true);
}
