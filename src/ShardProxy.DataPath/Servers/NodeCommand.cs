using System.Buffers;
using ShardProxy.DataPath.Routing;
using ShardProxy.DataPath.Sessions;
using ShardProxy.Wire.Messages;

namespace ShardProxy.DataPath.Servers;

/// <summary>
/// A command for one or more servers outside the client's sight: SQL text, alone (simple query) or with the parameters of a Bind
/// message (extended protocol, unnamed statement and portal, ended by Sync).
/// </summary>
/// <param name="Sql">UTF-8 without NUL; must stay unchanged until the command has run.</param>
/// <param name="Parameters">Bound parameters, or null.</param>
/// <param name="TextResults">With parameters: all results as text instead of the formats the client asked for.</param>
internal readonly record struct NodeCommand(ReadOnlyMemory<byte> Sql, BoundParameters? Parameters, bool TextResults = false)
{
    /// <summary>The parameters' types where they are known better than as the client has declared them; else null.</summary>
    public uint[]? ParameterTypes { get; init; }

    /// <summary>The client's named statement that this is, to be run by its name on servers that have it and number types as the home node does; else null.</summary>
    public PreparedStatement? Prepared { get; init; }

    /// <summary>Writes it without flushing; one hidden reply is owed then.</summary>
    /// <exception cref="Model.Errors.ShardProxyException">SHP-230: the server's node is not known to have a type of the parameters. Nothing was written.</exception>
    public void Send(ServerConnection server)
    {
        ReadOnlySpan<byte> name = [];
        if (Prepared is { } statement && server.Types is null && server.Statements.Touch(statement.CanonicalId))
        {
            name = statement.ServerName;
        }
        else
        {
            server.UnnamedStatement = null;
        }

        if (Parameters is not { } parameters)
        {
            SideDialog.Send(server, Sql.Span);
            return;
        }

        var output = server.Output;
        var types = ParameterTypes ?? parameters.TypeOids;
        var payload = server.Types?.ValuesOnNode(parameters, types) is { Length: > 0 } translated ? translated : parameters.Payload;
        if (name.IsEmpty)
        {
            MessageWriter.Parse(output, name, Sql.Span, (server.Types?.TypesOnNode(types) ?? types).AsSpan());
        }

        var body = payload[parameters.BodyOffset..(TextResults ? parameters.ResultFormatsOffset : parameters.PayloadBytes)];
        MessageWriter.Header(output, FrontendTag.Bind, 2 + name.Length + body.Length + (TextResults ? 2 : 0));
        MessageWriter.Text(output, ""u8);
        MessageWriter.Text(output, name);
        output.Write(body);
        if (TextResults)
        {
            MessageWriter.Int16(output, 0);
        }

        MessageWriter.Target(output, FrontendTag.Describe, (byte)'P', ""u8);
        MessageWriter.Header(output, FrontendTag.Execute, 5);
        MessageWriter.Text(output, ""u8);
        MessageWriter.Int32(output, 0);
        MessageWriter.Empty(output, FrontendTag.Sync);
        server.Owed.Enqueue(ReplyKind.Sync, isHidden: true);
    }
}
