using ShardProxy.Sql;

namespace ShardProxy.DataPath.Servers;

/// <summary>What SQL-level PREPARE has made on a server.</summary>
/// <param name="Shape">The PREPARE.</param>
/// <param name="Query">Its query; null when it came together with other statements.</param>
internal sealed record SqlStatement(StatementShape Shape, byte[]? Query)
{
    /// <summary>Names of its parameters' types, once the server has been asked.</summary>
    public string[]? ParameterTypes { get; set; }
}
