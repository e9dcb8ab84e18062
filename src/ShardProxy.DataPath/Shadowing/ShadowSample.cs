using ShardProxy.DataPath.Servers;
using ShardProxy.DataPath.Sessions;
using ShardProxy.Model.Routing;
using ShardProxy.Sql;

namespace ShardProxy.DataPath.Shadowing;

/// <summary>A read as a client sent it, kept to be run again on both nodes of a move.</summary>
/// <param name="Move">The move, as of when the read was planned.</param>
/// <param name="Read">What tells this read from others: a hash of its text and parameters.</param>
/// <param name="Command">The statement; its bytes and parameters are the sample's own.</param>
/// <param name="Shape">Its shape.</param>
/// <param name="KeyHash">The hash of its first key.</param>
/// <param name="Settings">What the client has set.</param>
/// <param name="Told">What the client was told of its parameters.</param>
/// <param name="Database">The client's database.</param>
/// <param name="User">The client's user: it is run with that one's rights and no others.</param>
internal sealed record ShadowSample(
    RangeMove Move, int Read, NodeCommand Command, StatementShape Shape, long? KeyHash, SessionSettings Settings, ReportedParameters? Told, string Database, string User);
