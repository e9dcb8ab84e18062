using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using NUnit.Framework;
using ShardProxy.Admin.Http;
using ShardProxy.Admin.Metrics;

namespace ShardProxy.Unit.Tests.Admin.Http;

// Protects the admin port over a real socket: pages, readiness with reasons, limits, deadlines, and a clean stop.
internal sealed class AdminHttpServerTests
{
    private readonly AdminFixture _fixture = new();
    private MetricCollector _metrics = null!;
    private ProcessMetrics _process = null!;
    private AdminHttpServer _server = null!;
    private HttpClient _client = null!;
    private Func<CancellationToken, ValueTask<string?>> _check = null!;

    [SetUp]
    public async Task SetUp()
    {
        _check = _ => new((string?)null);
        _process = new ProcessMetrics();
        _metrics = new MetricCollector(m => ReferenceEquals(m, _process.Meter));
        var pages = new AdminPages(_fixture.Backend, _metrics, [new ReadinessCheck("catalog", token => _check(token)), new ReadinessCheck("nodes", _ => new((string?)null))]);
        _server = new AdminHttpServer(new AdminHttpOptions { RequestTimeoutMs = 300 }, pages);
        await _server.StartAsync(CancellationToken.None);
        _client = new HttpClient { BaseAddress = new Uri($"http://{_server.EndPoint}") };
    }

    [TearDown]
    public async Task TearDown()
    {
        _client.Dispose();
        await _server.DisposeAsync();
        _metrics.Dispose();
        _process.Dispose();
    }

    [Test]
    public void ItListensOnLoopbackUnlessToldOtherwise() => Assert.That(_server.EndPoint.Address, Is.EqualTo(IPAddress.Loopback));

    [Test]
    public async Task MetricsAreServedAsPrometheusText()
    {
        using var response = await _client.GetAsync(new Uri("/metrics", UriKind.Relative));
        Assert.Multiple(() =>
        {
            Assert.That(response.StatusCode, Is.EqualTo(HttpStatusCode.OK));
            Assert.That(response.Content.Headers.ContentType, Is.EqualTo(MediaTypeHeaderValue.Parse("text/plain; version=0.0.4; charset=utf-8")));
            Assert.That(response.Headers.Contains("Server"), Is.False);
        });
        Assert.That(await response.Content.ReadAsStringAsync(), Does.Contain("process_cpu_seconds_total "));
    }

    [TestCase("/api/nodes", 2, "name")]
    [TestCase("/api/tables", 2, "placement")]
    [TestCase("/api/groups", 1, "method")]
    [TestCase("/api/ranges", 4, "from")]
    [TestCase("/api/load", 2, "calls_s")]
    [TestCase("/api/forecasts", 3, "upper")]
    [TestCase("/api/plans", 1, "reason")]
    [TestCase("/api/migrations", 2, "rows_done")]
    [TestCase("/api/drift", 1, "difference")]
    [TestCase("/api/proxies", 2, "role")]
    [TestCase("/api/redirections", 2, "held_ms")]
    [TestCase("/api/version", 1, "proxy_id")]
    public async Task ViewsAreServedAsJson(string page, int rows, string property)
    {
        using var json = JsonDocument.Parse(await _client.GetStringAsync(new Uri(page, UriKind.Relative)));
        Assert.That(json.RootElement.GetArrayLength(), Is.EqualTo(rows));
        Assert.That(json.RootElement[0].TryGetProperty(property, out _), Is.True);
    }

    [Test]
    public async Task JsonHasNumbersNullsAndTextAsTheyAre()
    {
        using var json = JsonDocument.Parse(await _client.GetStringAsync(new Uri("/api/ranges", UriKind.Relative)));
        var last = json.RootElement[3];
        Assert.Multiple(() =>
        {
            Assert.That(last.GetProperty("id").GetInt32(), Is.EqualTo(4));
            Assert.That(last.GetProperty("to").ValueKind, Is.EqualTo(JsonValueKind.Null));
            Assert.That(last.GetProperty("from").GetString(), Is.EqualTo("4611686018427387904"));
            Assert.That(json.RootElement[1].GetProperty("load").GetDouble(), Is.EqualTo(40));
        });
    }

