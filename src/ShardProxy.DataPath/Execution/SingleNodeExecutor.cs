using System.Runtime.CompilerServices;
using ShardProxy.DataPath.Servers;
using ShardProxy.DataPath.Sessions;
using ShardProxy.Wire.Messages;

namespace ShardProxy.DataPath.Execution;

/// <summary>What became of a simple query on one server.</summary>
internal enum SingleOutcome
{
    /// <summary>Answered, ReadyForQuery included unless the relay withholds it.</summary>
    Answered,

    /// <summary>A closed gate refused it before it had any effect: route it again.</summary>
    Fenced,

    /// <summary>The server was lost; the client has been told, but not ReadyForQuery.</summary>
    Lost,
}

/// <summary>Forwards one simple query to one server and its replies to the client, COPY data included.</summary>
internal static class SingleNodeExecutor
{
    /// <summary>Runs the query; the payload is the Query message's, with its NUL.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public static async ValueTask<SingleOutcome> RunAsync(Session session, ServerConnection server, ReadOnlyMemory<byte> payload, bool isWrite)
    {
        var relay = session.Relay;
        MessageWriter.Raw(server.Output, FrontendTag.Query, payload.Span);
        server.Owed.Enqueue(ReplyKind.Query, isHidden: false);
        server.UnnamedStatement = null;
        server.HasWritten |= isWrite;
        try
        {
            await relay.FlushServerAsync(server).ConfigureAwait(false);
            var stop = await relay.RelayAsync(server).ConfigureAwait(false);
            if (stop == RelayStop.CopyIn)
            {
                stop = await CopyInRelay.RunAsync(session, server).ConfigureAwait(false);
            }

            if (stop == RelayStop.ServerLost)
            {
                ServerLoss.Report(session, server, isWrite);
                return SingleOutcome.Lost;
            }
        }
        catch (Exception e) when (ServerLoss.IsLoss(session, e))
        {
            ServerLoss.Report(session, server, isWrite);
            return SingleOutcome.Lost;
        }

        return relay.GateErrorHeld ? SingleOutcome.Fenced : SingleOutcome.Answered;
    }
}
