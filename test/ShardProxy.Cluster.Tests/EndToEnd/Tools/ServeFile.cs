using System.Net;
using System.Net.Sockets;
using ShardProxy.TestKit.Clusters;

namespace ShardProxy.Cluster.Tests.EndToEnd.Tools;

/// <summary>A configuration for <c>serve</c> over all nodes of a cluster, on free ports, and how to start a process with it.</summary>
internal static class ServeFile
{
    /// <summary>Writes it.</summary>
    /// <param name="path">The file.</param>
    /// <param name="cluster">Its nodes and its user, who is the console's admin.</param>
    /// <param name="more">Further sections, and what goes below <c>listen:</c> and <c>users:</c>; ports are filled in here.</param>
    public static ProxyProcessOptions Write(string path, TestCluster cluster, ServeSections more)
    {
        var (port, adminPort) = (FreePort(), FreePort());
        WriteAgain(path, cluster, port, adminPort, more);
        return new ProxyProcessOptions
        {
            ConfigFile = path,
            StartTimeout = TimeSpan.FromSeconds(60),
            Addresses = new Dictionary<string, Uri>
            {
                ["proxy"] = new($"postgresql://127.0.0.1:{port}/{TestCluster.Database}"),
                ["console"] = new($"postgresql://127.0.0.1:{port}/shardproxy"),
                ["http"] = new($"http://127.0.0.1:{adminPort}/"),
            },
        };
    }

    /// <summary>The same with other sections and the ports of a process that runs.</summary>
    public static void WriteAgain(ProxyProcessOptions options, TestCluster cluster, ServeSections more) =>
        WriteAgain(options.ConfigFile!, cluster, options.Addresses["proxy"].Port, options.Addresses["http"].Port, more);

    /// <summary>A port that was free a moment ago.</summary>
    public static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    private static void WriteAgain(string path, TestCluster cluster, int port, int adminPort, ServeSections more)
    {
        var nodes = string.Join('\n', cluster.Nodes.Select((n, i) =>
            $"  - {{ name: node{i + 1}, uri: 'postgresql://{TestCluster.User}:{TestCluster.Password}@127.0.0.1:{n.Port}/{TestCluster.Database}' }}"));
        File.WriteAllText(
            path,
            $"""
            proxy_id: {Path.GetFileNameWithoutExtension(path)}
            database: {TestCluster.Database}
            log: {"{ level: information }"}
            admin: {"{"} port: {adminPort} {"}"}
            listen:
              port: {port}
            {more.Listen}
            nodes:
            {nodes}
            users:
              - {"{"} name: {TestCluster.User}, password: {TestCluster.Password}, admin: true {"}"}
            {more.Users}
            {more.Sections}

            """);
    }
}

/// <summary>Lines of YAML: below <c>listen:</c> and <c>users:</c> indented by two, whole sections not at all.</summary>
internal sealed record ServeSections(string Sections = "", string Listen = "", string Users = "");
