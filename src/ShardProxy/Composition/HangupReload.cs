using System.Runtime.InteropServices;

namespace ShardProxy.Composition;

/// <summary>
/// Reads again on SIGHUP what may change under a running proxy, as daemons do: certificates and the user file. Whoever reads logs what was
/// wrong; a signal has nobody else to tell.
/// </summary>
internal sealed class HangupReload(params IEnumerable<Action> reloads) : IDisposable
{
    private readonly Action[] _reloads = [.. reloads];
    private PosixSignalRegistration? _registration;

    /// <summary>From now on signals are heeded.</summary>
    public void Start() => _registration = PosixSignalRegistration.Create(PosixSignal.SIGHUP, context =>
    {
        context.Cancel = true;
        foreach (var reload in _reloads)
        {
            reload();
        }
    });

    public void Dispose() => _registration?.Dispose();
}
