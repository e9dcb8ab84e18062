using NUnit.Framework;
using ShardProxy.TestKit.Clusters;

// Holds the cluster that the functional tests share. Outside any namespace, so that it covers the whole assembly.
[SetUpFixture]
#pragma warning disable CA1050 // NUnit takes a set-up fixture for the whole assembly only when it stands in no namespace.
public sealed class FunctionalTestsSetUp() : SharedCluster(nodes: 2);
