using System.Net;
using Microsoft.Extensions.Logging;

namespace ShardProxy.Composition;

/// <summary>
/// Runs the stages of one proxy: started in order, stopped in reverse, so that nothing outlives what it stands on. The order is
/// the composition's; this class only keeps it.
/// </summary>
/// <param name="stages">In starting order.</param>
/// <param name="listen">Tells where clients connect, once all stages run.</param>
/// <param name="admin">Tells where HTTP is answered, once all stages run.</param>
/// <param name="timeProvider">Measures the stop budget.</param>
/// <param name="logger">Receives what goes wrong while stopping.</param>
/// <param name="drain">Sends clients away between their transactions, or null.</param>
/// <param name="handedOver">Cancelled when another process has taken over.</param>
internal sealed partial class ProxyHost(
    IReadOnlyList<HostStage> stages, Func<IPEndPoint> listen, Func<IPEndPoint> admin, TimeProvider timeProvider, ILogger<ProxyHost> logger,
    Func<CancellationToken, Task>? drain = null, CancellationToken handedOver = default) : IProxyHost
{
    /// <summary>For all stages together; the local servers of <c>dev</c> need the rest of the two seconds.</summary>
    public static readonly TimeSpan StopBudget = TimeSpan.FromMilliseconds(600);

    private readonly Stack<HostStage> _started = new();

    public IPEndPoint Listen => listen();

    public IPEndPoint Admin => admin();

    public CancellationToken HandedOver => handedOver;

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        try
        {
            foreach (var stage in stages)
            {
                Log.Starting(logger, stage.Name);
                await stage.StartAsync(cancellationToken);
                _started.Push(stage);
            }
        }
        catch
        {
            await StopAsync();
            throw;
        }
    }

    public async Task DrainAsync(CancellationToken cancellationToken)
    {
        try
        {
            Log.Draining(logger);
            await (drain?.Invoke(cancellationToken) ?? Task.CompletedTask);
        }
        catch (Exception e)
        {
            Log.StopFailed(logger, "draining", e);
        }
    }

    public async Task StopAsync()
    {
        using var budget = new CancellationTokenSource(StopBudget, timeProvider);
        while (_started.TryPop(out var stage))
        {
            try
            {
                Log.Stopping(logger, stage.Name);
                // A stage that does not heed its token must not keep the process.
                await stage.StopAsync(budget.Token).WaitAsync(budget.Token);
            }
            catch (Exception e)
            {
                Log.StopFailed(logger, stage.Name, e);
            }
        }
    }

    private static partial class Log
    {
        [LoggerMessage(7001, LogLevel.Debug, "starting {Stage}")]
        public static partial void Starting(ILogger logger, string stage);

        [LoggerMessage(7002, LogLevel.Debug, "stopping {Stage}")]
        public static partial void Stopping(ILogger logger, string stage);

        [LoggerMessage(7004, LogLevel.Information, "asked to end: no more clients are taken, transactions under way may finish")]
        public static partial void Draining(ILogger logger);

        [LoggerMessage(7003, LogLevel.Warning, "{Stage} did not stop in order")]
        public static partial void StopFailed(ILogger logger, string stage, Exception exception);
    }
}
