using System.Net;
using System.Net.Security;
using System.Runtime.CompilerServices;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json;

namespace ShardProxy.Catalog.Stores.Etcd;

/// <summary>
/// etcd's JSON gateway (etcd documentation, "gRPC gateway"): requests on one of its members, log-in, and lines of a stream. Knows nothing of what they mean.
/// </summary>
internal sealed class EtcdClient : IDisposable
{
    private const int UnauthenticatedCode = 16;
    private const int InvalidArgumentCode = 3;
    private const int PermissionDeniedCode = 7;
    private const int LargestMessage = 4 * 1024;
    private readonly EtcdOptions _options;
    private readonly TimeProvider _time;
    private readonly HttpClient _http;
    private int _endpoint;
    private string? _token;

    public EtcdClient(EtcdOptions options, TimeProvider time)
    {
        ArgumentOutOfRangeException.ThrowIfZero(options.Endpoints.Length);
        _options = options;
        _time = time;
        var handler = new SocketsHttpHandler
        {
            ConnectTimeout = options.RequestTimeout,
            PooledConnectionLifetime = TimeSpan.FromMinutes(5),
            AllowAutoRedirect = false,
            UseProxy = false,
            UseCookies = false,
        };
        if (options.TrustedRoots is not null || options.ClientCertificate is not null)
        {
            handler.SslOptions = Tls(options);
        }

        _http = new HttpClient(handler) { Timeout = Timeout.InfiniteTimeSpan };
    }

    /// <summary>Sends a request and returns the answer's root element. Tries other members as long as nothing was sent.</summary>
    /// <exception cref="EtcdException">It failed, or nobody knows.</exception>
    public async Task<JsonElement> PostAsync(string path, string body, CancellationToken cancellationToken)
    {
        var isLoggedIn = false;
        for (var attempt = 1; ; attempt++)
        {
            var endpoint = Volatile.Read(ref _endpoint);
            try
            {
                using var response = await SendAsync(endpoint, path, body, HttpCompletionOption.ResponseContentRead, cancellationToken);
                var text = await response.Content.ReadAsByteArrayAsync(cancellationToken);
                if (response.IsSuccessStatusCode)
                {
                    using var document = JsonDocument.Parse(text);
                    return document.RootElement.Clone();
                }

                var (code, message) = Error(text);
                if (IsLogInNeeded(response.StatusCode, code, message) && _options.User is not null && !isLoggedIn)
                {
                    await LogInAsync(endpoint, cancellationToken);
                    isLoggedIn = true;
                    continue;
                }

                throw new EtcdException($"etcd: {message}", code is InvalidArgumentCode or PermissionDeniedCode or UnauthenticatedCode);
            }
            catch (HttpRequestException e) when (e.HttpRequestError is HttpRequestError.ConnectionError or HttpRequestError.NameResolutionError or HttpRequestError.SecureConnectionError)
            {
                // Nothing was sent: another member may have it.
                TurnFrom(endpoint);
                if (attempt >= _options.Endpoints.Length)
                {
                    throw new EtcdException($"etcd cannot be reached: {e.Message}", isDefinite: true, e);
                }
            }
            catch (Exception e) when (e is HttpRequestException or IOException and not EtcdException or JsonException or OperationCanceledException)
            {
                TurnFrom(endpoint);
                cancellationToken.ThrowIfCancellationRequested();
                throw new EtcdException(e is OperationCanceledException ? $"etcd did not answer within {_options.RequestTimeout.TotalSeconds:0.#} s" : $"etcd's answer was lost: {e.Message}", isDefinite: false, e);
            }
        }
    }

