using System.Security.Cryptography;
using Microsoft.Extensions.Logging;

namespace ShardProxy.Wire.Tls;

/// <summary>
/// The certificate in force. <see cref="Reload"/> exchanges it for new connections; those that are open keep the old one. Thread-safe.
/// </summary>
public sealed partial class TlsCertificates
{
    private readonly TlsServerOptions _options;
    private readonly ILogger _logger;
    private volatile TlsServerIdentity _current;

    /// <summary>Reads the files for the first time.</summary>
    /// <exception cref="CryptographicException">As <see cref="TlsServerIdentity.Load"/>.</exception>
    /// <exception cref="IOException">As <see cref="TlsServerIdentity.Load"/>.</exception>
    public TlsCertificates(TlsServerOptions options, ILogger logger)
    {
        _options = options;
        _logger = logger;
        _current = TlsServerIdentity.Load(options);
    }

    public TlsServerIdentity Current => _current;

    /// <summary>Reads the files again. Returns null, or why the certificate before stays in force; that is logged too.</summary>
    public string? Reload()
    {
        try
        {
            _current = TlsServerIdentity.Load(_options);
            Log.Reloaded(_logger, _options.CertificateFile, _current.Certificate.NotAfter.ToUniversalTime());
            return null;
        }
        catch (Exception e) when (e is CryptographicException or IOException or UnauthorizedAccessException)
        {
            Log.Kept(_logger, _options.CertificateFile, e.Message, _current.Certificate.NotAfter.ToUniversalTime());
            return e.Message;
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1201, LogLevel.Information, "Certificate {File} read again; it is valid until {NotAfter:u}")]
        public static partial void Reloaded(ILogger logger, string file, DateTime notAfter);

        [LoggerMessage(1202, LogLevel.Error, "Certificate {File} could not be read again: {Reason}. The one before stays in use, valid until {NotAfter:u}")]
        public static partial void Kept(ILogger logger, string file, string reason, DateTime notAfter);
    }
}
