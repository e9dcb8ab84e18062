using Microsoft.Extensions.Logging;
using Npgsql;
using ShardProxy.Control;
using ShardProxy.Model.Errors;
using ShardProxy.Model.Fleet;

namespace ShardProxy.Composition;

/// <summary>Takes the data path's word that DDL was committed to the control plane.</summary>
internal sealed partial class SchemaObserver(ILogger<SchemaObserver> logger) : ISchemaObserver
{
    private ControlPlane? _control;

    /// <summary>Called once, before the first client is served.</summary>
    public void Attach(ControlPlane control) => _control = control;

    public async ValueTask SchemaChangedAsync(CancellationToken cancellationToken)
    {
        try
        {
            await _control!.RefreshSchemaAsync(cancellationToken);
        }
        catch (Exception e) when (e is NpgsqlException or TimeoutException or ShardProxyException)
        {
            Log.RefreshFailed(logger, e);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(7101, LogLevel.Error, "The catalog could not be refreshed after DDL; run any DDL again to retry")]
        public static partial void RefreshFailed(ILogger logger, Exception exception);
    }
}
