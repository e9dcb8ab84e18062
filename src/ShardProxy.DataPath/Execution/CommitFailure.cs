using ShardProxy.DataPath.Sessions;
using ShardProxy.Model.Errors;

namespace ShardProxy.DataPath.Execution;

/// <summary>Why a commit failed: a server's own error, or one of ours.</summary>
internal sealed record CommitFailure(byte[]? ErrorPayload, ShardProxyError? Error)
{
    /// <summary>Writes it to the client.</summary>
    public void WriteTo(Session session)
    {
        if (ErrorPayload is not null)
        {
            session.Fail(ErrorPayload);
        }
        else
        {
            session.Fail(Error!);
        }
    }
}
