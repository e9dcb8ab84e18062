using System.Globalization;
using NUnit.Framework;
using ShardProxy.DataPath;
using ShardProxy.TestKit.Clusters;
using ShardProxy.TestKit.Wire;

namespace ShardProxy.Functional.Tests.DataPath;

/// <summary>A database of its own on the shared nodes, with the tables of a placement, and a proxy in front of it.</summary>
internal abstract class DataPathFixture
{
    /// <summary>What every node has to have for commits over several nodes.</summary>
    private const string NodeDdl = """
        CREATE SCHEMA shardproxy;
        GRANT USAGE ON SCHEMA shardproxy TO PUBLIC;
        CREATE TABLE shardproxy.commit_record (gid text PRIMARY KEY, outcome "char" NOT NULL DEFAULT 'c', recorded_at timestamptz NOT NULL DEFAULT clock_timestamp());
        CREATE FUNCTION shardproxy.record_commit(gid text) RETURNS void LANGUAGE sql SECURITY DEFINER
            AS $f$ INSERT INTO shardproxy.commit_record (gid) VALUES ($1) $f$;
        """;

    protected TestCluster Cluster { get; private set; } = null!;

    protected string Database { get; } = "dp_" + Guid.NewGuid().ToString("n", CultureInfo.InvariantCulture)[..12];

    protected ProxyUnderTest Proxy { get; private set; } = null!;

    /// <summary>Where the tables are.</summary>
    protected abstract Placement Tables { get; }

    /// <summary>Run on every node before the proxy starts.</summary>
    protected abstract string Ddl { get; }

    /// <summary>Run on the home node only.</summary>
    protected virtual string HomeDdl => "SELECT 1";

    protected virtual int PoolSize => 20;

    /// <summary>What the fixture's proxies have otherwise.</summary>
    protected virtual DataPathOptions Configure(DataPathOptions options) => options;

    [OneTimeSetUp]
    public async Task StartAsync()
    {
        Cluster = await SharedCluster.GetAsync();
        await Cluster.CreateDatabaseAsync(Database);
        for (var node = 0; node < Cluster.Nodes.Count; node++)
        {
            await DirectAsync(node, NodeDdl + Ddl);
        }

        await DirectAsync(0, HomeDdl);
        Proxy = await StartProxyAsync();
    }

    [OneTimeTearDown]
    public async Task StopAsync()
    {
        if (Proxy is not null)
        {
            await Proxy.DisposeAsync();
        }
    }

    protected Task<ProxyUnderTest> StartProxyAsync(int? poolSize = null) =>
        ProxyUnderTest.StartAsync(Cluster, Database, Tables, o => Configure(o with { PoolSize = poolSize ?? PoolSize, PoolWait = TimeSpan.FromSeconds(10), HoldTimeout = TimeSpan.FromSeconds(15) }));

    /// <summary>A client of one node itself, past the proxy.</summary>
    protected Task<ScriptedClient> DirectLoginAsync(int node, params (string Name, string Value)[] parameters) =>
        ScriptedClient.LoginAsync(Cluster.Nodes[node].Port, TestCluster.User, Database, TestCluster.Password, default, parameters);

    /// <summary>Runs SQL on one node, past the proxy, and returns the last result's rows, columns joined by a bar.</summary>
    protected async Task<string[]> DirectAsync(int node, string sql)
    {
        using var client = await DirectLoginAsync(node);
        var reply = await client.QueryAsync(sql);
        if (reply.Errors.Count > 0)
        {
            throw new InvalidOperationException(reply.ToString());
        }

        return [.. reply.Rows.Select(r => string.Join('|', r))];
    }

    protected async Task DirectOnAllAsync(string sql)
    {
        for (var node = 0; node < Cluster.Nodes.Count; node++)
        {
            await DirectAsync(node, sql);
        }
    }

    /// <summary>Rows of a query on each node, past the proxy.</summary>
    protected async Task<string[][]> OnEachNodeAsync(string sql)
    {
        var rows = new string[Cluster.Nodes.Count][];
        for (var node = 0; node < rows.Length; node++)
        {
            rows[node] = await DirectAsync(node, sql);
        }

        return rows;
    }
}