    /// <summary>Sends a request whose answer is a stream of JSON texts, one a line. Ends with the connection, or behind <paramref name="silence"/> without a line.</summary>
    /// <exception cref="EtcdException">It failed.</exception>
    public async IAsyncEnumerable<JsonElement> StreamAsync(string path, string body, TimeSpan silence, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var quiet = new CancellationTokenSource(Timeout.InfiniteTimeSpan, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(quiet.Token, cancellationToken);
        var endpoint = Volatile.Read(ref _endpoint);
        using var response = await OpenAsync();
        await using var stream = await response.Content.ReadAsStreamAsync(cancellationToken);
        using var reader = new StreamReader(stream, Encoding.UTF8);
        while (true)
        {
            quiet.CancelAfter(silence);
            string? line;
            try
            {
                line = await reader.ReadLineAsync(either.Token);
            }
            catch (Exception e) when (e is IOException or HttpRequestException or OperationCanceledException)
            {
                cancellationToken.ThrowIfCancellationRequested();
                line = null;
            }

            if (line is null)
            {
                TurnFrom(endpoint);
                yield break;
            }

            if (line.Length > 0)
            {
                using var document = JsonDocument.Parse(line);
                yield return document.RootElement.Clone();
            }
        }

        async Task<HttpResponseMessage> OpenAsync()
        {
            try
            {
                if (_options.User is not null && _token is null)
                {
                    await LogInAsync(endpoint, cancellationToken);
                }

                var opened = await SendAsync(endpoint, path, body, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
                if (opened.IsSuccessStatusCode)
                {
                    return opened;
                }

                var (code, message) = Error(await opened.Content.ReadAsByteArrayAsync(cancellationToken));
                _token = IsLogInNeeded(opened.StatusCode, code, message) ? null : _token;
                opened.Dispose();
                throw new EtcdException($"etcd: {message}", isDefinite: true);
            }
            catch (Exception e) when (e is HttpRequestException or IOException and not EtcdException or OperationCanceledException)
            {
                cancellationToken.ThrowIfCancellationRequested();
                TurnFrom(endpoint);
                throw new EtcdException($"etcd cannot be reached: {e.Message}", isDefinite: true, e);
            }
        }
    }

    public void Dispose() => _http.Dispose();

    private async Task<HttpResponseMessage> SendAsync(int endpoint, string path, string body, HttpCompletionOption completion, CancellationToken cancellationToken)
    {
        using var deadline = new CancellationTokenSource(_options.RequestTimeout, _time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellationToken);
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(_options.Endpoints[endpoint], path));
        request.Content = new StringContent(body, Encoding.UTF8, "application/json");
        if (_token is { } token)
        {
            request.Headers.TryAddWithoutValidation("Authorization", token);
        }

        return await _http.SendAsync(request, completion, both.Token);
    }

    private async Task LogInAsync(int endpoint, CancellationToken cancellationToken)
    {
        _token = null;
        var body = JsonSerializer.Serialize(new Dictionary<string, string> { ["name"] = _options.User!, ["password"] = _options.Password ?? "" });
        using var response = await SendAsync(endpoint, "/v3/auth/authenticate", body, HttpCompletionOption.ResponseContentRead, cancellationToken);
        var text = await response.Content.ReadAsByteArrayAsync(cancellationToken);
        if (!response.IsSuccessStatusCode)
        {
            throw new EtcdException($"etcd: {Error(text).Message}", isDefinite: true);
        }

        using var document = JsonDocument.Parse(text);
        _token = document.RootElement.GetProperty("token").GetString();
    }

    private void TurnFrom(int endpoint) => Interlocked.CompareExchange(ref _endpoint, (endpoint + 1) % _options.Endpoints.Length, endpoint);

    private static bool IsLogInNeeded(HttpStatusCode status, int code, string message) =>
        status == HttpStatusCode.Unauthorized || code == UnauthenticatedCode || message.Contains("user name is empty", StringComparison.Ordinal);

    private static (int Code, string Message) Error(byte[] text)
    {
        try
        {
            using var document = JsonDocument.Parse(text);
            var root = document.RootElement;
            var message = root.TryGetProperty("message", out var m) || root.TryGetProperty("error", out m) ? m.GetString() : null;
            return (root.TryGetProperty("code", out var code) && code.TryGetInt32(out var number) ? number : 0, message ?? "unknown error");
        }
        catch (JsonException)
        {
            return (0, text.Length <= LargestMessage ? Encoding.UTF8.GetString(text).Trim() : "unknown error");
        }
    }

    private static SslClientAuthenticationOptions Tls(EtcdOptions options)
    {
        var tls = new SslClientAuthenticationOptions();
        if (options.ClientCertificate is { } own)
        {
            tls.ClientCertificates = [own];
        }

        if (options.TrustedRoots is { } roots)
        {
            tls.CertificateChainPolicy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck };
            tls.CertificateChainPolicy.CustomTrustStore.AddRange(roots);
        }

        return tls;
    }
}
