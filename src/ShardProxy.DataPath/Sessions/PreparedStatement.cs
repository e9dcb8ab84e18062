using ShardProxy.DataPath.Routing;
using ShardProxy.DataPath.Servers;
using ShardProxy.Sql;

namespace ShardProxy.DataPath.Sessions;

/// <summary>A statement a client has parsed: a server that lacks it is given it again.</summary>
internal sealed class PreparedStatement(string name, byte[] sql, byte[] encodedTypes, uint[] typeOids, StatementShape shape, LiteralList literals, int start, int end, long canonicalId)
{
    private const int Overhead = 512;

    private byte[] _serverName = canonicalId == 0 ? [] : CanonicalStatements.NameOf(canonicalId);

    /// <summary>Stands for a statement that SQL has prepared on the session's server, which has it under the client's name.</summary>
    public static PreparedStatement OfSql(string name, byte[] sql, StatementShape shape, LiteralList literals) =>
        new(name, sql, [0, 0], [], shape, literals, 0, sql.Length, canonicalId: 0) { IsOfSql = true, _serverName = System.Text.Encoding.UTF8.GetBytes(name) };

    /// <summary>SQL has prepared it: its server has it, no other gets it.</summary>
    public bool IsOfSql { get; private init; }

    /// <summary>The client's name; empty for the unnamed statement.</summary>
    public string Name { get; } = name;

    public byte[] Sql { get; } = sql;

    /// <summary>The statement itself, without what surrounds it.</summary>
    public ReadOnlyMemory<byte> Text => Sql.AsMemory(start, end - start);

    /// <summary>The text up to its end: what literal offsets refer to.</summary>
    public ReadOnlyMemory<byte> Prefix => Sql.AsMemory(0, end);

    /// <summary>Count and OIDs as the client sent them.</summary>
    public byte[] EncodedTypes { get; } = encodedTypes;

    public uint[] TypeOids { get; } = typeOids;

    /// <summary>The parameters' types by the home node's numbers, as a server has told them; null while none that numbers them otherwise was asked.</summary>
    public uint[]? ParameterTypes { get; set; }

    /// <summary>The result columns' types likewise.</summary>
    public uint[]? ResultTypes { get; set; }

    public StatementShape Shape { get; } = shape;

    public LiteralList Literals { get; } = literals;

    /// <summary>Id shared by all clients with the same text and types; 0 for the unnamed statement.</summary>
    public long CanonicalId { get; } = canonicalId;

    /// <summary>The name on a server; empty for the unnamed statement.</summary>
    public ReadOnlySpan<byte> ServerName => _serverName;

    /// <summary>What it takes in memory, about: its text and types, and some for the objects around them.</summary>
    public int Bytes => Overhead + Sql.Length + EncodedTypes.Length;

    /// <summary>The statement in its place that has parameters for the keys it leaves to their defaults, and the placement that is for.</summary>
    public (PreparedStatement Statement, long PlacementVersion)? Derived { get; set; }

    /// <summary>The statement in its place that has the queries of views instead of their names, and the placement that is for.</summary>
    public (PreparedStatement Statement, long PlacementVersion)? WithoutViews { get; set; }

    /// <summary>Its Parse failed: the client does not have it.</summary>
    public bool IsGone { get; set; }

    /// <summary>BEGIN, COMMIT and the like, carried out by the proxy.</summary>
    public bool IsTransaction => Shape.Transaction is not null;

    /// <summary>Nothing but white space, comments and semicolons.</summary>
    public bool IsEmpty { get; init; }

    /// <summary>
    /// Carried out by the proxy, not by one server: transaction control, SET, RESET, DISCARD ALL, DEALLOCATE; the first three are the home node's own
    /// while no table is placed. An empty one can be parsed and described in a failed block too, of which some servers know nothing.
    /// </summary>
    public bool IsLocalIn(Session session) =>
        IsEmpty ? session is { Transaction.State: BlockState.Failed, IsTransparent: false } :
        (IsTransaction || Execution.SessionCommands.Handles(Shape)) && !(Execution.TransparentCommands.Handles(Shape) && session.IsTransparent);
}

/// <summary>A bound statement.</summary>
internal sealed class Portal
{
    public PreparedStatement Statement { get; set; } = null!;

    public BoundParameters Parameters { get; } = new();

    /// <summary>The server it was bound on; null when the proxy carries it out itself.</summary>
    public ServerConnection? Server { get; set; }

    /// <summary>The transaction it belongs to and ends with: <see cref="SessionTransaction.Number"/>.</summary>
    public long TransactionNumber { get; set; }

    public Execution.Dispatch Dispatch { get; set; }

    public long Started { get; set; }

    /// <summary>The result over several nodes that is open for it.</summary>
    public OpenResult? Open { get; set; }

    /// <summary>The client has asked what its rows look like, and is told when it is run.</summary>
    public bool IsDescribedByRun { get; set; }

    /// <summary>The proxy has carried it out: it is at its end.</summary>
    public bool HasRun { get; set; }
}