    [Test]
    public async Task ReadinessNamesItsReasons()
    {
        Assert.That((await Ready()).Status, Is.EqualTo(HttpStatusCode.OK));
        _check = _ => new("the catalog does not answer");
        var (status, body) = await Ready();
        Assert.Multiple(() =>
        {
            Assert.That(status, Is.EqualTo(HttpStatusCode.ServiceUnavailable));
            Assert.That(body.GetProperty("ready").GetBoolean(), Is.False);
            Assert.That(body.GetProperty("checks")[0].GetProperty("reason").GetString(), Is.EqualTo("the catalog does not answer"));
            Assert.That(body.GetProperty("checks")[1].GetProperty("ready").GetBoolean(), Is.True);
        });
    }

    [Test]
    public async Task ACheckThatBreaksIsNotReadyAndKeepsItsSecrets()
    {
        _check = _ => throw new InvalidOperationException("Password=secret");
        var (status, body) = await Ready();
        Assert.That(status, Is.EqualTo(HttpStatusCode.ServiceUnavailable));
        Assert.That(body.GetRawText(), Does.Contain("InvalidOperationException").And.Not.Contain("secret"));
    }

    [Test]
    public async Task ACheckThatHangsIsCutOff()
    {
        _check = async token =>
        {
            await Task.Delay(Timeout.Infinite, token);
            return null;
        };
        using var response = await _client.GetAsync(new Uri("/readyz", UriKind.Relative));
        Assert.That(response.StatusCode, Is.EqualTo(HttpStatusCode.ServiceUnavailable));
    }

    [Test]
    public async Task HealthAnswersWhateverIsWrong()
    {
        _check = _ => new("broken");
        Assert.That(await _client.GetStringAsync(new Uri("/healthz", UriKind.Relative)), Is.EqualTo("ok\n"));
    }

    [Test]
    public async Task TheIndexLinksOnlyPagesThatExist()
    {
        var html = await _client.GetStringAsync(new Uri("/", UriKind.Relative));
        var links = System.Text.RegularExpressions.Regex.Matches(html, "href=\"([^\"]+)\"").Select(m => m.Groups[1].Value).ToList();
        Assert.That(links, Has.Count.GreaterThan(10));
        foreach (var link in links)
        {
            using var response = await _client.GetAsync(new Uri(link, UriKind.Relative));
            Assert.That(response.StatusCode, Is.EqualTo(HttpStatusCode.OK), link);
        }
    }

    [Test]
    public async Task OnlyGetAndOnlyKnownPages()
    {
        using var content = new StringContent("");
        using var post = await _client.PostAsync(new Uri("/metrics", UriKind.Relative), content);
        using var unknown = await _client.GetAsync(new Uri("/api/secrets", UriKind.Relative));
        Assert.That((post.StatusCode, unknown.StatusCode), Is.EqualTo((HttpStatusCode.MethodNotAllowed, HttpStatusCode.NotFound)));
    }

    [TestCase("GET /{0} HTTP/1.1\r\nHost: x\r\n\r\n", 10_000, "414")]
    [TestCase("GET / HTTP/1.1\r\nHost: x\r\nX: {0}\r\n\r\n", 40_000, "431")]
    [TestCase("nonsense {0}\r\n\r\n", 1, "400")]
    public async Task OversizedAndBrokenRequestsAreRefused(string request, int size, string status)
    {
        using var socket = new TcpClient();
        await socket.ConnectAsync(_server.EndPoint);
        var stream = socket.GetStream();
        await stream.WriteAsync(Encoding.ASCII.GetBytes(request.Replace("{0}", new string('a', size), StringComparison.Ordinal)));
        using var reader = new StreamReader(stream, Encoding.ASCII);
        Assert.That(await reader.ReadLineAsync(), Does.StartWith("HTTP/1.1 " + status));
    }

    [Test]
    public async Task AfterTheStopNobodyListens()
    {
        var endPoint = _server.EndPoint;
        await _server.StopAsync(CancellationToken.None);
        using var socket = new TcpClient();
        Assert.That(async () => await socket.ConnectAsync(endPoint), Throws.InstanceOf<SocketException>());
    }

    private async Task<(HttpStatusCode Status, JsonElement Body)> Ready()
    {
        using var response = await _client.GetAsync(new Uri("/readyz", UriKind.Relative));
        using var json = JsonDocument.Parse(await response.Content.ReadAsStringAsync());
        return (response.StatusCode, json.RootElement.Clone());
    }
}
