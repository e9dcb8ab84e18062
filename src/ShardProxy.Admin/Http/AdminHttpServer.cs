using System.Net;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;

namespace ShardProxy.Admin.Http;

/// <summary>
/// The admin port: Kestrel alone, without a host, so that signals, configuration and logging stay the executable's. HTTP/1.1, GET only,
/// no request bodies, every answer under a deadline.
/// </summary>
public sealed class AdminHttpServer : IAsyncDisposable
{
    private readonly KestrelServer _server;
    private readonly AdminPages _pages;
    private readonly TimeSpan _requestTimeout;
    private readonly AdminHttpOptions _options;
    private readonly byte[]? _token;

    /// <param name="options">Where to listen.</param>
    /// <param name="pages">What to answer.</param>
    /// <param name="loggers">For Kestrel's own messages; null for none.</param>
    public AdminHttpServer(AdminHttpOptions options, AdminPages pages, ILoggerFactory? loggers = null)
    {
        _options = options;
        _pages = pages;
        _token = options.Token is null ? null : AdminToken.Digest(options.Token);
        _requestTimeout = TimeSpan.FromMilliseconds(options.RequestTimeoutMs);
        loggers ??= NullLoggerFactory.Instance;
        var kestrel = new KestrelServerOptions { AddServerHeader = false, AllowSynchronousIO = false };
        kestrel.Limits.MaxConcurrentConnections = options.MaxConnections;
        kestrel.Limits.MaxRequestBodySize = 0;
        kestrel.Limits.MaxRequestLineSize = 4_096;
        kestrel.Limits.MaxRequestHeadersTotalSize = 16_384;
        kestrel.Limits.MaxRequestHeaderCount = 64;
        kestrel.Limits.RequestHeadersTimeout = TimeSpan.FromSeconds(5);
        kestrel.Limits.KeepAliveTimeout = TimeSpan.FromSeconds(60);
        kestrel.Listen(new IPEndPoint(options.Address, options.Port), listen =>
        {
            listen.Protocols = HttpProtocols.Http1;
            if (options.Certificate is { } certificate)
            {
                listen.Use(next => connection => AdminTls.RunAsync(connection, certificate(), next));
            }
        });
        _server = new KestrelServer(
            Options.Create(kestrel), new SocketTransportFactory(Options.Create(new SocketTransportOptions()), loggers), loggers);
    }

    /// <summary>The address and port that are listened at; valid once started.</summary>
    public IPEndPoint EndPoint { get; private set; } = new(IPAddress.None, 0);

    /// <summary>Begins to listen.</summary>
    /// <exception cref="IOException">The port is taken.</exception>
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        await _server.StartAsync(new Application(this), cancellationToken).ConfigureAwait(false);
        var bound = new Uri(_server.Features.Get<IServerAddressesFeature>()!.Addresses.First());
        EndPoint = new IPEndPoint(_options.Address, bound.Port);
    }

    /// <summary>Stops listening; open answers may end until <paramref name="cancellationToken"/> is cancelled, then they are cut off.</summary>
    public Task StopAsync(CancellationToken cancellationToken) => _server.StopAsync(cancellationToken);

    public ValueTask DisposeAsync()
    {
        _server.Dispose();
        return ValueTask.CompletedTask;
    }

    private async Task AnswerAsync(HttpContext context)
    {
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted);
        deadline.CancelAfter(_requestTimeout);
        try
        {
            if (_token is not null && !AdminToken.MayPass(context, _token))
            {
                context.Response.StatusCode = StatusCodes.Status401Unauthorized;
                context.Response.Headers.WWWAuthenticate = "Bearer";
                return;
            }

            await _pages.AnswerAsync(context, deadline.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (deadline.IsCancellationRequested && !context.Response.HasStarted)
        {
            context.Response.StatusCode = StatusCodes.Status503ServiceUnavailable;
        }
    }

    /// <summary>Kestrel's seam below the hosting layer: makes a context of each request's features.</summary>
    private sealed class Application(AdminHttpServer owner) : IHttpApplication<HttpContext>
    {
        public HttpContext CreateContext(IFeatureCollection contextFeatures) => new DefaultHttpContext(contextFeatures);

        public Task ProcessRequestAsync(HttpContext context) => owner.AnswerAsync(context);

        public void DisposeContext(HttpContext context, Exception? exception)
        {
        }
    }
}
