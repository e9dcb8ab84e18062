using NUnit.Framework;
using ShardProxy.TestKit.Clusters;

// Holds the cluster that these tests share, of PostgreSQL 18. Outside any namespace, so that it covers the whole assembly.
[SetUpFixture]
#pragma warning disable CA1050 // NUnit takes a set-up fixture for the whole assembly only when it stands in no namespace.
public sealed class Postgres18TestsSetUp : SharedCluster
{
    public Postgres18TestsSetUp()
        : base(nodes: 2) => TestPostgres.Use(TestPostgres.Newer);
}
