namespace ShardProxy.Model.Fleet;

/// <summary>Told by the data path when DDL that may concern placed tables was committed through the proxy.</summary>
public interface ISchemaObserver
{
    /// <summary>
    /// Completes when the routing table shows the new schema, so that the client's next statement is routed by it. Failures are the
    /// observer's to report; the data path only logs them.
    /// </summary>
    ValueTask SchemaChangedAsync(CancellationToken cancellationToken);
}
