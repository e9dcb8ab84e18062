using System.Runtime.InteropServices;

namespace ShardProxy.Cli;

/// <summary>
/// SIGINT (Ctrl-C), SIGTERM and, but for a daemon, SIGHUP (the terminal closed) as one cancellation. A second signal
/// means at once. To a daemon SIGHUP means to read again what may have changed; others see to that.
/// </summary>
internal sealed class ShutdownSignals : IDisposable
{
    private readonly CancellationTokenSource _source = new();
    private readonly CancellationTokenSource _atOnce = new();
    private readonly List<PosixSignalRegistration> _registrations = [];

    public ShutdownSignals(bool isDaemon)
    {
        PosixSignal[] signals = isDaemon ? [PosixSignal.SIGINT, PosixSignal.SIGTERM] : [PosixSignal.SIGINT, PosixSignal.SIGTERM, PosixSignal.SIGHUP];
        foreach (var signal in signals)
        {
            _registrations.Add(PosixSignalRegistration.Create(signal, context =>
            {
                context.Cancel = true;
                (_source.IsCancellationRequested ? _atOnce : _source).Cancel();
            }));
        }
    }

    public CancellationToken Token => _source.Token;

    /// <summary>Cancelled by the second signal.</summary>
    public CancellationToken AtOnce => _atOnce.Token;

    public void Dispose()
    {
        _registrations.ForEach(r => r.Dispose());
        _source.Dispose();
        _atOnce.Dispose();
    }
}
