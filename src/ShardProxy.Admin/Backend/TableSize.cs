using ShardProxy.Model.Topology;

namespace ShardProxy.Admin.Backend;

/// <summary>What one node's catalog says about the size of one table.</summary>
public readonly record struct TableSize(int NodeId, QualifiedName Table, double Rows, double Bytes);
